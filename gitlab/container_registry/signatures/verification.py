"""Which signatures an image has, and what came of checking each by the keys that hold for it.

Found by the Referrers API and by cosign's tags, ``sha256-….sig`` and ``.att``. What a signature
says never changes, so what came of it is remembered by three digests: that of the image, of the
manifest that holds the signature, and of the keys, identities and trust root it is checked by.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gitlab.container_registry.client.overview import Overview
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import StoredManifest
from gitlab.container_registry.contents import manifest as manifests
from gitlab.container_registry.contents import reading
from gitlab.container_registry.contents.manifest import Descriptor
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.signatures import certificates, identities, services, statements
from gitlab.container_registry.signatures.statements import (
    Checked,
    NamedIdentity,
    NamedKey,
    State,
)
from tokens.signature_types import SIGNATURE_TYPES

MAX_CHECKED = 20
"""Manifests that hold signatures, and signatures in each, that are looked at."""

MAX_BLOB = 4 * 1024 * 1024
"""Bytes of what was signed."""

MAX_READ = 60
MAX_BYTES = 16 * 1024 * 1024
"""Signatures of one image that are read at a time, and their bytes: twenty manifests may hold
twenty each, of four megabytes."""

_REMEMBERED = 2000
_AT_ONCE = 4
_SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_ENVELOPE = "application/vnd.dsse.envelope.v1+json"
_BUNDLE = "application/vnd.dev.sigstore.bundle"
_NOT_HERE = "What was signed is not here, or too large."
"""What may be otherwise the next time."""

_OF_ANOTHER_KIND = Checked(State.UNKNOWN, "A signature of a kind that is not checked here.")

_ORDER = (State.SIGNED, State.INVALID, State.UNKNOWN)


@dataclass(frozen=True)
class Signature:
    """A signature, and the digest of the manifest that holds it."""

    digest: str
    checked: Checked


@dataclass(frozen=True)
class Verified:
    """What an image is signed by, the best first. `has_more` where not all were looked at.

    `keys_count` is how many keys and identities were tried; `has_trust_root` says whether there is
    one by which certificates are checked.
    """

    signatures: Sequence[Signature] = ()
    keys_count: int = 0
    has_more: bool = False
    has_trust_root: bool = False

    @property
    def state(self) -> State | None:
        """That of the image itself, None where nobody has signed it.

        A statement about it is no signature of it: it counts where there is nothing else.
        """
        own = [each.checked.state for each in self.signatures if not each.checked.what]
        found = own or [each.checked.state for each in self.signatures]
        return next((state for state in _ORDER if state in found), None)

    @property
    def signers(self) -> list[NamedKey | NamedIdentity]:
        """The keys and identities that have signed the image itself, each once."""
        found = (
            each.checked.key
            for each in self.signatures
            if each.checked.state is State.SIGNED and not each.checked.what
        )
        return list({key.fingerprint: key for key in found if key is not None}.values())

    @property
    def in_words(self) -> str:
        """For a badge: ``signed by release``, ``signature invalid``, ``not signed``.

        The last only where all was looked at.
        """
        if self.signers:
            return f"signed by {', '.join(key.name for key in self.signers)}"
        own = [each for each in self.signatures if not each.checked.what]
        if any(each.checked.state is State.INVALID for each in own):
            return "signature invalid"
        if own:
            return "signed, by no key held here"
        return "not all signatures were looked at" if self.has_more else "not signed"


class _Remembered:
    """What came of signatures, by digests. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str, str], tuple[Checked, ...]] = OrderedDict()

    def get(self, key: tuple[str, str, str]) -> tuple[Checked, ...] | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def put(self, key: tuple[str, str, str], found: tuple[Checked, ...]) -> None:
        with self._lock:
            self._known[key] = found
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


_remembered = _Remembered()


def of_image(
    registry: Registry,
    repository: ContainerRepository,
    digest: str,
    holding: Sequence[str] | None = None,
) -> Verified:
    """Who has signed an image, as far as the keys of its project and of the groups above tell.

    `holding` are the manifests that may hold signatures, where they are known already. Raises
    `RegistryUnavailable`, `RegistryRefused`.
    """
    by = _by(repository)
    path = repository.path
    more = False
    if holding is None:
        holding, more = _holding(registry, path, digest)
    looked_at = list(dict.fromkeys(holding))[:MAX_CHECKED]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        held = list(
            pool.map(lambda each: _held(registry, path, digest, each, by.digest), looked_at)
        )
        is_cut = _cut(held)
        answers = pool.map(lambda each: _checked(registry, path, digest, each, by), held)
        found = []
        for each, answer in zip(held, answers, strict=True):
            found += [Signature(each.digest, checked) for checked in answer]
            if each.is_whole and not any(one.sentence == _NOT_HERE for one in answer):
                _remembered.put((digest, each.digest, by.digest), answer)
    found.sort(key=lambda each: (bool(each.checked.what), _ORDER.index(each.checked.state)))
    return Verified(
        found,
        len(by.keys) + len(by.identities),
        more or is_cut or len(set(holding)) > MAX_CHECKED,
        certificates.is_set(),
    )


