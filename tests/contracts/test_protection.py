"""One tag, and every way to delete or move it: through the token endpoint, the registry, the API,
the pages and the jobs, both sides as they are.

Each is refused with the rule's name, and each works without the rule.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from gitlab.container_registry import bulk_deletion, deletion
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.berth import BerthRegistry
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.models import BulkTagDeletion, ContainerRepository
from gitlab.container_registry.protection import services
from gitlab.container_registry.protection.models import TagRule
from gitlab.jobs.leases import Outcome
from gitlab.namespaces.models import Member, Namespace
from registry import media_types
from registry.models import Repository, Tag
from registry.services import revocations
from tests.contracts.test_registry_client import InProcess
from tests.gitlab import factories
from tests.people import basic, person
from tests.registry import images
from tests.registry.images import Image
from workers import tasks

pytestmark = pytest.mark.django_db(databases=["default", "registry"])

NAME = "acme/app/web"
TAG = "v1.0"
PATTERN = r"^v\d+\."


class World(NamedTuple):
    """Carol maintains the project, and is who tries. `image` is what the tag points at."""

    carol: Any
    alice: Any
    app: Any
    row: ContainerRepository
    image: Image
    other: Image
    interval: int
    """Of the tag's past, when it pointed at `other`."""


class Answer(NamedTuple):
    status: int
    text: str


