"""The settings' values and tables: what each key takes, and what it is without being set.

`gitlab.config` reads them from their sources and adds what follows from them.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

PROJECT = Path(__file__).resolve().parent.parent

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 10 * 366 * 86400


def _duration(value: object) -> object:
    """A number is seconds; a text may carry a unit: ``90``, ``"90s"``, ``"15m"``, ``"1d"``."""
    if isinstance(value, str):
        matched = _DURATION.fullmatch(value.strip())
        if matched is None:
            raise ValueError("a duration is a number with s, m, h, d or w, as in 15m")
        value = float(matched[1]) * _SECONDS[matched[2] or "s"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value if isinstance(value, timedelta) else "no duration"
    if not 0 <= value <= _LONGEST:
        raise ValueError("a duration is at least 0 and at most 10 years")
    return timedelta(seconds=value)


def _address(value: str) -> str:
    split = urlsplit(value)
    if split.scheme not in ("http", "https") or not split.hostname:
        raise ValueError("an address has the form http://host:port or https://host")
    if split.query or split.fragment or split.username:
        raise ValueError("an address has no query, no fragment and no name in it")
    if split.port == 0:  # One that is no number, or too large, is refused by `port` itself.
        raise ValueError("a port is 1 to 65535")
    return value.rstrip("/")


def _bare_address(value: str) -> str:
    if urlsplit(_address(value)).path:
        raise ValueError("this address has no path: docker knows hosts and ports only")
    return value.rstrip("/")


def _listener(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not port.isdecimal() or not 0 < int(port) < 2**16 or not host:
        raise ValueError("an address to listen on has the form host:port")
    return value


def _networks(values: list[str]) -> list[str]:
    for value in values:
        try:
            ip_network(value, strict=False)
        except ValueError:
            raise ValueError("each is an IP address or a network, as in 10.0.0.0/8") from None
    return values


def _comma_list(value: object) -> object:
    return (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Address = Annotated[str, AfterValidator(_address)]
BareAddress = Annotated[str, AfterValidator(_bare_address)]
Listener = Annotated[str, AfterValidator(_listener)]
Names = Annotated[list[str], BeforeValidator(_comma_list)]
Networks = Annotated[Names, AfterValidator(_networks)]
Role = Literal["web", "registry"]


class Table(BaseModel):
    """A table of the file: an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", validate_default=True)


class Storage(Table):
    """``[registry.storage]``: where the bytes are."""

    driver: Literal["filesystem", "s3"] = "filesystem"
    root: Path | None = None
    bucket: str | None = None
    prefix: str = ""
    endpoint: BareAddress | None = None
    region: str = "us-east-1"
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    redirect: bool = False
    accel_prefix: str | None = Field(default=None, pattern=r"^/[A-Za-z0-9/_.-]*$")

    @model_validator(mode="after")
    def _is_whole(self) -> Storage:
        if self.driver == "s3" and self.accel_prefix and self.redirect:
            raise ValueError("redirect sends clients to the store, accel_prefix nginx: choose one")
        if self.driver == "s3" and not self.bucket:
            raise ValueError("the s3 store needs a bucket: set registry.storage.bucket")
        if self.driver == "s3" and (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key go together: set both or none")
        return self


class Registry(Table):
    """``[registry]``: the registry's side."""

    enable: bool = True
    registry_http_addr: Listener | None = None
    token_realm: Address | None = None
    http_secret: SecretStr | None = None
    internal_key: SecretStr | None = None
    internal_certificate: str | None = None
    rootcertbundle: Path | None = None
    health_storagedriver_enabled: bool = True
    registry_issuer: str = "gitlab-issuer"
    storage: Storage = Field(default_factory=Storage)


class GitlabRails(Table):
    """``[gitlab_rails]``: GitLab's side."""

    registry_enabled: bool = True
    registry_api_url: BareAddress | None = None
    registry_host: str | None = None
    registry_port: int | None = Field(default=None, gt=0, lt=2**16)
    registry_issuer: str = "gitlab-issuer"
    registry_key_path: Path | None = None
    internal_key: SecretStr | None = None


class RateLimits(Table):
    """``[berth.rate_limits]``: requests a minute; 0 is no limit."""

    failed_logins: int = Field(default=10, ge=0)
    failed_logins_per_address: int = Field(default=200, ge=0)
    per_user: int = Field(default=0, ge=0)
    per_token: int = Field(default=0, ge=0)
    per_address: int = Field(default=0, ge=0)


class Berth(Table):
    """``[berth]``: what GitLab's own file has no word for."""

    home: Path = PROJECT / "var"
    roles: Annotated[list[Role], BeforeValidator(_comma_list), Field(min_length=1)] = [
        "web",
        "registry",
    ]
    web_http_addr: Listener | None = None
    database_url: SecretStr | None = None
    registry_database_url: SecretStr | None = None
    database_timeout: Duration = timedelta(seconds=10)
    broker_url: SecretStr | None = None
    cache_url: SecretStr | None = None
    token_expire_delay: float = Field(default=10, gt=0, le=1440)
    token_leeway: Duration = Field(default=timedelta(seconds=10), le=timedelta(minutes=5))
    gc_review_delay: Duration = timedelta(days=1)
    undo_window: Duration = timedelta(days=7)
    upload_expiry: Duration = timedelta(days=7)
    delete_enabled: bool = True
    push_creates_projects: bool = True
    signup_enabled: bool = False
    max_manifest_size: int = Field(default=4 * 1024**2, gt=0, le=64 * 1024**2)
    max_blob_size: int = Field(default=20 * 1024**3, gt=0)
    max_page: int = Field(default=1000, gt=0, le=10_000)
    max_scopes: int = Field(default=20, gt=0, le=100)
    max_form_size: int = Field(default=2 * 1024**2, ge=1024, le=64 * 1024**2)
    trusted_proxies: Networks = []
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    registry_ca_bundle: Path | None = None
    secret_key: SecretStr | None = None
    events_secret: SecretStr | None = None
    metrics_networks: Networks = ["127.0.0.0/8", "::1"]
    metrics_token: SecretStr | None = None
    worker_metrics_addr: Listener | None = None
    rate_limits: RateLimits = Field(default_factory=RateLimits)
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    access_log: Literal["off", "errors", "all"] = "errors"
    debug: bool = False
    crash_at: str = ""

    @model_validator(mode="after")
    def _crashes_in_tests_only(self) -> Berth:
        if self.crash_at and not self.debug:
            raise ValueError("crash_at is for tests of crashes: it needs debug as well")
        return self