@dataclass(frozen=True)
class _By:
    """By what signatures are checked; `digest` is that of all of it."""

    keys: Sequence[NamedKey]
    identities: Sequence[NamedIdentity]
    digest: str


def _by(repository: ContainerRepository) -> _By:
    keys = services.named_keys(repository.project)
    named = identities.named_identities(repository.project) if certificates.is_set() else []
    every: list[NamedKey | NamedIdentity] = [*keys, *named]
    known = [f"{each.fingerprint} {each.of} {each.name}\n" for each in every]
    text = "".join(sorted(known)) + certificates.stamp()
    return _By(keys, named, hashlib.sha256(text.encode()).hexdigest())


def _holding(registry: Registry, path: str, digest: str) -> tuple[list[str], bool]:
    """The manifests that may hold signatures, and whether there may be more."""
    if registry.own is None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            asked = pool.map(lambda tag: registry.tag(path, tag), _tags_of(digest))
            page = registry.referrers(path, digest, n=MAX_CHECKED)
            found = [tag.digest for tag in asked if tag]
    else:
        overview = registry.own.overview(path, digest=digest) or Overview()
        page = overview.referrers
        found = [tag.digest for tag in overview.signatures if tag.kind != "sbom"]
    found += [
        each.digest for each in page.referrers if _may_be_one(each.artifact_type or each.media_type)
    ]
    return found, bool(page.next_last)


def _tags_of(digest: str) -> list[str]:
    """The tags by which cosign finds signatures and attestations."""
    if not digest.startswith("sha256:"):
        return []
    return [f"{digest.replace(':', '-', 1)}.{kind}" for kind in ("sig", "att")]


def _may_be_one(artifact_type: str) -> bool:
    """Whether something that refers to an image may hold signatures, by its type."""
    return artifact_type in SIGNATURE_TYPES or any(
        word in artifact_type
        for word in ("cosign", "sigstore", "dsse", "in-toto", "image.manifest")
    )


@dataclass
class _Held:
    """What a manifest holds: `layers` that are signatures, or where it is `remembered` what came
    of them. Where not all of them are looked at it is not `is_whole`; where it says that it is a
    signature, and holds none that could be checked, it is `of_another_kind`, as the Notary
    Project's are.
    """

    digest: str
    layers: Sequence[Descriptor] = ()
    remembered: tuple[Checked, ...] | None = None
    is_whole: bool = True
    of_another_kind: bool = False


def _held(registry: Registry, path: str, digest: str, holding: str, keys_digest: str) -> _Held:
    known = _remembered.get((digest, holding, keys_digest))
    if known is not None:
        return _Held(holding, remembered=known)
    stored = reading.manifest(registry, path, holding)
    if stored is None:
        return _Held(holding, is_whole=False)
    said = manifests.read(stored)
    kinds = (_SIMPLE_SIGNING, _ENVELOPE, _BUNDLE)
    layers = said.layers(0, MAX_CHECKED)
    found = [each for each in layers if each.part.media_type.startswith(kinds)]
    return _Held(holding, found, of_another_kind=not found and said.type in SIGNATURE_TYPES)


def _cut(held: Sequence[_Held]) -> bool:
    """Leave of all what may be read at a time; whether something is left out by that."""
    count, size, is_cut = MAX_READ, MAX_BYTES, False
    for each in held:
        kept: list[Descriptor] = []
        for layer in each.layers:
            read = min(layer.part.size_bytes, MAX_BLOB)
            if not count or read > size:
                each.is_whole, is_cut = False, True
                break
            count, size = count - 1, size - read
            kept.append(layer)
        each.layers = kept
    return is_cut


def _checked(
    registry: Registry, path: str, digest: str, held: _Held, by: _By
) -> tuple[Checked, ...]:
    """What came of the signatures that one manifest holds."""
    if held.remembered is not None:
        return held.remembered
    if held.of_another_kind:
        return (_OF_ANOTHER_KIND,)
    return tuple(_of_layer(registry, path, digest, layer, by) for layer in held.layers)


def _of_layer(
    registry: Registry,
    path: str,
    digest: str,
    layer: Descriptor,
    by: _By,
) -> Checked:
    kind = layer.part.media_type
    # What is larger than its descriptor says is not what was counted.
    most = min(layer.part.size_bytes, MAX_BLOB)
    content = reading.blob(registry, path, layer.part.digest, max_bytes=most)
    if content is None:
        return Checked(State.INVALID, _NOT_HERE)
    if kind.startswith(_SIMPLE_SIGNING):
        signature = layer.annotations.get(_SIGNATURE)
        text = signature if isinstance(signature, str) else ""
        return statements.simple_signing(content, text, digest, by.keys)
    if kind.startswith(_ENVELOPE):
        return statements.envelope(content, digest, by.keys)
    subject: StoredManifest | None = reading.manifest(registry, path, digest)
    if subject is None:
        return Checked(State.INVALID, _NOT_HERE)
    return statements.bundle(content, subject.payload, digest, by.keys, by.identities)
