"""`/projects/:id/invitations` and `/groups/:id/invitations`: by id at once, by mail with a link."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.invitations.models import Invitation
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
    api: Api, alice: Any, root: Any, mallory: Any, app: Any, settings: Any
) -> None:
    here = f"projects/{app.pk}/invitations"
    settings.MAIL_ENABLED = True
    both = {"email": "Mallory@example.com,nobody@example.com", "access_level": 30}
    assert api(alice).post(here, both).json() == {"status": "success"}
    assert Invitation.objects.count() == 2
    assert not Member.objects.filter(user=mallory).exists()
    assert [row["user_name"] for row in api(alice).get(here).json()] == [None, None]
    again = api(alice).post(here, both).json()
    assert again["message"] == {
        "Mallory@example.com": "This address is invited already.",
        "nobody@example.com": "This address is invited already.",
    }


def test_an_administrator_adds_by_address(
    api: Api, alice: Any, root: Any, mallory: Any, app: Any
) -> None:
    here = f"projects/{app.pk}/invitations"
    both = {"email": "Mallory@example.com,nobody@example.com", "access_level": 30}
    found = api(root).post(here, both).json()
    assert found["message"] == {
        "nobody@example.com": "Nobody is invited by mail here: add people by user name."
    }
    assert Member.objects.filter(user=mallory).exists()


def test_what_waits(api: Api, alice: Any, app: Any, settings: Any) -> None:
    settings.MAIL_ENABLED = True
    here = "groups/acme/invitations"
    assert api(alice).get(here).json() == []
    day = (timezone.now().date() + dt.timedelta(days=9)).isoformat()
    body = {"email": "dora@example.org", "access_level": 20, "expires_at": day}
    api(alice).post(here, body)
    answer = api(alice).get(f"{here}?query=DORA")
    (found,) = answer.json()
    assert answer.headers["X-Total"] == "1"
    created_at = found.pop("created_at")
    assert created_at.endswith("Z")
    assert found == {
        "invite_email": "dora@example.org",
        "access_level": 20,
        "expires_at": day,
        "user_name": None,
        "created_by_name": "Alice",
    }
    assert api(alice).get(f"{here}?query=carol").json() == []


def test_it_is_changed_and_taken_back(
    api: Api, alice: Any, bob: Any, app: Any, settings: Any
) -> None:
    settings.MAIL_ENABLED = True
    here = f"projects/{app.pk}/invitations"
    api(alice).post(here, {"email": "dora@example.org", "access_level": 20})
    one = f"{here}/dora%40example.org"
    assert_refused(api(bob).put(one, {"access_level": 30}), 403)
    changed = api(alice).put(one, {"access_level": 30})
    assert (changed.status_code, changed.json()["access_level"]) == (200, 30)
    assert_refused(api(alice).put(one, {"access_level": 31}), 400)
    assert_refused(api(bob).delete(one), 403)
    assert api(alice).delete(one).status_code == 204
    assert_refused(api(alice).delete(one), 404)
    assert_refused(api(alice).put(one, {"access_level": 30}), 404)


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
