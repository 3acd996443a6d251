"""`/projects/:id/invitations` and `/groups/:id/invitations`: who has an account is added."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.namespaces.models import Member
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def test_by_id(api: Api, alice: Any, mallory: Any, app: Any) -> None:
    body = {"user_id": mallory.pk, "access_level": 30}
    answer = api(alice).post(f"projects/{app.pk}/invitations", body)
    assert answer.status_code == 201
    assert answer.json() == {"status": "success"}
    assert Member.objects.get(user=mallory).access_level == 30
    again = api(alice).post(f"projects/{app.pk}/invitations", body).json()
    assert again["status"] == "error"
    assert "member already" in again["message"][str(mallory.pk)]


def test_an_address_is_nobodys_to_look_up(
    api: Api, alice: Any, root: Any, mallory: Any, app: Any
) -> None:
    here = f"projects/{app.pk}/invitations"
    answers = [
        api(alice).post(here, {"email": email, "access_level": 30}).json()
        for email in ("mallory@example.com", "nobody@example.com")
    ]
    assert [set(answer["message"].values()) for answer in answers] == [
        {"Nobody is invited by mail here: add people by user name."}
    ] * 2
    both = {"email": "Mallory@example.com,nobody@example.com", "access_level": 30}
    found = api(root).post(here, both).json()
    assert found["message"] == {"nobody@example.com": "Nobody has this address here."}
    assert Member.objects.filter(user=mallory).exists()


def test_none_waits(api: Api, alice: Any, app: Any) -> None:
    here = "groups/acme/invitations"
    answer = api(alice).get(here)
    assert answer.json() == []
    assert answer.headers["X-Total"] == "0"
    assert_refused(api(alice).put(f"{here}/a@example.com", {"access_level": 30}), 404)
    assert_refused(api(alice).delete(f"{here}/a%40example.com"), 404)


def test_what_is_refused(api: Api, alice: Any, bob: Any, mallory: Any, app: Any) -> None:
    here = f"projects/{app.pk}/invitations"
    assert_refused(api(alice).post(here, {"access_level": 30}), 400, "email, user_id are missing")
    assert_refused(api(alice).post(here, {"email": "x", "access_level": 30}), 400, "email")
    assert_refused(api(alice).post(here, {"user_id": 999999, "access_level": 30}), 404)
    body = {"user_id": mallory.pk, "access_level": 30}
    assert_refused(api(bob).post(here, body), 403)
    assert_refused(api(mallory).post(here, body), 404)
    assert_refused(api().get(here), 401)
    assert_refused(api(bob).get(here), 403)
    assert not Member.objects.filter(user=mallory).exists()
