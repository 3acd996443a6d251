"""Registries in random states: pushes, deletions, closings and undo, from a seed."""

from __future__ import annotations

import random
from typing import Any

import pytest

from registry.errors import RegistryError
from registry.models import Manifest, RepositoryBlob, Tag
from registry.services import blobs, manifests, repositories, tags, undo
from registry.services.garbage import collection as garbage
from tests.registry import images
from tests.registry.images import ALICE

NAMES = ("acme/app", "acme/other", "mallory/evil")
TAGS = ("latest", "v1", "v2", "v3")
SEEDS = [
    *range(4),
    *(pytest.param(seed, marks=pytest.mark.engineless) for seed in range(4, 12)),
]
"""Of states, for what has to hold in all of them. How an engine answers a query shows in each, so
that further ones are looked at on one engine only."""


class RandomRegistry:
    """Does one random thing after the other. What is refused is refused: that is a state too."""

    def __init__(self, seed: int, clock: Any) -> None:
        self._random = random.Random(seed)
        self._clock = clock
        self._layers = [images.content(50 + number) for number in range(6)]
        self._images: dict[str, list[images.Image]] = {name: [] for name in NAMES}
        self._closed: list[tuple[str, int]] = []

    def do(self, count: int) -> None:
        """`count` random things, with time passing in between."""
        doings = [
            *[self._push_image] * 4, self._push_index, self._push_artifact, self._push_blob,
            self._push_mixture, self._push_foreign, self._push_signature,
            *[self._delete_tag] * 3, self._delete_manifest, self._delete_blob, self._close,
            self._restore, self._keep_untagged, self._review, self._promise,
        ]  # fmt: skip
        for _ in range(count):
            try:
                self._random.choice(doings)(self._random.choice(NAMES))
            except RegistryError:
                continue
            finally:
                if self._random.random() < 0.4:
                    self._clock.advance(minutes=self._random.randint(1, 90))

    def _tag(self) -> str | None:
        return self._random.choice([*TAGS, None])

    def _push_image(self, name: str) -> None:
        layers = self._random.sample(self._layers, self._random.randint(1, 3))
        self._images[name].append(images.push_image(name, self._tag(), layers=layers))

    def _push_index(self, name: str) -> None:
        known = self._images[name]
        if known:
            children = self._random.sample(known, min(len(known), self._random.randint(1, 3)))
            pushed = images.push_index(name, self._tag(), [one.descriptor for one in children])
            known.append(pushed)

    def _push_mixture(self, name: str) -> None:
        """An index of images and of blobs, some of which come later or never."""
        layers = self._random.sample(self._layers, self._random.randint(1, 3))
        listed = [images.descriptor(layer, images.LAYER) for layer in layers]
        if self._images[name]:
            listed.append(self._random.choice(self._images[name]).descriptor)
        self._images[name].append(images.push_index(name, self._tag(), listed))

    def _push_foreign(self, name: str) -> None:
        """An image with a layer that need not be here."""
        layer = images.descriptor(self._random.choice(self._layers), images.LAYER)
        images.push_blob(name, images.EMPTY_CONFIG)
        value = images.document(images.EMPTY_CONFIG, [], annotations={"n": str(len(self._images))})
        value["layers"] = [{**layer, "urls": ["https://elsewhere.example/"]}]
        self._images[name].append(images.push_manifest(name, self._tag(), value))

    def _push_signature(self, name: str) -> None:
        """As cosign did: tied to its image by the name of a tag alone."""
        if self._images[name]:
            signed = self._random.choice(self._images[name]).digest.replace(":", "-")
            images.push_image(name, f"{signed}.sig", layers=[self._random.choice(self._layers)])

    def _push_artifact(self, name: str) -> None:
        if self._images[name]:
            subject = self._random.choice(self._images[name])
            self._images[name].append(images.push_artifact(name, subject, "a/b", self._tag()))

    def _push_blob(self, name: str) -> None:
        images.push_blob(name, self._random.choice([*self._layers, images.content()]))

    def _delete_tag(self, name: str) -> None:
        tags.delete(name, self._random.choice(TAGS), ALICE)

    def _delete_manifest(self, name: str) -> None:
        if self._images[name]:
            manifests.delete(name, self._random.choice(self._images[name]).digest, ALICE)

    def _delete_blob(self, name: str) -> None:
        rights = list(RepositoryBlob.objects.filter(repository__name=name).order_by("pk"))
        if rights:
            blobs.delete(name, self._random.choice(rights).blob.digest, ALICE)

    def _promise(self, name: str) -> None:
        rights = list(RepositoryBlob.objects.filter(repository__name=name).order_by("pk"))
        if rights:
            blobs.promise(name, self._random.choice(rights).blob.digest)

    def _close(self, name: str) -> None:
        if self._random.random() < 0.3:
            self._closed.append((name, repositories.close(name, ALICE)))

    def _restore(self, name: str) -> None:
        if self._closed and self._random.random() < 0.5:
            undo.restore_repository(*self._random.choice(self._closed), ALICE)
            return
        ended = Tag.objects.filter(repository__name=name, ended_at__isnull=False).order_by("pk")
        deleted = Manifest.objects.filter(repository__name=name, deleted_at__isnull=False)
        if ended and self._random.random() < 0.5:
            undo.restore_tags(name, [self._random.choice(list(ended)).pk], ALICE)
        elif deleted:
            chosen = self._random.choice(list(deleted.order_by("pk")))
            undo.restore_manifest(name, chosen.digest, ALICE)

    def _keep_untagged(self, name: str) -> None:
        if self._random.random() < 0.3:
            repositories.set_collect_untagged(name, self._random.random() < 0.6)

    def _review(self, name: str) -> None:
        garbage.review(self._random.randint(1, 20))
