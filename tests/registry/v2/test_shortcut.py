"""The requests of a push, which the view answers before Django's handler is asked."""

from __future__ import annotations

import io
import logging
import uuid
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError

from registry import media_types
from registry.models import Event, RepositoryBlob
from registry.services import uploads
from registry.v2 import pulls, shortcut
from tests.registry import images
from tests.registry.base import APP, Person
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

UPLOADS = f"/v2/{APP}/blobs/uploads/"
OTHER = "acme/other"
ALSO = (Access.repository(OTHER, "pull"),)
NONE = "0b7c6f0e-3d36-4f38-9d49-5e1a0c7d1f4a"
"""The id of no session."""
CHANGING = {"Location", "Docker-Upload-UUID"}
"""Fields that differ from one upload to the next."""


def answer(environ: dict[str, Any]) -> pulls.Answer | None:
    asked = shortcut.question(environ)
    return None if asked is None else shortcut.answers([asked])[0]


def both(
    person: Person,
    path: str,
    method: str = "POST",
    body: bytes = b"",
    *,
    then: str | None = None,
    **options: Any,
) -> tuple[Any, pulls.Answer | None]:
    """What Django's handler answers, and what is answered to the same request before it; or to one
    for `then`.
    """
    response = person.send(method, path, body, also=ALSO, **options)
    environ = response.wsgi_request.META
    ours = {name: each for name, each in environ.items() if not name.startswith("berth.")}
    if then is not None:
        ours["PATH_INFO"], _, ours["QUERY_STRING"] = then.partition("?")
    return response, answer({**ours, "wsgi.input": io.BytesIO(body)})


def assert_same(response: Any, found: pulls.Answer | None) -> None:
    assert found is not None
    assert found.status == f"{response.status_code} {response.reason_phrase}"
    # A field may stand more than once.
    fields = [each for each in response.items() if each[0] != "X-Request-Id"]
    assert [name for name, _ in found.headers] == [name for name, _ in fields]
    changing = CHANGING if response.status_code == 202 else set()
    for ours, theirs in zip(found.headers, fields, strict=True):
        assert ours == theirs or ours[0] in changing
    assert found.body == response.content
    assert found.route == response.wsgi_request.resolver_match.route


def test_a_mount(bob: Person) -> None:
    images.push_blob(APP, b"first")
    digest = images.push_blob(OTHER, b"hello")
    response, found = both(bob, f"{UPLOADS}?mount={digest}&from={OTHER}")
    assert_same(response, found)
    assert response.status_code == 201
    assert RepositoryBlob.objects.filter(repository__name=APP).count() == 2
    assert Event.objects.filter(action="mount").count() == 2


def test_an_upload(bob: Person) -> None:
    response, found = both(bob, UPLOADS)
    assert_same(response, found)
    assert response.status_code == 202
    assert found is not None
    location = dict(found.headers)["Location"]
    digest = images.digests.of(b"hello")
    assert bob.send("PUT", f"{location}&digest={digest}", b"hello").status_code == 201


