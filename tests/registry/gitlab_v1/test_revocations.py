"""``POST /gitlab/v1/revocations/``: tokens that end before their time, at the next request."""

from __future__ import annotations

import copy
import datetime as dt
import json
import time
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.models import Event, Repository, RepositoryBlob, Revocation
from registry.services import database, revocations
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, answer_at_once
from tokens.access import Access
from tokens.issue import issue

pytestmark = pytest.mark.django_db(databases=["registry"])

URL = "/gitlab/v1/revocations/"
MANIFEST = f"/v2/{APP}/manifests/v1"
OTHER = "other/app"


@pytest.fixture
def gitlab() -> Person:
    return Person(None, (), own=True)


@pytest.fixture(autouse=True)
def image() -> images.PushedImage:
    images.push_image(OTHER, "v1")
    return images.push_image(APP, "v1")


def now() -> int:
    return int(time.time() * 1000)


def tell(gitlab: Person, *ended: dict[str, Any], before: int | None = None) -> Any:
    moment = now() if before is None else before
    told = {"revocations": [{"before": moment, **each} for each in ended]}
    return gitlab.send("POST", URL, json.dumps(told).encode(), content_type="application/json")


def token(
    subject: str | None = "bob", *, credential: str = "access_token:1", ago: float = 1.0,
    name: str = APP,
) -> str:  # fmt: skip
    """A token that was decided so many seconds ago."""
    access = [Access.repository(name, "pull", "push")]
    decided_at = time.time() - ago
    return issue(access, subject=subject, credential=credential, decided_at=decided_at).text


ENDING = [
    {"credential": "access_token:1"},
    {"subject": "bob"},
    {"path": APP},
    {"path": "acme"},
    {"subject": "bob", "path": "acme"},
    {"subject": "bob", "path": APP},
]
LEAVING = [
    {"credential": "access_token:11"},
    {"subject": "bo"},
    {"path": "acme/ap"},
    {"path": "acme/app/web"},
    {"subject": "carol", "path": "acme"},
    {"subject": "bob", "path": "other"},
]


@pytest.mark.parametrize("ended", ENDING, ids=str)
def test_it_ends_what_was_decided_before(gitlab: Person, bob: Person, ended: Any) -> None:
    text = token()
    assert bob.send("GET", MANIFEST, token=text).status_code == 200
    assert tell(gitlab, ended).status_code == 204
    for method, path in (
        ("GET", MANIFEST),
        ("HEAD", MANIFEST),
        ("GET", f"/v2/{APP}/manifests/none"),
        ("GET", f"/v2/{APP}/tags/list"),
        ("POST", f"/v2/{APP}/blobs/uploads/"),
        ("PUT", f"/v2/{APP}/manifests/v2"),
        ("GET", "/v2/"),
    ):
        response = bob.send(method, path, token=text)
        assert response.status_code == 401, (method, path)
        assert 'error="invalid_token"' in response["WWW-Authenticate"]
    # docker asks again, and goes on with what it gets.
    assert bob.send("GET", MANIFEST, token=token(ago=-0.01)).status_code == 200


@pytest.mark.parametrize("ended", LEAVING, ids=str)
def test_it_leaves_all_others(gitlab: Person, bob: Person, ended: Any) -> None:
    text = token()
    assert tell(gitlab, ended).status_code == 204
    assert bob.send("GET", MANIFEST, token=text).status_code == 200


def test_it_leaves_gitlabs_own_and_those_without_a_credential(gitlab: Person, bob: Person) -> None:
    own = token(None, credential="")
    mine = token(credential="")
    tell(gitlab, {"path": "acme"}, before=now() - 5000)
    tell(gitlab, {"credential": "access_token:1"})
    assert bob.send("GET", MANIFEST, token=own).status_code == 200
    assert bob.send("GET", MANIFEST, token=mine).status_code == 200
    tell(gitlab, {"path": "acme"})
    assert bob.send("GET", MANIFEST, token=own).status_code == 200
    assert bob.send("GET", MANIFEST, token=mine).status_code == 401


def test_the_later_moment_counts_and_twice_is_once(gitlab: Person, bob: Person) -> None:
    text, moment = token(ago=10), now()
    tell(gitlab, {"subject": "bob"}, before=moment - 5000)
    tell(gitlab, {"subject": "bob"}, before=moment - 60_000)
    tell(gitlab, {"subject": "bob"}, before=moment - 5000)
    assert Revocation.objects.count() == 1
    assert bob.send("GET", MANIFEST, token=text).status_code == 401
    assert bob.send("GET", MANIFEST, token=token(ago=3)).status_code == 200
    tell(gitlab, {"subject": "bob"}, before=moment)
    assert bob.send("GET", MANIFEST, token=token(ago=3)).status_code == 401


