"""Totals while several push and collect at once: no more passes than may, and nothing drifts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import override_settings

from registry.errors import Code, RegistryError
from registry.models import Blob, RepositoryBlob, Usage
from registry.quotas import Quota, Quotas
from registry.services import usage
from registry.services.garbage import collection
from tests.registry import images
from tests.registry.base import APP
from tests.registry.services.garbage.collecting import only_refusals

pytestmark = pytest.mark.django_db(databases=["registry"], transaction=True)

SIZE = 100
COUNTED = replace(images.ALICE, quotas=Quotas((Quota("acme"),)))


def limited(size: int) -> Any:
    return replace(images.ALICE, quotas=Quotas((Quota("acme", size),)))


def there() -> int:
    """The bytes that lie below acme."""
    rights = RepositoryBlob.objects.filter(repository__name__startswith="acme/")
    return sum(dict(rights.values_list("blob_id", "blob__size")).values())


def said() -> int:
    return usage.of(["acme"])["acme"].bytes


def test_eight_pushes_against_the_last_bytes(at_once: Callable[..., list[Any]]) -> None:
    """Each has room for its blob when it begins, and all together have not."""
    images.push_blob("acme/first", images.content(SIZE), COUNTED)
    actor = limited(2 * SIZE)
    results = at_once(
        *(
            lambda n=n: images.push_blob(f"acme/app{n}", images.content(SIZE), actor)
            for n in range(8)
        )
    )
    refused = [each for each in results if isinstance(each, RegistryError)]
    only_refusals(results)
    assert {each.code for each in refused} <= {Code.DENIED}
    assert 1 <= 8 - len(refused) <= 8
    assert said() == there() == SIZE * (9 - len(refused))
    for n in range(8):
        with pytest.raises(RegistryError) as error:
            images.push_blob(f"acme/app{n}", images.content(SIZE), actor)
        assert error.value.code is Code.DENIED, "nobody passes after them"


def test_eight_pushes_to_one_repository_pass_by_no_byte(
    at_once: Callable[..., list[Any]],
) -> None:
    """They take turns, so each sees what those before have used."""
    images.push_blob(APP, images.content(SIZE), COUNTED)
    actor = limited(4 * SIZE)
    results = at_once(*[lambda: images.push_blob(APP, images.content(SIZE), actor)] * 8)
    only_refusals(results)
    assert sum(isinstance(each, RegistryError) for each in results) == 5
    assert said() == there() == 4 * SIZE


def test_one_blob_from_eight_sides_counts_once(at_once: Callable[..., list[Any]]) -> None:
    usage.room(COUNTED.quotas)
    body = images.content(SIZE)
    results = at_once(
        *(lambda n=n: images.push_blob(f"acme/app{n}", body, COUNTED) for n in range(8))
    )
    assert not [each for each in results if isinstance(each, BaseException)]
    assert said() == there() == SIZE
    assert Blob.objects.count() == 1


def test_pushes_collectors_and_counts_at_once(
    at_once: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "AT_ONCE", 5)
    usage.room(COUNTED.quotas)
    shared = [images.content(SIZE + n) for n in range(6)]

    def push(number: int) -> None:
        for round_ in range(8):
            images.push_blob(f"acme/app{number}", shared[(number + round_) % 6], COUNTED)
            images.push_blob(f"acme/app{number}", images.content(SIZE), COUNTED)

    def collect() -> None:
        for _ in range(20):
            collection.review(10)

    def count() -> None:
        pk = Usage.objects.get(path="acme").pk
        for _ in range(5):
            usage.count_again(pk)
            usage.count_some(10)

    with override_settings(REGISTRY_GC_REVIEW_DELAY=dt.timedelta(0), UNDO_WINDOW=dt.timedelta(0)):
        results = at_once(*(lambda n=n: push(n) for n in range(3)), collect, collect, count)
    assert not [each for each in results if isinstance(each, BaseException)]
    assert said() == there()
    usage.count_some(100)
    assert said() == there()
