"""Deploy tokens of projects and groups: made, revoked, listed, found."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from gitlab.access_tokens import deploy_tokens
from gitlab.access_tokens.models import DeployToken
from gitlab.access_tokens.token_text import digest_of
from gitlab.audit.models import AuditEvent
from gitlab.refusals import Forbidden, Invalid, NotFound

pytestmark = pytest.mark.django_db
BOTH = ["write_registry", "read_registry"]


@pytest.fixture
def app(alice: Any, bob: Any, carol: Any, make_project: Any) -> Any:
    return make_project("acme/app", maintainers=[alice], developers=[bob], reporters=[carol])


def test_it_works(alice: Any, app: Any) -> None:
    token, text = deploy_tokens.create(alice, app, name=" ci ", scopes=BOTH)

    assert text.startswith("gldt-")
    assert (token.name, token.scopes) == ("ci", ["read_registry", "write_registry"])
    assert token.digest == digest_of(text)
    assert token.username == f"gitlab+deploy-token-{token.pk}"
    assert (token.owner, token.created_by) == (app, alice)
    found = deploy_tokens.find(text)
    assert found is not None
    assert (found.id, found.is_usable, found.project_id) == (token.pk, True, app.pk)
    event = AuditEvent.objects.get(action="deploy_token.create")
    assert (event.target_path, event.details["name"]) == ("acme/app", "ci")
    assert text not in str(event.details)


def test_a_chosen_name(alice: Any, app: Any) -> None:
    token, _ = deploy_tokens.create(alice, app, name="ci", scopes=BOTH, username="CI.deploy+1")

    assert token.username == "CI.deploy+1"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 256}),
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["api"]}),
        ("scopes", {"scopes": ["read_registry", "create_runner"]}),
        ("expires_at", {"expires_at": dt.date(2020, 1, 1)}),
        ("username", {"username": "a:b"}),
        ("username", {"username": "x" * 256}),
        ("username", {"username": "gitlab+deploy-token-1"}),
        ("username", {"username": "Bob"}),
        ("username", {"username": "acme"}),
    ],
)
def test_bad_input_is_refused_by_field(alice: Any, app: Any, field: str, change: Any) -> None:
    with pytest.raises(Invalid) as refused:
        deploy_tokens.create(alice, app, **({"name": "ci", "scopes": BOTH} | change))
    assert refused.value.message_dict.keys() == {field}
    assert not DeployToken.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="deploy_token").exists()


def test_maintainers_manage_those_of_a_project(
    alice: Any, bob: Any, mallory: Any, app: Any
) -> None:
    token, _ = deploy_tokens.create(alice, app, name="ci", scopes=BOTH)
    for person, refusal in ((bob, Forbidden), (mallory, NotFound)):
        with pytest.raises(refusal):
            deploy_tokens.create(person, app, name="ci", scopes=BOTH)
        with pytest.raises(refusal):
            deploy_tokens.tokens_of(person, app)
        with pytest.raises(refusal):
            deploy_tokens.get_for(person, app, token.pk)
        with pytest.raises(refusal):
            deploy_tokens.revoke(person, token)
    assert list(deploy_tokens.tokens_of(alice, app, active=True)) == [token]


def test_maintainers_see_those_of_a_group_and_owners_manage_them(
    alice: Any, bob: Any, make_group: Any
) -> None:
    acme = make_group("acme", owner=alice, maintainers=[bob])
    token, _ = deploy_tokens.create(alice, acme, name="ci", scopes=BOTH)

    assert list(deploy_tokens.tokens_of(bob, acme)) == [token]
    with pytest.raises(Forbidden):
        deploy_tokens.create(bob, acme, name="ci", scopes=BOTH)
    with pytest.raises(Forbidden):
        deploy_tokens.revoke(bob, token)


def test_a_personal_namespace_has_none(alice: Any) -> None:
    with pytest.raises(NotFound):
        deploy_tokens.create(alice, alice.namespace, name="ci", scopes=BOTH)


def test_revoking_is_for_ever_and_twice_as_once(alice: Any, app: Any) -> None:
    token, text = deploy_tokens.create(alice, app, name="ci", scopes=BOTH)
    for _ in range(2):
        assert deploy_tokens.revoke(alice, token).is_revoked

    found = deploy_tokens.find(text)
    assert found is not None
    assert not found.is_usable
    assert AuditEvent.objects.filter(action="deploy_token.revoke").count() == 1
    assert list(deploy_tokens.tokens_of(alice, app, active=False)) == [token]


def test_it_ends_at_the_beginning_of_its_day(alice: Any, app: Any, make_deploy_token: Any) -> None:
    token, text = make_deploy_token(app, expired=True)

    found = deploy_tokens.find(text)
    assert found is not None
    assert not found.is_usable
    assert list(deploy_tokens.tokens_of(alice, app, active=False)) == [token]
    assert not deploy_tokens.tokens_of(alice, app, active=True).exists()


def test_another_projects_token_is_not_here(alice: Any, app: Any, make_project: Any) -> None:
    other = make_project("acme/other", maintainers=[alice])
    token, _ = deploy_tokens.create(alice, other, name="ci", scopes=BOTH)

    with pytest.raises(NotFound):
        deploy_tokens.get_for(alice, app, token.pk)


def test_its_use_is_noted_every_ten_minutes(
    app: Any, make_deploy_token: Any, django_assert_num_queries: Any
) -> None:
    _, text = make_deploy_token(app)
    for last, queries in ((0, 0), (11, 1)):
        used = timezone.now() - dt.timedelta(minutes=last)
        DeployToken.objects.update(last_used_at=used)
        found = deploy_tokens.find(text)
        assert found is not None
        with django_assert_num_queries(queries):
            deploy_tokens.note_use(found, "")


def test_it_goes_with_its_project(app: Any, make_deploy_token: Any) -> None:
    _, text = make_deploy_token(app)
    app.delete()

    assert deploy_tokens.find(text) is None


def test_it_is_of_exactly_one(app: Any, make_deploy_token: Any) -> None:
    token, _ = make_deploy_token(app)
    for columns in ({"project": None}, {"namespace": app.namespace}):
        with pytest.raises(IntegrityError), transaction.atomic():
            DeployToken.objects.filter(pk=token.pk).update(**columns)
