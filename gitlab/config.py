"""The settings that administrators write, as one typed model.

Sources, the later ones weaker: the environment (``REGISTRY__TOKEN_REALM``), files named in it
(``REGISTRY__HTTP_SECRET_FILE``), the TOML file (``GITLAB_CONFIG``, else ``/etc/gitlab/gitlab.toml``
where it exists), the defaults. An unknown key or a bad value raises `BadConfiguration`, which says
which, where, and what is allowed. Nothing outside this module reads the environment.
"""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_FILE = Path("/etc/gitlab/gitlab.toml")
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 10 * 366 * 86400


class BadConfiguration(Exception):
    """The settings can't be used. The message names each key, its source, and what is allowed."""


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


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=True)


class Storage(_Table):
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
        if self.driver != "filesystem" and self.accel_prefix:
            raise ValueError("accel_prefix is for the filesystem store: nginx reads its files")
        if self.driver == "s3" and not self.bucket:
            raise ValueError("the s3 store needs a bucket: set registry.storage.bucket")
        if self.driver == "s3" and (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key go together: set both or none")
        return self


class Registry(_Table):
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


class GitlabRails(_Table):
    """``[gitlab_rails]``: GitLab's side."""

    registry_enabled: bool = True
    registry_api_url: BareAddress | None = None
    registry_host: str | None = None
    registry_port: int | None = Field(default=None, gt=0, lt=2**16)
    registry_issuer: str = "gitlab-issuer"
    registry_key_path: Path | None = None
    internal_key: SecretStr | None = None


class RateLimits(_Table):
    """``[berth.rate_limits]``: requests a minute; 0 is no limit."""

    failed_logins: int = Field(default=10, ge=0)
    per_user: int = Field(default=0, ge=0)
    per_token: int = Field(default=0, ge=0)
    per_address: int = Field(default=0, ge=0)


class Berth(_Table):
    """``[berth]``: what GitLab's own file has no word for."""

    home: Path = PROJECT / "var"
    roles: Annotated[list[Role], BeforeValidator(_comma_list), Field(min_length=1)] = [
        "web",
        "registry",
    ]
    web_http_addr: Listener | None = None
    database_url: SecretStr | None = None
    registry_database_url: SecretStr | None = None
    broker_url: SecretStr | None = None
    cache_url: SecretStr | None = None
    token_expire_delay: float = Field(default=10, gt=0, le=1440)
    gc_review_delay: Duration = timedelta(days=1)
    undo_window: Duration = timedelta(days=7)
    upload_expiry: Duration = timedelta(days=7)
    delete_enabled: bool = True
    push_creates_projects: bool = True
    signup_enabled: bool = False
    max_manifest_size: int = Field(default=4 * 1024**2, gt=0, le=64 * 1024**2)
    max_blob_size: int = Field(default=20 * 1024**3, gt=0)
    max_page: int = Field(default=1000, gt=0, le=10_000)
    trusted_proxies: Networks = []
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    registry_ca_bundle: Path | None = None
    secret_key: SecretStr | None = None
    events_secret: SecretStr | None = None
    metrics_networks: Networks = ["127.0.0.0/8", "::1"]
    metrics_token: SecretStr | None = None
    rate_limits: RateLimits = Field(default_factory=RateLimits)
    debug: bool = False
    crash_at: str = ""

    @model_validator(mode="after")
    def _crashes_in_tests_only(self) -> Berth:
        if self.crash_at and not self.debug:
            raise ValueError("crash_at is for tests of crashes: it needs debug as well")
        return self


class Configuration(_Table):
    """Everything, with what follows from it."""

    external_url: Address = "http://localhost:8000"
    registry_external_url: BareAddress = "http://localhost:5000"
    gitlab_root_password: SecretStr | None = None
    registry: Registry = Field(default_factory=Registry)
    gitlab_rails: GitlabRails = Field(default_factory=GitlabRails)
    berth: Berth = Field(default_factory=Berth)

    @property
    def home(self) -> Path:
        """The state folder."""
        return self.berth.home.absolute()

    @property
    def roles(self) -> frozenset[str]:
        """What this process serves; without the registry where this node runs none."""
        disabled = set() if self.registry.enable else {"registry"}
        return frozenset(self.berth.roles) - disabled

    @property
    def token_realm(self) -> str:
        """The token endpoint as clients reach it."""
        realm = self.registry.token_realm or self.external_url
        return realm if realm.endswith("/jwt/auth") else f"{realm}/jwt/auth"

    @property
    def web_http_addr(self) -> str:
        """host:port that the web process listens on."""
        return self.berth.web_http_addr or _listener_of(self.external_url)

    @property
    def registry_http_addr(self) -> str:
        """host:port that the registry process listens on."""
        return self.registry.registry_http_addr or _listener_of(self.registry_external_url)

    @property
    def registry_api_url(self) -> str:
        """The registry as GitLab's pages and jobs reach it."""
        if self.gitlab_rails.registry_api_url:
            return self.gitlab_rails.registry_api_url
        port = self.registry_http_addr.rpartition(":")[2]
        scheme = "https" if self.berth.tls_certificate else "http"
        return f"{scheme}://127.0.0.1:{port}"

    @property
    def registry_host_port(self) -> str:
        """The registry as people type it: a host, and a port unless it is the scheme's own."""
        split = urlsplit(self.registry_external_url)
        host = self.gitlab_rails.registry_host or split.hostname or ""
        port = self.gitlab_rails.registry_port or split.port
        return f"{host}:{port}" if port else host

    @property
    def plain_http(self) -> bool:
        """Whether the registry is reached without TLS, which some clients must be told."""
        return self.registry_external_url.startswith("http://")

    @property
    def key_path(self) -> Path:
        """The private key that GitLab's side signs with."""
        return self.gitlab_rails.registry_key_path or self.home / "keys" / "gitlab-registry.key"

    @property
    def certificate_bundle(self) -> Path:
        """The certificates that the registry's side checks with."""
        return self.registry.rootcertbundle or self.home / "keys" / "gitlab-registry.crt"

    @property
    def storage_root(self) -> Path:
        """The folder of the filesystem store."""
        return self.registry.storage.root or self.home / "registry"

    def database_url(self, side: Literal["gitlab", "registry"]) -> str:
        """The database of one side as a URL."""
        given = self.berth.database_url if side == "gitlab" else self.berth.registry_database_url
        if given is not None:
            return given.get_secret_value()
        return f"sqlite:///{self.home / 'db' / side}.sqlite3"

    def secret(self, name: str) -> str:
        """A secret of this node: as configured, else what ``manage.py prepare`` has generated.

        `name` is ``secret_key``, ``http_secret`` or ``events_secret``. Before the state folder is
        prepared, and only then, the secret lives as long as the process.
        """
        given = {
            "secret_key": self.berth.secret_key,
            "http_secret": self.registry.http_secret,
            "events_secret": self.berth.events_secret,
        }.get(name)
        if given is not None:
            return given.get_secret_value()
        path = self.home / "secrets" / name
        return path.read_text().strip() if path.exists() else _passing_secret(name)

    @cached_property
    def hosts(self) -> list[str]:
        """The host names that requests may be addressed to."""
        addresses = (self.external_url, self.registry_external_url, self.registry_api_url)
        return sorted({urlsplit(address).hostname or "" for address in addresses} | LOOPBACK_NAMES)


_passing: dict[str, str] = {}


def _passing_secret(name: str) -> str:
    return _passing.setdefault(name, secrets.token_urlsafe(48))


def _listener_of(address: str) -> str:
    """Where to listen for an address: loopback where it names loopback, else everywhere."""
    split = urlsplit(address)
    port = split.port or (443 if split.scheme == "https" else 80)
    host = "127.0.0.1" if split.hostname in LOOPBACK_NAMES else "0.0.0.0"  # noqa: S104
    return f"{host}:{port}"


@dataclass(frozen=True)
class Loaded:
    """A configuration with where each value came from, by dotted key."""

    configuration: Configuration
    origins: Mapping[str, str] = field(default_factory=dict)


def _leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted keys of a model."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _leaves(info.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


KEYS = tuple(_leaves(Configuration))
"""Every key, dotted: ``registry.token_realm``."""

_TABLES = {"REGISTRY", "GITLAB_RAILS", "BERTH"}
_SHORT_NAMES = {"BERTH_HOME": "berth.home", "ROLES": "berth.roles"}


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    known = {key.upper().replace(".", "__"): key for key in KEYS} | _SHORT_NAMES
    for variable, value in environ.items():
        if variable in known:
            yield known[variable], value, f"environment {variable}"
        elif variable.removesuffix("_FILE") in known and variable.endswith("_FILE"):
            try:
                content = Path(value).read_text().strip()
            except OSError as error:
                raise BadConfiguration(f"{variable}: {value} can't be read ({error})") from error
            yield known[variable.removesuffix("_FILE")], content, f"file {value}"
        elif variable.partition("__")[0] in _TABLES and "__" in variable:
            raise BadConfiguration(
                f"{variable} in the environment is no setting; those of its table are: "
                + ", ".join(name for name in known if name.startswith(variable.partition("__")[0]))
            )


def _from_table(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _from_table(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def load(environ: Mapping[str, str] | None = None) -> Loaded:
    """The configuration in force. Raises `BadConfiguration`."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    path = Path(environ["GITLAB_CONFIG"]) if "GITLAB_CONFIG" in environ else DEFAULT_FILE
    if "GITLAB_CONFIG" in environ or path.exists():
        try:
            table = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise BadConfiguration(f"{path}: {error}") from error
        for key, value in _from_table(table):
            values[key], origins[key] = value, str(path)
    for key, value, origin in sorted(_from_environment(environ), key=lambda item: item[2]):
        if key in origins and origins[key].startswith("environment"):
            continue
        values[key], origins[key] = value, origin
    try:
        configuration = Configuration.model_validate(_nested(values))
    except ValidationError as error:
        raise BadConfiguration(_explain(error, origins)) from error
    return Loaded(configuration, origins)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *tables, name = key.split(".")
        branch = tree
        for table in tables:
            branch = branch.setdefault(table, {})
            if not isinstance(branch, dict):
                raise BadConfiguration(f"{table} is a table of settings and not a value")
        branch[name] = value
    return tree


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    """One line for each fault. A value is not repeated: it may be a secret."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in fault["loc"])
        source = next((o for k, o in origins.items() if key.startswith(k) or k.startswith(key)), "")
        reason = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            table = key.rpartition(".")[0]
            names = [k.rpartition(".")[2] for k in KEYS if k.rpartition(".")[0] == table]
            reason = f"is no setting; those of [{table or 'the top'}] are {', '.join(names)}"
        lines.append(f"{key} ({source or 'default'}): {reason}")
    return "Berth can't start with these settings:\n  " + "\n  ".join(lines)