def test_a_pull_notices_by_the_query_that_it_makes(gitlab: Person) -> None:
    """Before Django's handler: one query as before, and the ordinary view says the 401."""
    text = token()
    environ = RequestFactory(HTTP_HOST="registry.example").get(MANIFEST).META
    environ["HTTP_AUTHORIZATION"] = f"Bearer {text}"
    revocations.refresh()
    with CaptureQueriesContext(connections["registry"]) as captured:
        found = answer_at_once(environ)
    assert found is not None
    assert found.status == "200 OK"
    assert len(captured.captured_queries) == 1
    blob = images.push_blob(APP, b"small")
    tell(gitlab, {"subject": "bob"})
    forget()
    assert answer_at_once(environ) is None
    environ["PATH_INFO"] = f"/v2/{APP}/blobs/{blob}"
    assert answer_at_once(environ) is None
    environ["PATH_INFO"] = "/v2/acme/none/manifests/v1"
    environ["HTTP_AUTHORIZATION"] = f"Bearer {token(name='acme/none')}"
    assert answer_at_once(environ) is None


def forget() -> None:
    """As in a process that has not heard of any revocation."""
    revocations._known.latest = -1
    revocations._known.moments.clear()


@pytest.mark.parametrize("source", [OTHER, "acme/none", APP])
@pytest.mark.parametrize("target", [APP, "acme/new"])
def test_a_mount_and_an_upload_notice_by_the_query_that_they_make(
    gitlab: Person, bob: Person, source: str, target: str
) -> None:
    """What they have begun is undone, also where it would have opened a repository."""
    blob = images.push_blob(OTHER, b"mounted")
    tell(gitlab, {"subject": "bob"})
    access = [Access.repository(name, "pull", "push") for name in {source, target}]
    text = issue(access, subject="bob", decided_at=time.time() - 1).text
    path = f"/v2/{target}/blobs/uploads/"
    before = (Event.objects.count(), RepositoryBlob.objects.count(), Repository.objects.count())
    for query in ("", f"?mount={blob}&from={source}", f"?digest={blob}"):
        forget()
        assert bob.send("POST", path + query, b"mounted", token=text).status_code == 401, query
    after = (Event.objects.count(), RepositoryBlob.objects.count(), Repository.objects.count())
    assert before == after
    # Whoever may still do it is asked once more, and answered.
    forget()
    text = issue(access, subject="carol").text
    assert bob.send("POST", path, token=text).status_code == 202


def test_what_has_ended_every_token_that_it_could_is_forgotten(gitlab: Person) -> None:
    tell(gitlab, {"subject": "bob"})
    Revocation.objects.update(created_at=timezone.now() - dt.timedelta(days=2))
    tell(gitlab, {"subject": "carol"})
    assert Revocation.objects.get().subject == "carol"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"revocations": {}}',
        b'{"revocations": [1]}',
        b'{"revocations": [{"before": 1}]}',
        b'{"revocations": [{"before": 1, "subject": ""}]}',
        b'{"revocations": [{"before": 1, "subject": 7}]}',
        b'{"revocations": [{"before": 1, "subject": "\\u0000"}]}',
        b'{"revocations": [{"before": 1, "path": "../x"}]}',
        b'{"revocations": [{"before": 0, "subject": "bob"}]}',
        b'{"revocations": [{"before": true, "subject": "bob"}]}',
        b'{"revocations": [{"before": "1", "subject": "bob"}]}',
        b'{"revocations": [{"before": 99999999999999, "subject": "bob"}]}',
        b'{"revocations": [{"before": 1, "subject": "bob"}, {"before": 1}]}',
        json.dumps({"revocations": [{"before": 1, "subject": "x" * 256}]}).encode(),
        json.dumps({"revocations": [{"before": 1, "subject": "x"}] * 501}).encode(),
    ],
    ids=lambda body: body[:60].decode(),
)
def test_it_refuses_what_is_malformed(gitlab: Person, body: bytes) -> None:
    response = gitlab.send("POST", URL, body, content_type="application/json")
    assert_refused(response, "UNSUPPORTED", status=400)
    assert not Revocation.objects.exists()


@pytest.mark.postgresql
@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_ids_are_seen_in_their_order() -> None:
    """One that is added waits for another that is under way, whose id is smaller."""
    mine: Any = connections["registry"]
    other = type(mine)(copy.deepcopy(mine.settings_dict), "registry")
    lock = "LOCK TABLE registry_revocation IN SHARE ROW EXCLUSIVE MODE NOWAIT"
    try:
        other.connect()
        other.set_autocommit(False)
        with database.atomic():
            revocations.add([revocations.Ended(timezone.now(), subject="bob")])
            with pytest.raises(OperationalError):
                other.change(lock, [])
        other.rollback()
        other.change(lock, [])
    finally:
        other.close()


def test_who_shows_no_token_costs_no_query(nobody: Person) -> None:
    with CaptureQueriesContext(connections["registry"]) as captured:
        for method, path in (("GET", "/v2/"), ("POST", f"/v2/{APP}/blobs/uploads/")):
            assert nobody.send(method, path).status_code == 401
    assert not captured.captured_queries


def test_who_may(alice: Person, bob: Person, nobody: Person) -> None:
    for person in (alice, bob, nobody):
        response = tell(person, {"subject": "root"})
        assert response.status_code == 401
    assert_challenged(tell(nobody, {"subject": "root"}), "registry:revocations:*")
    assert not Revocation.objects.exists()
