"""Protected and immutable tags, against everything that could delete, move or push one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry import media_types
from registry.errors import Code
from registry.models import Manifest, Repository, Tag
from registry.services import repositories
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tokens.access import Access
from tokens.issue import issue

pytestmark = pytest.mark.django_db(databases=["registry"])

IMMUTABLE = {"tag_immutable_patterns": ["^v"]}
DENIED = {
    "tag_deny_access_patterns": {"push": ["^v"], "delete": ["^v"]},
    "tag_deny_access_levels": {"push": ["maintainer"], "delete": ["owner"]},
}
RULES = {"immutable": IMMUTABLE, "denied": DENIED}
SAYS = {
    "immutable": 'tag v1 is immutable by rule "^v"',
    "denied": 'tag v1 is protected by rule "^v": ',
}


def token(meta: dict[str, Any], *actions: str) -> str:
    actions = actions or ("pull", "push", "delete")
    access = Access("repository", APP, actions, meta)
    return issue([access], subject="alice").text


def state() -> Any:
    """All that could change."""
    return (
        sorted(Tag.objects.values_list("name", "digest", "ended_at")),
        sorted(Manifest.objects.values_list("digest", "deleted_at")),
        sorted(Repository.objects.values_list("name", "closed_at")),
    )


def _put(person: Person, reference: str, payload: bytes, meta: dict[str, Any]) -> Any:
    return person.send(
        "PUT",
        f"/v2/{APP}/manifests/{reference}",
        payload,
        content_type=media_types.OCI_MANIFEST,
        token=token(meta),
    )


def _restore(person: Person, body: dict[str, Any], meta: dict[str, Any]) -> Any:
    return person.send(
        "POST", f"/gitlab/v1/berth/restore/{APP}/", json.dumps(body).encode(), token=token(meta)
    )


def _delete(path: str) -> Callable[[Person, Any, dict[str, Any]], Any]:
    def act(person: Person, made: Any, meta: dict[str, Any]) -> Any:
        return person.send("DELETE", path.format(digest=made[0].digest), token=token(meta))

    return act


WAYS: dict[str, Callable[[Person, Any, dict[str, Any]], Any]] = {
    "push by tag": lambda p, made, meta: _put(p, "v1", made[1].payload, meta),
    "push by digest with the tag": lambda p, made, meta: _put(
        p, f"{made[1].digest}?tag=free&tag=v1", made[1].payload, meta
    ),
    "delete the tag": _delete(f"/v2/{APP}/manifests/v1"),
    "delete the manifest": _delete(f"/v2/{APP}/manifests/{{digest}}"),
    "delete the repository": _delete(f"/gitlab/v1/repositories/{APP}/"),
    "delete the repository, in parts": _delete(f"/gitlab/v1/berth/repository/{APP}/?n=1"),
}


@pytest.fixture
def made(alice: Person) -> Any:
    """The image of ``v1``, and another one."""
    first = images.push_image(APP, "v1")
    return first, images.push_image(APP, "other")


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_moves_or_takes_it(alice: Person, made: Any, way: str, kind: str) -> None:
    before = state()
    response = WAYS[way](alice, made, RULES[kind])
    assert_refused(response, Code.DENIED)
    (error,) = response.json()["errors"]
    assert error["message"].startswith(SAYS[kind])
    assert error["detail"] == {"tag": "v1", "rule": "^v"}
    assert state() == before


@pytest.mark.parametrize("way", WAYS)
def test_without_a_rule_each_of_them_works(alice: Person, made: Any, way: str) -> None:
    before = state()
    meta = {
        "tag_immutable_patterns": ["^w"],
        "tag_deny_access_patterns": {"push": [], "delete": []},
    }
    assert WAYS[way](alice, made, meta).status_code < 300
    assert state() != before


def test_who_may_is_said(alice: Person, made: Any) -> None:
    pushed = WAYS["push by tag"](alice, made, DENIED)
    assert pushed.json()["errors"][0]["message"].endswith("pushing takes the role Maintainer")
    deleted = WAYS["delete the tag"](alice, made, DENIED)
    assert deleted.json()["errors"][0]["message"].endswith("deleting takes the role Owner")


def test_an_immutable_tag_takes_the_same_digest_again(alice: Person, made: Any) -> None:
    assert _put(alice, "v1", made[0].payload, IMMUTABLE).status_code == 201
    again = f"{made[0].digest}?tag=v1"
    assert _put(alice, again, made[0].payload, IMMUTABLE).status_code == 201
    assert Tag.objects.filter(name="v1").count() == 1


def test_an_immutable_tag_may_be_made(alice: Person, made: Any) -> None:
    assert _put(alice, "v2", made[0].payload, IMMUTABLE).status_code == 201
    assert_refused(_put(alice, "v2", made[1].payload, IMMUTABLE), Code.DENIED)


def test_a_denied_tag_may_not_be_made_nor_pushed_again(alice: Person, made: Any) -> None:
    assert_refused(_put(alice, "v2", made[0].payload, DENIED), Code.DENIED)
    assert_refused(_put(alice, "v1", made[0].payload, DENIED), Code.DENIED)


def test_one_tag_of_many_refuses_all(alice: Person, made: Any) -> None:
    before = state()
    reference = f"{made[1].digest}?tag=a&tag=b&tag=v1&tag=c"
    assert_refused(_put(alice, reference, made[1].payload, IMMUTABLE), Code.DENIED)
    assert state() == before


def test_a_manifest_without_such_a_tag_goes(alice: Person, made: Any) -> None:
    path = f"/v2/{APP}/manifests/{made[1].digest}"
    assert alice.send("DELETE", path, token=token(IMMUTABLE)).status_code == 202


def test_a_tag_that_has_moved_away_protects_no_manifest(alice: Person, made: Any) -> None:
    images.push_manifest(APP, "v1", json.loads(made[1].payload))
    path = f"/v2/{APP}/manifests/{made[0].digest}"
    assert alice.send("DELETE", path, token=token(IMMUTABLE)).status_code == 202


def test_undo_pushes_nothing_that_its_caller_may_not(alice: Person, made: Any) -> None:
    alice.send("DELETE", f"/v2/{APP}/manifests/v1")
    interval = Tag.objects.get(name="v1").pk
    before = state()
    response = _restore(alice, {"tags": [interval]}, DENIED)
    assert_refused(response, Code.DENIED)
    assert response.json()["errors"][0]["message"].startswith(SAYS["denied"])
    assert state() == before
    # It is gone, so it may be there again: an immutable one as well.
    assert _restore(alice, {"tags": [interval]}, IMMUTABLE).status_code == 200


def test_undo_of_a_manifest_pushes_nothing_either(alice: Person, made: Any) -> None:
    alice.send("DELETE", f"/v2/{APP}/manifests/{made[0].digest}")
    before = state()
    body = {"manifest": made[0].digest}
    assert_refused(_restore(alice, body, DENIED), Code.DENIED)
    assert state() == before
    assert _restore(alice, body, IMMUTABLE).json() == {"tags": ["v1"]}


def test_undo_of_a_repository_pushes_nothing_either(alice: Person, made: Any) -> None:
    alice.send("DELETE", f"/gitlab/v1/repositories/{APP}/")
    body = {"repository": Repository.objects.get().pk}
    before = state()
    assert_refused(_restore(alice, body, DENIED), Code.DENIED)
    assert state() == before
    assert _restore(alice, body, IMMUTABLE).status_code == 200


def test_nobody_moves_a_tag_by_bringing_an_older_one_back(alice: Person, made: Any) -> None:
    images.push_manifest(APP, "v1", json.loads(made[1].payload))
    interval = Tag.objects.filter(name="v1").earliest("pk").pk
    assert_refused(_restore(alice, {"tags": [interval]}, IMMUTABLE), Code.DENIED, 409)


def test_all_tags_are_looked_at(alice: Person, made: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(repositories, "_BATCH", 2)
    for number in range(7):
        images.push_manifest(APP, f"a{number}", json.loads(made[0].payload))
    found = list(repositories.open_tags(Repository.objects.get().pk))
    assert found == [*(f"a{number}" for number in range(7)), "other", "v1"]
    assert_refused(WAYS["delete the repository"](alice, made, IMMUTABLE), Code.DENIED)


def test_rules_that_cannot_be_read_let_nothing_through(alice: Person, made: Any) -> None:
    meta = {"tag_immutable_patterns": "^v"}
    assert_refused(_put(alice, "free", made[0].payload, meta), Code.DENIED)
    path = f"/v2/{APP}/manifests/v1"
    assert alice.send("GET", path, token=token(meta, "pull")).status_code == 200


def _statements(act: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connections["registry"]) as captured:
        assert act().status_code < 300
    return len(captured)


def test_a_push_under_rules_costs_no_statement_more(alice: Person, made: Any) -> None:
    plain, ruled = (
        _statements(lambda tag=tag, meta=meta: _put(alice, tag, made[0].payload, meta))
        for tag, meta in (("w1", {}), ("w2", {**IMMUTABLE, **DENIED}))
    )
    assert ruled == plain


def test_a_deletion_without_rules_costs_no_statement_more(alice: Person, made: Any) -> None:
    images.push_image(APP, "w1")
    images.push_image(APP, "w2")
    digests = [Tag.objects.get(name=name).digest for name in ("w1", "w2")]
    plain, ruled = (
        _statements(
            lambda digest=digest, meta=meta: alice.send(
                "DELETE", f"/v2/{APP}/manifests/{digest}", token=token(meta)
            )
        )
        for digest, meta in zip(digests, ({}, IMMUTABLE), strict=True)
    )
    # The tags of the manifest: two pages, of which the second is empty.
    assert ruled == plain + 2
