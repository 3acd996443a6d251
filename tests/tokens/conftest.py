"""Keys of each test's own, and an authorizer that does what it is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tokens import authorizer as authorizers
from tokens import issue, keys
from tokens.access import Access
from tokens.authorizer import Identity, InvalidCredentials


@dataclass(frozen=True)
class Pair:
    """Where a key and its certificate lie."""

    key: Path
    certificate: Path


@pytest.fixture(autouse=True)
def pair(tmp_path: Path, settings: Any) -> Iterator[Pair]:
    """A pair that the settings name on both sides."""
    key, certificate = keys.generate()
    found = Pair(tmp_path / "key", tmp_path / "certificate")
    found.key.write_bytes(key)
    found.certificate.write_bytes(certificate)
    settings.TOKENS_KEY_PATH = found.key
    settings.TOKENS_CERTIFICATE_PATH = settings.TOKENS_CERTIFICATE_BUNDLE = found.certificate
    settings.TOKENS_ISSUER = "gitlab-issuer"
    issue._load.cache_clear()
    yield found
    issue._load.cache_clear()


@dataclass
class FakeAuthorizer:
    """Knows two people; grants what is in `rights`, and adds `meta` when that is recorded."""

    passwords: dict[str, str] = field(default_factory=lambda: {"alice": "pa:ss wörd", "bob": "x"})
    rights: dict[str, set[str]] = field(default_factory=dict)
    refusal: Exception | None = None
    seen: list[Any] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    recorded: list[list[Access]] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    end: float | None = None

    def expecting(self, asked: Sequence[Access]) -> AbstractContextManager[None]:
        """See `Authorizer`."""
        return nullcontext()

    def authenticate(self, username: str, password: str, *, address: str) -> Identity:
        """See `Authorizer`."""
        self.addresses.append(address)
        if self.refusal is not None:
            raise self.refusal
        if self.passwords.get(username) != password:
            raise InvalidCredentials
        return Identity(username, "gitlab_or_ldap", {"username": username})

    def authorize(self, identity: Identity | None, asked: Sequence[Access]) -> list[Access]:
        """See `Authorizer`."""
        self.seen.append((identity.subject if identity else None, list(asked)))
        if self.refusal is not None:
            raise self.refusal
        limited = (access.limited_to(self.rights.get(access.name, set())) for access in asked)
        return [access for access in limited if access is not None]

    def ends_at(self, identity: Identity | None, granted: Sequence[Access]) -> float | None:
        """See `Authorizer`."""
        return self.end

    def keep_denied(
        self, identity: Identity | None, denied: Sequence[Access], reasons: dict[str, str]
    ) -> dict[str, str]:
        return reasons

    def explain(self, identity: Identity, refused: Sequence[Access]) -> dict[str, str]:
        """See `Authorizer`."""
        names = [access.name for access in refused]
        return {name: self.reasons[name] for name in names if name in self.reasons}

    def record(self, identity: Identity | None, granted: Sequence[Access]) -> list[Access]:
        """See `Authorizer`."""
        self.recorded.append(list(granted))
        return [replace(access, meta=self.meta) for access in granted]


@pytest.fixture
def authorizer(monkeypatch: pytest.MonkeyPatch) -> FakeAuthorizer:
    """The authorizer of this test."""
    fake = FakeAuthorizer()
    monkeypatch.setattr(authorizers, "current", lambda: fake)
    return fake
