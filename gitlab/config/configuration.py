"""All settings as one typed model, and what follows from them where they are not set."""

from __future__ import annotations

import secrets
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from gitlab.config.berth_tables import Berth
from gitlab.config.gitlab_tables import GitlabRails
from gitlab.config.registry_tables import Registry
from gitlab.config.values import BareAddress, Table

LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}


class Configuration(Table):
    """Everything, with what follows from it."""

    external_url: BareAddress = "http://localhost:8000"
    """GitLab's address as people type it: scheme, host and port, without a path. Links, the token
    endpoint and the port that the web process listens on follow from it. An IPv6 address stands in
    brackets.

    Default: `http://localhost:8000`.
    Example: external_url = "https://gitlab.example.com"
    """

    registry_external_url: BareAddress = "http://localhost:5000"
    """The registry's address as docker types it: scheme, host and port, without a path. The port
    that the registry process listens on follows from it. With plain http, podman, skopeo and
    buildah need `--tls-verify=false`; docker takes plain http from loopback only, or from what
    its `insecure-registries` lists.

    Default: `http://localhost:5000`.
    Example: registry_external_url = "https://registry.example.com"
    """

    gitlab_root_password: SecretStr | None = None
    """The password that the administrator `root` gets when it is made, at the first start.
    Afterwards it counts for nothing; `manage.py users password root` sets a new one.

    Default: generated, and printed once.
    Example: gitlab_root_password = "a-long-password"
    """

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
        host, _, port = self.registry_http_addr.rpartition(":")
        scheme = "https" if self.berth.tls_certificate else "http"
        return f"{scheme}://{'[::1]' if host.startswith('[') else '127.0.0.1'}:{port}"

    @property
    def registry_host_port(self) -> str:
        """The registry as people type it: a host, and a port unless it is the scheme's own."""
        split = urlsplit(self.registry_external_url)
        host = self.gitlab_rails.registry_host or _bracketed(split.hostname or "")
        port = self.gitlab_rails.registry_port or split.port
        return f"{host}:{port}" if port else host

    @property
    def plain_http(self) -> bool:
        """Whether the registry is reached without TLS, which some clients must be told."""
        return self.registry_external_url.startswith("http://")

    @property
    def email_from(self) -> str:
        """The sender of mails."""
        host = urlsplit(self.external_url).hostname or "localhost"
        return self.gitlab_rails.gitlab_email_from or f"gitlab@{host}"

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
        """The values that no log line may show: every secret of this node, passwords in
        addresses.
        """
        tables: list[Table] = [self, self.registry, self.registry.storage, self.gitlab_rails]
        tables += [self.berth, *self.berth.oidc.values(), *self.berth.ldap.values()]
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
        named = {urlsplit(address).hostname or "" for address in addresses} | LOOPBACK_NAMES
        return sorted(map(_bracketed, named))


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
    is_loopback = split.hostname in LOOPBACK_NAMES
    if ":" in (split.hostname or ""):
        # Where all addresses are meant, IPv4's are too: Linux takes them on the same socket.
        return f"{'[::1]' if is_loopback else '[::]'}:{port}"
    host = "127.0.0.1" if is_loopback else "0.0.0.0"  # noqa: S104
    return f"{host}:{port}"


def _bracketed(host: str) -> str:
    """A host as it stands in an address: an IPv6 literal in brackets."""
    return f"[{host}]" if ":" in host else host
