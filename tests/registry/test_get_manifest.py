"""end-3: manifests by tag and by digest."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from registry.errors import Code
from registry.services import database, repositories
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person

pytestmark = pytest.mark.django_db(databases=["registry"])


def test_it_works_by_tag(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    response = carol.send("GET", f"/v2/{APP}/manifests/v1")
    assert response.status_code == 200
    assert response.content == image.payload
    assert response.headers["Content-Type"] == image.media_type
    assert response.headers["Docker-Content-Digest"] == image.digest
    assert response.headers["ETag"] == f'"{image.digest}"'
    assert response.headers["Content-Length"] == str(image.size)
    assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_it_works_by_digest(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    response = carol.send("GET", f"/v2/{APP}/manifests/{image.digest}")
    assert response.content == image.payload


def test_head_says_what_get_says(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    got = carol.send("GET", f"/v2/{APP}/manifests/v1")
    head = carol.send("HEAD", f"/v2/{APP}/manifests/v1")
    assert head.status_code == 200
    assert head.content == b""
    headers = {k: v for k, v in head.headers.items() if k != "X-Request-Id"}
    assert headers == {k: v for k, v in got.headers.items() if k != "X-Request-Id"}
    assert headers["Content-Length"] == str(image.size)


@pytest.mark.parametrize(
    "accept",
    [None, "*/*", "text/html", "application/vnd.oci.image.index.v1+json", "a/b;q=0.1, */*;q=0"],
)
def test_accept_never_changes_the_answer(carol: Person, accept: str | None) -> None:
    image = images.push_image(APP, "v1")
    response = carol.send("GET", f"/v2/{APP}/manifests/v1", Accept=accept)
    assert (response.status_code, response.content) == (200, image.payload)


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"x", "{}"', "{}", "*"])
def test_what_the_client_has_is_not_sent_again(carol: Person, form: str) -> None:
    image = images.push_image(APP, "v1")
    response = carol.send("GET", f"/v2/{APP}/manifests/v1", If_None_Match=form.format(image.digest))
    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["ETag"] == f'"{image.digest}"'
    assert "Content-Length" not in response.headers


def test_another_etag_is_answered_in_full(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    response = carol.send("GET", f"/v2/{APP}/manifests/v1", If_None_Match='"sha256:0"')
    assert response.content == image.payload


def test_a_moved_tag_answers_with_the_new_manifest(carol: Person) -> None:
    old, new = images.push_image(APP, "v1"), images.push_image(APP, "v1")
    assert carol.send("GET", f"/v2/{APP}/manifests/v1").content == new.payload
    assert carol.send("GET", f"/v2/{APP}/manifests/{old.digest}").content == old.payload


def test_it_takes_one_query(carol: Person, django_assert_max_num_queries: Any) -> None:
    images.push_image(APP, "v1")
    carol.compares = False
    with django_assert_max_num_queries(1, using="registry"):
        carol.send("GET", f"/v2/{APP}/manifests/v1")


def test_it_refuses_what_is_not_here(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    elsewhere = images.push_image("acme/other", "v1")
    for reference in ("v2", f"sha256:{'0' * 64}", elsewhere.digest, image.layers[0], image.config):
        response = carol.send("GET", f"/v2/{APP}/manifests/{reference}")
        assert_refused(response, Code.MANIFEST_UNKNOWN)
    response = carol.send("GET", "/v2/acme/none/manifests/v1")
    assert_refused(response, Code.NAME_UNKNOWN)


def test_tags_differ_in_case(carol: Person) -> None:
    images.push_image(APP, "Latest")
    assert_refused(carol.send("GET", f"/v2/{APP}/manifests/latest"), Code.MANIFEST_UNKNOWN)


@pytest.mark.parametrize(
    "reference",
    ["sha256:zz", "md5:00", f"sha256:{'A' * 64}", f"sha256:{'0' * 63}", "sha256:", ":",
     ".INVALID_MANIFEST_NAME", "-v1", ".v1", "v 1", "v%0A", "v1%0A", "ü", "a" * 129, "v1%00"],
)  # fmt: skip
def test_a_reference_that_cannot_exist_is_unknown(alice: Person, reference: str) -> None:
    """Only who pushes it has made a mistake: the official suite asks so for what is not there."""
    images.push_image(APP, "v1")
    path = f"/v2/{APP}/manifests/{reference}"
    for method in ("GET", "DELETE"):
        assert_refused(alice.send(method, path), Code.MANIFEST_UNKNOWN)
    assert alice.send("HEAD", path).status_code == 404
    assert alice.send("PUT", path, b"{}").status_code == 400
    unknown = alice.send("GET", f"/v2/acme/none/manifests/{reference}")
    assert_refused(unknown, Code.NAME_UNKNOWN)


def test_a_closed_repository_is_unknown(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    repositories.close(APP, images.ALICE)
    for reference in ("v1", image.digest):
        response = carol.send("GET", f"/v2/{APP}/manifests/{reference}")
        assert_refused(response, Code.NAME_UNKNOWN)


def test_a_new_owner_of_the_name_inherits_nothing(carol: Person) -> None:
    old = images.push_image(APP, "v1")
    repositories.close(APP, images.ALICE)
    images.push_image(APP, "v2")
    for path in ("manifests/v1", f"manifests/{old.digest}", f"blobs/{old.layers[0]}"):
        assert carol.send("GET", f"/v2/{APP}/{path}").status_code == 404


def test_it_checks_access(alice: Person, mallory: Person, nobody: Person) -> None:
    images.push_image(APP, "v1")
    path = f"/v2/{APP}/manifests/v1"
    assert alice.send("GET", path).status_code == 200
    assert_challenged(nobody.send("GET", path), f"repository:{APP}:pull")
    assert_challenged(mallory.send("GET", path), f"repository:{APP}:pull", "insufficient_scope")
    pusher = Person("pusher", ("push",))
    assert_challenged(pusher.send("GET", path), f"repository:{APP}:pull", "insufficient_scope")


def test_a_stranger_cannot_tell_what_exists(mallory: Person) -> None:
    images.push_image(APP, "v1")
    answers = {
        (r.status_code, r.content.replace(b"acme/none", APP.encode()))
        for r in (
            mallory.send("GET", f"/v2/{APP}/manifests/v1"),
            mallory.send("GET", f"/v2/{APP}/manifests/none"),
            mallory.send("GET", "/v2/acme/none/manifests/v1"),
        )
    }
    assert len(answers) == 1


def test_a_connection_that_was_lost_is_opened_again(
    carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that was restarted costs no reader an error: each thread has kept a connection."""
    image = images.push_image(APP, "v1")
    lost = []
    ask = database.one

    def fail_once(sql: str, parameters: Any) -> Any:
        if not lost:
            lost.append(True)
            raise OperationalError("server closed the connection unexpectedly")
        return ask(sql, parameters)

    monkeypatch.setattr(database, "one", fail_once)
    monkeypatch.setattr(database, "close_if_lost", lambda: True)
    assert carol.send("GET", f"/v2/{APP}/manifests/v1").content == image.payload


def test_a_failure_of_a_connection_that_holds_is_answered(
    carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail(sql: str, parameters: Any) -> Any:
        calls.append(sql)
        raise OperationalError("database is locked")

    monkeypatch.setattr(database, "one", fail)
    carol.compares = False
    assert_refused(carol.send("GET", f"/v2/{APP}/manifests/v1"), Code.UNAVAILABLE)
    assert len(calls) == 1