def test_the_end_of_an_upload(bob: Person) -> None:
    """As docker ends one, whose bytes have come by PATCH. Twice is as once."""
    location = bob.send("POST", UPLOADS)["Location"]
    location = bob.send("PATCH", location, b"hello")["Location"]
    path = f"{location}&digest={images.digests.of(b'hello')}"
    response, found = both(bob, path, "PUT")
    assert_same(response, found)
    assert response.status_code == 201
    for wrong, status in (
        (f"{location}&digest={images.digests.of(b'other')}", 400),
        (f"{UPLOADS}{uuid.uuid4()}?digest={images.digests.of(b'hello')}", 404),
        (location, 400),
    ):
        response, found = both(bob, wrong, "PUT")
        assert response.status_code == status
        assert_same(response, found)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"{UPLOADS}?digest={images.digests.of(b'hello')}", 201),
        ("POST", f"{UPLOADS}?digest={images.digests.of(b'other')}", 400),
        ("PUT", f"{{location}}&digest={images.digests.of(b'hello')}", 201),
        ("PUT", f"{{location}}&digest={images.digests.of(b'other')}", 400),
        ("PUT", "{location}", 400),
        ("PUT", f"{UPLOADS}{NONE}?digest={images.digests.of(b'hello')}", 404),
        ("PATCH", "{location}", 202),
        ("PATCH", f"{UPLOADS}{NONE}", 404),
    ],
)
def test_bytes(bob: Person, method: str, path: str, status: int, chunked: bool) -> None:
    first, then = (path.format(location=bob.send("POST", UPLOADS)["Location"]) for _ in range(2))
    response, found = both(bob, first, method, b"hello", then=then, chunked=chunked)
    assert response.status_code == status
    assert_same(response, found)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_manifest(bob: Person, chunked: bool) -> None:
    image = images.push_image(APP, "v1")
    address, kind = (
        f"/v2/{APP}/manifests",
        {"content_type": media_types.OCI_MANIFEST, "chunked": chunked},
    )
    for path, status in (
        (f"{address}/v2", 201),
        (f"{address}/{image.digest}?tag=v3&tag=v4", 201),
        (f"{address}/{image.digest}?tag=-", 400),
        (f"{address}/{images.digests.of(b'other')}", 400),
        (f"{address}/-", 400),
        (f"{address}/%C3%A9", 400),
    ):
        response, found = both(bob, path, "PUT", image.payload, **kind)
        assert response.status_code == status
        assert_same(response, found)
    for body in (b"{}", b"no JSON", b"x" * (settings.REGISTRY_MAX_MANIFEST_SIZE + 1)):
        response, found = both(bob, f"{address}/v5", "PUT", body, **kind)
        assert response.status_code in (400, 413)
        assert_same(response, found)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{UPLOADS}?mount=sha256:zz", 400),
        (f"{UPLOADS}?mount=sha256:{'0' * 64}&from=ACME", 400),
        (f"{UPLOADS}?mount=sha256:{'0' * 64}&from=a&from=b", 400),
        (f"{UPLOADS}?digest=sha256:{'0' * 64}", 400),
        (f"{UPLOADS}?mount=sha256:{'0' * 64}&from={OTHER}", 202),
        ("/v2/acme/app/blobs/uploads/blobs/uploads/", 401),
    ],
)
def test_what_is_refused(bob: Person, path: str, status: int) -> None:
    response, found = both(bob, path)
    assert response.status_code == status
    assert_same(response, found)


def test_who_may_not(carol: Person, nobody: Person) -> None:
    for person in (carol, nobody):
        response, found = both(person, UPLOADS)
        assert response.status_code == 401
        assert_same(response, found)


@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("gone"), 503), (ValueError("ours"), 500)]
)
def test_failures(
    bob: Person,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
) -> None:
    """Logged as Django does, a fault of ours with its trace."""

    def fail(*_given: object) -> None:
        raise error

    monkeypatch.setattr(uploads, "start", fail)
    bob.raise_request_exception = False
    with caplog.at_level(logging.ERROR, "django.request"):
        response, found = both(bob, UPLOADS)
    assert response.status_code == status
    assert_same(response, found)
    ours, theirs = (each for each in caplog.records if each.name == "django.request")
    assert ours.getMessage() == theirs.getMessage()
    assert bool(ours.exc_info) == bool(theirs.exc_info) == (status == 500)


def test_what_is_left_to_djangos_handler(bob: Person) -> None:
    for path in (
        f"/{UPLOADS}",
        UPLOADS.rstrip("/"),
        "/v2/ACME/blobs/uploads/",
        f"/v2/{'a' * 256}/blobs/uploads/",
        f"/v2/{APP}/manifests/v1",
    ):
        assert both(bob, path)[1] is None, path
    assert both(bob, f"{UPLOADS}{uuid.uuid4()}", "DELETE")[1] is None
    for path in (f"/v2/{APP}/manifests/", f"/v2/{APP}/blobs/{images.digests.of(b'hello')}"):
        assert both(bob, path, "PUT")[1] is None, path


def test_pulls_are_answered_too(bob: Person) -> None:
    image = images.push_image(APP, "v1")
    response = bob.send("GET", f"/v2/{APP}/manifests/v1")
    begun = bob.send("POST", UPLOADS)
    asked = [shortcut.question(each.wsgi_request.META) for each in (begun, response, begun)]
    assert [each.is_quick for each in asked if each] == [False, True, False]
    found = shortcut.answers([each for each in asked if each])
    assert [each.status[:3] for each in found if each] == ["202", "200", "202"]
    assert found[1]
    assert found[1].body == image.payload
    assert shortcut.question(bob.send("GET", "/v2/_catalog").wsgi_request.META) is None
