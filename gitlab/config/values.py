"""The kinds of value that a setting takes, and how each is refused."""

from __future__ import annotations

import re
from datetime import timedelta
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
    field_validator,
)

PROJECT = Path(__file__).resolve().parent.parent.parent

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


_BRACKETS = "an IPv6 address stands in brackets, as in http://[::1]:5000"


def check_address(value: str) -> str:
    """An address of http or https, without a slash at its end."""
    split = urlsplit(value)
    if split.netloc.count(":") > 1 and "[" not in split.netloc:
        raise ValueError(_BRACKETS)
    if split.scheme not in ("http", "https") or not split.hostname:
        raise ValueError("an address has the form http://host:port or https://host")
    if split.query or split.fragment or split.username:
        raise ValueError("an address has no query, no fragment and no name in it")
    if split.port == 0:  # One that is no number, or too large, is refused by `port` itself.
        raise ValueError("a port is 1 to 65535")
    return value.rstrip("/")


def _bare_address(value: str) -> str:
    if urlsplit(check_address(value)).path:
        raise ValueError(
            "this address has no path: docker knows hosts and ports only, and Berth's pages are served"
            " at the root of a host; give it a host name or a port of its own"
        )
    return value.rstrip("/")


def _listener(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:5000")
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


def _audit_stream(value: str) -> str:
    split = urlsplit(value)
    known = not value or (
        split.path.startswith("/") and not split.netloc
        if split.scheme == "file"
        else split.scheme == "syslog" and bool(split.netloc or split.path)
    )
    if not known:
        raise ValueError("file:///path, syslog://host:port or syslog:///dev/log")
    return value


def _origins(values: list[str]) -> list[str]:
    for value in values:
        if value != value.lower() or _bare_address(value) != value:
            raise ValueError("an origin is as browsers send it, as in https://ui.example.com")
    return values


_MAIL_DOMAIN = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


def _mail_domains(values: list[str]) -> list[str]:
    for value in values:
        if _MAIL_DOMAIN.fullmatch(value) is None:
            raise ValueError("each is a domain in lower case, as in example.com or *.example.com")
    return values


def _dormancy(value: timedelta) -> timedelta:
    if timedelta(0) < value < timedelta(days=1):
        raise ValueError("at least a day, or 0: activity is kept by days")
    return value


def comma_list(value: object) -> object:
    return (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Address = Annotated[str, AfterValidator(check_address)]
BareAddress = Annotated[str, AfterValidator(_bare_address)]
Listener = Annotated[str, AfterValidator(_listener)]
Names = Annotated[list[str], BeforeValidator(comma_list)]
Networks = Annotated[Names, AfterValidator(_networks)]
DormancyPeriod = Annotated[Duration, AfterValidator(_dormancy)]
MailDomains = Annotated[Names, AfterValidator(_mail_domains)]
Origins = Annotated[Names, AfterValidator(_origins)]
Role = Literal["web", "registry"]
AuditStream = Annotated[str, AfterValidator(_audit_stream)]
Roles = Annotated[list[Role], BeforeValidator(comma_list), Field(min_length=1)]


class Table(BaseModel):
    """A table of the file: an unknown key is a fault, and the text below a key is its reference."""

    model_config = ConfigDict(extra="forbid", validate_default=True, use_attribute_docstrings=True)

    @field_validator("*", mode="after")
    @classmethod
    def _no_secret_is_empty(cls, value: Any) -> Any:
        """An empty secret would be one that everybody knows."""
        if isinstance(value, SecretStr) and not value.get_secret_value().strip():
            raise ValueError("a secret is not empty: leave it out, and one is made where needed")
        return value
