"""The settings that administrators write, as one typed model.

Sources, the later ones weaker: the environment (``REGISTRY__TOKEN_REALM``), files named in it
(``REGISTRY__HTTP_SECRET_FILE``), the TOML file (``GITLAB_CONFIG``, else ``/etc/gitlab/gitlab.toml``
where it exists), the defaults. An unknown key or a bad value raises `BadConfiguration`, which says
which, where, and what is allowed. Nothing outside this module reads the environment.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
)

from gitlab.config_tables import (
    PROJECT,
    Address,
    BareAddress,
    Berth,
    GitlabRails,
    Registry,
    Table,
)

__all__ = ["KEYS", "PROJECT", "BadConfiguration", "Configuration", "Loaded", "load"]

DEFAULT_FILE = Path("/etc/gitlab/gitlab.toml")
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}


class BadConfiguration(Exception):
    """The settings can't be used. The message names each key, its source, and what is allowed."""


class Configuration(Table):
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

    def secrets(self) -> list[str]:
        """The values that no log line may show: every secret of this node, passwords in addresses."""
        tables = (self, self.registry, self.registry.storage, self.gitlab_rails, self.berth)
        fields = [value for table in tables for _, value in table]
        given = [value.get_secret_value() for value in fields if isinstance(value, SecretStr)]
        passwords = [password for text in given if (password := _password_in(text))]
        # An address is no secret but for the password in it, and it has to be named.
        values = [text for text in given if "://" not in text]
        generated = [self.secret(name) for name in ("secret_key", "http_secret", "events_secret")]
        return [*values, *passwords, *generated]

    @cached_property
    def hosts(self) -> list[str]:
        """The host names that requests may be addressed to."""
        addresses = (self.external_url, self.registry_external_url, self.registry_api_url)
        return sorted({urlsplit(address).hostname or "" for address in addresses} | LOOPBACK_NAMES)


_passing: dict[str, str] = {}


def _passing_secret(name: str) -> str:
    return _passing.setdefault(name, secrets.token_urlsafe(48))


def _password_in(address: str) -> str:
    """The password of ``scheme://name:password@host``, as it is written there; "" for none."""
    credentials, at, _ = address.partition("://")[2].rpartition("@")
    return credentials.partition(":")[2] if at else ""


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