@pytest.fixture
def world(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    settings.REGISTRY_STORAGE = {"driver": "filesystem", "root": tmp_path / "store"}
    registry = BerthRegistry("http://testserver", transport=InProcess())
    monkeypatch.setattr(clients, "for_pages", lambda: registry)
    monkeypatch.setattr(clients, "for_jobs", lambda: registry)
    alice, carol = person("alice"), person("carol")
    factories.group("acme", owner=alice)
    app = factories.project("acme/app", owner=alice, maintainers=[carol])
    other = images.push_image(NAME, TAG)
    image = images.push_image(NAME, TAG)
    images.push_manifest(NAME, "free", json.loads(other.payload))
    Repository.objects.update(project_id=app.pk)
    interval = Tag.objects.filter(name=TAG).earliest("pk").pk
    row = factories.image(NAME, of=app)
    return World(carol, alice, app, row, image, other, interval)


class _NotGranted(Exception):
    """The token endpoint refuses, and says why."""


def _granted(world: World, *actions: str) -> str:
    """The token that carol gets for the image. Raises `_NotGranted`."""
    answer = Client().get(
        "/jwt/auth",
        {"service": "container_registry", "scope": f"repository:{NAME}:{','.join(actions)}"},
        headers={"Authorization": basic("carol")},
    )
    if answer.status_code == 403:
        raise _NotGranted(answer.json()["errors"][0]["message"])
    return str(answer.json()["token"])


def _registry(world: World, method: str, path: str, body: bytes = b"", type_: str = "") -> Answer:
    actions = ("pull", "delete") if method == "DELETE" else ("pull", "push")
    try:
        token = _granted(world, *actions)
    except _NotGranted as refused:
        return Answer(403, str(refused))
    answer = Client(HTTP_HOST="testserver").generic(
        method, path, body, content_type=type_, headers={"Authorization": f"Bearer {token}"}
    )
    text = answer.content.decode()
    return Answer(
        answer.status_code, json.loads(text)["errors"][0]["message"] if "errors" in text else text
    )


def _put(world: World, reference: str) -> Answer:
    path = f"/v2/{NAME}/manifests/{reference}"
    return _registry(world, "PUT", path, world.other.payload, media_types.OCI_MANIFEST)


def _api(world: World, method: str, path: str, body: Any = None) -> Answer:
    address = f"/api/v4/projects/{world.app.pk}{path}"
    answer = Client().generic(
        method,
        address,
        json.dumps(body or {}),
        content_type="application/json",
        headers={"PRIVATE-TOKEN": factories.token(world.carol)},
        RAW_URI=address,
    )
    text = answer.content.decode()
    found = json.loads(text) if text else {}
    return Answer(answer.status_code, str(found["message"]) if "message" in found else text)


def _page(world: World, path: str, **fields: Any) -> Answer:
    """What the page says, be it itself or by a message on the next one."""
    browser = Client()
    browser.force_login(world.carol)
    answer = browser.post(f"/acme/app/container_registry/{world.row.pk}/{path}", fields)
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    return Answer(answer.status_code, " ".join([*told, answer.content.decode()]))


_IMAGES = "/registry/repositories/{row}"


def _image_api(world: World, method: str, path: str = "", body: Any = None) -> Answer:
    return _api(world, method, _IMAGES.format(row=world.row.pk) + path, body)


def _in_bulk(world: World) -> Answer:
    """Asked through the API, done by the job: it spares the tag, and deletes the other."""
    asked = _image_api(world, "DELETE", "/tags?name_regex_delete=.*")
    assert asked.status == 202
    (job,) = BulkTagDeletion.objects.all()
    assert bulk_deletion.run(job.pk) == Outcome.DONE
    job.refresh_from_db()
    assert not Tag.objects.filter(name="free", ended_at=None).exists()
    return Answer(403 if job.refused_count else 200, f"{job.refused_count} refused")


def _queued_before(world: World) -> Answer:
    """The deletion was queued before there was a rule; the worker asks again."""
    ContainerRepository.objects.filter(pk=world.row.pk).update(
        status="delete_scheduled", deleted_by=world.carol
    )
    outcome = deletion.delete_repository(world.row.pk)
    row = ContainerRepository.objects.filter(pk=world.row.pk).first()
    return Answer(403 if outcome.name == "FAILED" else 200, row.failure_reason if row else "")


WAYS: dict[str, Callable[[World], Answer]] = {
    "1 docker push": lambda w: _put(w, TAG),
    "2 push by digest with the tag": lambda w: _put(w, f"{w.other.digest}?tag={TAG}"),
    "3 delete the tag in the registry": lambda w: _registry(
        w, "DELETE", f"/v2/{NAME}/manifests/{TAG}"
    ),
    "4 delete its manifest by digest": lambda w: _registry(
        w, "DELETE", f"/v2/{NAME}/manifests/{w.image.digest}"
    ),
    "5 delete the repository in the registry": lambda w: _registry(
        w, "DELETE", f"/gitlab/v1/repositories/{NAME}/"
    ),
    "6 delete the tag by the API": lambda w: _image_api(w, "DELETE", f"/tags/{TAG}"),
    "7 delete tags in bulk by the API": _in_bulk,
    "8 delete the image by the API": lambda w: _image_api(w, "DELETE"),
    "9 point it back by the API": lambda w: _image_api(
        w, "POST", f"/tags/{TAG}/restore", {"interval": w.interval}
    ),
    "10 rename the project by the API": lambda w: _api(w, "PUT", "", {"path": "renamed"}),
    "11 delete the tag in its page": lambda w: _page(
        w, "tags/delete", selected=[TAG], confirmed="1"
    ),
    "12 delete chosen tags in the page": lambda w: _page(
        w, "tags/delete", selected=[TAG, "free"], confirmed="1"
    ),
    "13 delete the image in its page": lambda w: _page(w, "delete"),
    "14 point it back in its page": lambda w: _page(w, f"tags/{TAG}/restore", interval=w.interval),
    "15 the worker, after a rule was made": _queued_before,
}
_COUNTED = {"7 delete tags in bulk by the API"}
"""Whose refusal is a number and no sentence."""

_LATER = {*_COUNTED, "15 the worker, after a rule was made"}

_PUSHES = ("1 ", "2 ", "9 ", "14 ")


def _there(world: World) -> bool:
    """Whether the tag points where it did, in an image that is there under its name."""
    return Tag.objects.filter(
        repository__name=NAME,
        repository__closed_at=None,
        name=TAG,
        digest=world.image.digest,
        ended_at=None,
    ).exists()


def _assert_in_the_page(way: str, answer: Answer) -> None:
    """The documentation shows this way with this answer."""
    number, _, name = way.partition(" ")
    page = Path(__file__).resolve().parents[2] / "docs" / "protection.md"
    start = f"| {number} | {name} | "
    (row,) = [line for line in page.read_text().splitlines() if line.startswith(start)]
    status, said = row.removeprefix(start).rstrip(" |").split(" | ", 1)
    # What a job does later has no answer of its own, and what it spares it counts.
    assert way in _LATER or status == str(answer.status)
    assert said.split("`")[1] in answer.text.replace("&quot;", '"')


def _immutable(world: World) -> None:
    services.create_tag_rule(world.carol, world.app, tag_name_pattern=PATTERN)


def _for_owners(world: World) -> None:
    services.create_tag_rule(
        world.alice,
        Namespace.objects.get(full_path="acme"),
        tag_name_pattern=PATTERN,
        minimum_access_level_for_push=50,
        minimum_access_level_for_delete=50,
    )


def _assert_refused(way: str, answer: Answer, says: str) -> None:
    # A page answers a whole POST with where to go on, and says there what was refused.
    assert answer.status == 403 or (answer.status == 302 and "in the page" in way), answer
    plain = answer.text.replace("&quot;", '"')
    assert way in _COUNTED or says in plain, plain


@pytest.mark.parametrize("way", WAYS)
def test_nothing_deletes_or_moves_an_immutable_tag(world: World, way: str) -> None:
    _immutable(world)
    answer = WAYS[way](world)
    _assert_refused(way, answer, f'ag {TAG} is immutable by rule "{PATTERN}"')
    _assert_in_the_page(way, answer)
    assert _there(world)


@pytest.mark.parametrize("way", WAYS)
def test_nobody_below_the_role_deletes_or_moves_a_protected_tag(world: World, way: str) -> None:
    _for_owners(world)
    answer = WAYS[way](world)
    verb = "pushing" if way.startswith(_PUSHES) else "deleting"
    says = f'ag {TAG} is protected by rule "{PATTERN}": {verb} takes the role Owner'
    _assert_refused(way, answer, says)
    assert _there(world)


@pytest.mark.parametrize("way", WAYS)
def test_without_a_rule_each_way_works(world: World, way: str) -> None:
    assert WAYS[way](world).status < 400
    if way not in ("8 delete the image by the API", "13 delete the image in its page"):
        assert not _there(world)


@pytest.mark.parametrize("way", WAYS)
def test_who_has_the_role_may(world: World, way: str) -> None:
    _for_owners(world)
    Member.objects.filter(user=world.carol).update(access_level=50)
    assert WAYS[way](world).status < 400


def test_a_repository_rule_stands_before_all_of_them(world: World) -> None:
    services.create_repository_rule(
        world.alice,
        world.app,
        repository_path_pattern="acme/app/w*",
        minimum_access_level_for_push=50,
        minimum_access_level_for_delete=50,
    )
    for way, act in WAYS.items():
        answer = act(world) if way not in _COUNTED else Answer(403, "")
        # A push is refused by the token endpoint; for a deletion it grants nothing of that kind,
        # and the registry says why.
        wanted = (401,) if way.startswith(("3", "4", "5")) else (403, 302)
        assert answer.status in wanted, (way, answer)
        says = f'{NAME} is protected by rule "acme/app/w*"'
        assert way in _COUNTED or says in answer.text.replace("&quot;", '"'), (way, answer.text)
        assert _there(world)
    assert _image_api(world, "DELETE", "/tags?name_regex_delete=.*").status == 403


def test_a_rule_holds_for_tokens_from_before(world: World) -> None:
    """Made after the token: the registry refuses that at the next request, and docker asks anew."""
    token = _granted(world, "pull", "push")
    _immutable(world)
    tasks.tell_revocations()
    revocations.refresh()
    answer = Client(HTTP_HOST="testserver").generic(
        "PUT",
        f"/v2/{NAME}/manifests/{TAG}",
        world.other.payload,
        content_type=media_types.OCI_MANIFEST,
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 401
    assert _there(world)


def test_the_same_image_may_be_pushed_again(world: World) -> None:
    _immutable(world)
    path = f"/v2/{NAME}/manifests/{TAG}"
    answer = _registry(world, "PUT", path, world.image.payload, media_types.OCI_MANIFEST)
    assert answer.status == 201
    assert _there(world)


class TestDeletingTheProject:
    """It takes the images along."""

    def delete(self, world: World) -> Answer:
        Member.objects.filter(user=world.carol).update(access_level=50)
        return _api(world, "DELETE", "")

    def test_nobody_takes_an_immutable_tag_along(self, world: World) -> None:
        _immutable(world)
        answer = self.delete(world)
        assert answer.status == 403
        assert f'Tag {TAG} is immutable by rule "{PATTERN}"' in answer.text
        _assert_in_the_page("16 delete the project by the API", answer)
        world.app.refresh_from_db()
        assert world.app.pending_delete_at is None
        assert _there(world)

    def test_nobody_below_the_role_takes_a_protected_tag_along(self, world: World) -> None:
        services.create_tag_rule(
            world.alice,
            Namespace.objects.get(full_path="acme"),
            tag_name_pattern=PATTERN,
            minimum_access_level_for_push=50,
            minimum_access_level_for_delete=60,
        )
        answer = self.delete(world)
        assert answer.status == 403
        assert "deleting takes an administrator" in answer.text
        assert _there(world)

    def test_its_page_says_so(self, world: World) -> None:
        _immutable(world)
        Member.objects.filter(user=world.carol).update(access_level=50)
        browser = Client()
        browser.force_login(world.carol)
        page = browser.post("/acme/app/-/delete", {"path": "acme/app"})
        assert page.status_code in (200, 302, 403)
        assert _there(world)
        world.app.refresh_from_db()
        assert world.app.pending_delete_at is None

    def test_a_registry_that_does_not_answer_is_no_permission(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_answer(*_: Any, **__: Any) -> Any:
            raise RegistryUnavailable("no answer")

        _immutable(world)
        monkeypatch.setattr(clients.for_pages(), "tags", no_answer)
        answer = self.delete(world)
        assert answer.status == 409
        assert "does not tell whether a rule protects a tag" in answer.text

    def test_without_a_rule_that_matches_it_goes(self, world: World) -> None:
        services.create_tag_rule(world.carol, world.app, tag_name_pattern="^release-")
        assert self.delete(world).status == 202
        world.app.refresh_from_db()
        assert world.app.pending_delete_at is not None

    def test_the_worker_takes_what_is_in_a_deleted_one(self, world: World) -> None:
        """Whatever rule was made since, and what was pushed with an older token."""
        assert self.delete(world).status == 202
        TagRule.objects.create(project=world.app, tag_name_pattern=PATTERN)
        deletion.schedule_those_of_deleted_projects()
        assert deletion.delete_repository(world.row.pk) == Outcome.DONE
