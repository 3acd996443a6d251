"""Creating, blocking and renaming people."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from gitlab.access_tokens import services as access_tokens
from gitlab.accounts import services
from gitlab.accounts.models import User
from gitlab.accounts.sign_ups import services as sign_ups
from gitlab.audit.models import AuditEvent
from gitlab.namespaces.models import Namespace, Route
from gitlab.refusals import Forbidden, Invalid
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


def _new(username: str, **extra: Any) -> Any:
    email = extra.pop("email", f"{username.lower()}@example.com")
    return services.create_user(username=username, email=email, password=PASSWORD, **extra)


def test_a_person_comes_with_a_namespace_and_a_route() -> None:
    user = _new("Dave.D")

    assert user.username == "dave.d"
    namespace = Namespace.objects.get(owner=user)
    assert (namespace.full_path, namespace.kind) == ("dave.d", "user")
    assert Route.objects.get(full_path="dave.d").namespace == namespace
    assert AuditEvent.objects.filter(action="user.create", target_id=user.pk).exists()


@pytest.mark.parametrize("name", ["alice", "ALICE", "acme"])
def test_a_name_that_is_taken_by_a_person_or_a_group_is_refused(
    name: str, alice: Any, make_group: Any
) -> None:
    make_group("acme")

    with pytest.raises(Invalid) as refused:
        _new(name, email="other@example.com")

    assert refused.value.message_dict.keys() == {"username"}
    assert not User.objects.filter(email="other@example.com").exists()


def test_an_address_that_is_taken_is_refused_in_any_case(alice: Any) -> None:
    with pytest.raises(Invalid) as refused:
        _new("dave", email="ALICE@example.com")

    assert refused.value.message_dict.keys() == {"email"}


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "-a", "a.", "a..b", "jwt", "v2", "admin", "é", "a" * 300]
)
def test_a_name_that_can_be_no_path_is_refused(name: Any) -> None:
    with pytest.raises(Invalid) as refused:
        _new(name, email="x@example.com")
    assert refused.value.message_dict.keys() == {"username"}


def test_a_weak_password_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        services.create_user(username="dave", email="d@example.com", password="123")
    assert refused.value.message_dict.keys() == {"password"}


def test_the_database_refuses_upper_case_and_unknown_states(alice: Any) -> None:
    for change in ({"username": "Alice"}, {"state": "gone"}, {"email": "A@example.com"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.filter(pk=alice.pk).update(**change)


def test_root_is_made_once() -> None:
    assert not services.has_administrator()
    root = services.create_root("x")
    assert services.create_root("y").pk == root.pk
    assert services.has_administrator()
    assert root.check_password("x")


def test_only_administrators_create_and_block(alice: Any, bob: Any, root: Any) -> None:
    with pytest.raises(Forbidden):
        _new("dave", by=alice)
    with pytest.raises(Forbidden):
        services.block(bob, by=alice)
    with pytest.raises(Invalid):
        services.block(root, by=root)
    assert services.block(bob, by=root).is_blocked
    assert not services.unblock(bob, by=root).is_blocked


def test_a_blocked_persons_tokens_stop_at_once(bob: Any, root: Any, make_token: Any) -> None:
    text = make_token(bob, "api")
    assert access_tokens.authenticate(text)
    services.block(bob, by=root)
    assert access_tokens.authenticate(text) is None


def test_a_blocked_persons_session_ends_and_does_not_come_back(bob: Any, root: Any) -> None:
    client = Client()
    assert client.login(username="bob", password=PASSWORD)
    services.block(bob, by=root)
    client.get("/users/sign_in")
    services.unblock(bob, by=root)
    assert "_auth_user_id" not in client.session


def test_sign_up_is_a_setting(settings: Any) -> None:
    settings.SIGNUP_ENABLED = False
    with pytest.raises(Forbidden):
        sign_ups.sign_up(username="dave", email="d@example.com", password=PASSWORD)
    settings.SIGNUP_ENABLED = True
    assert sign_ups.sign_up(username="dave", email="d@example.com", password=PASSWORD).pk
