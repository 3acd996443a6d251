"""No registry token lives longer than the credential, or the membership, that it was made by."""

from __future__ import annotations

import datetime as dt
from typing import Any

import jwt
import pytest
from django.test import Client
from django.utils import timezone

from gitlab.namespaces.models import Member
from tests.people import PASSWORD, basic

pytestmark = pytest.mark.django_db

PULL = "repository:acme/app:pull"
WEEK = 7 * 24 * 3600
TOMORROW, LATER = 1, 3
"""In days."""


@pytest.fixture(autouse=True)
def _a_week(settings: Any) -> None:
    """Tokens would live for a week, so that what ends sooner shows at any time of day."""
    settings.TOKENS_LIFETIME = WEEK


def day(days: int) -> dt.date:
    return timezone.now().date() + dt.timedelta(days=days)


def midnight(days: int) -> int:
    return int(dt.datetime.combine(day(days), dt.time(), dt.UTC).timestamp())


def claims(name: str, secret: str, scope: str = PULL) -> Any:
    answer = Client().get(
        "/jwt/auth",
        {"service": "container_registry", "scope": scope},
        HTTP_AUTHORIZATION=basic(name, secret),
    )
    assert answer.status_code == 200, answer.content
    found = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    assert found["access"]
    assert answer.json()["expires_in"] == found["exp"] - found["iat"]
    return found


@pytest.fixture
def app(alice: Any, bob: Any, make_project: Any) -> Any:
    return make_project("acme/app", owner=alice, maintainers=[bob])


def test_what_has_no_end_lives_as_the_setting_says(app: Any, bob: Any, make_token: Any) -> None:
    for secret in (PASSWORD, make_token(bob, "api")):
        found = claims("bob", secret)
        assert found["exp"] - found["iat"] == WEEK


def test_a_personal_token(app: Any, bob: Any, make_token: Any) -> None:
    text = make_token(bob, "read_registry")
    bob.access_tokens.update(expires_at=day(LATER))
    assert claims("bob", text)["exp"] == midnight(LATER)


def test_an_access_token_of_a_project(app: Any, make_access_token: Any) -> None:
    _, text = make_access_token(app, expires_at=day(LATER))
    assert claims("whoever", text)["exp"] == midnight(LATER)


def test_a_deploy_token(app: Any, make_deploy_token: Any) -> None:
    token, text = make_deploy_token(app, expires_at=day(LATER))
    assert claims(token.username, text)["exp"] == midnight(LATER)


def test_a_job(app: Any, bob: Any, make_job: Any) -> None:
    job, text = make_job(app, bob)
    assert claims("gitlab-ci-token", text)["exp"] == int(job.ends_at.timestamp())


@pytest.mark.parametrize("of", ["project", "group"])
def test_a_membership(app: Any, carol: Any, of: str) -> None:
    where = {"project": app} if of == "project" else {"namespace": app.namespace}
    Member.objects.create(user=carol, access_level=30, expires_at=day(TOMORROW), **where)
    assert claims("carol", PASSWORD)["exp"] == midnight(TOMORROW)


def test_what_ends_first_counts(app: Any, carol: Any, make_token: Any) -> None:
    text = make_token(carol, "api")
    carol.access_tokens.update(expires_at=day(TOMORROW))
    Member.objects.create(user=carol, access_level=20, expires_at=day(LATER), project=app)
    assert claims("carol", text)["exp"] == midnight(TOMORROW)
    carol.access_tokens.update(expires_at=day(LATER + 1))
    assert claims("carol", text)["exp"] == midnight(LATER)


def test_of_equal_levels_the_one_that_lasts(app: Any, carol: Any, root: Any) -> None:
    Member.objects.create(user=carol, access_level=30, expires_at=day(TOMORROW), project=app)
    Member.objects.create(user=carol, access_level=30, namespace=app.namespace)
    assert claims("carol", PASSWORD)["exp"] > midnight(LATER)
    Member.objects.create(user=root, access_level=30, expires_at=day(TOMORROW), project=app)
    assert claims("root", PASSWORD)["exp"] > midnight(LATER)


def test_a_membership_that_nothing_was_granted_by(app: Any, carol: Any, make_project: Any) -> None:
    """Elsewhere it ends nothing."""
    other = make_project("acme/other", reporters=[carol])
    Member.objects.create(user=carol, access_level=30, expires_at=day(TOMORROW), project=app)
    assert other
    found = claims("carol", PASSWORD, "repository:acme/other:pull")
    assert found["exp"] - found["iat"] == WEEK


def test_a_job_of_somebody_whose_membership_ends(app: Any, bob: Any, make_job: Any) -> None:
    job, text = make_job(app, bob, timeout=dt.timedelta(days=1))
    bob.memberships.update(expires_at=day(TOMORROW))
    first = min(midnight(TOMORROW), int(job.ends_at.timestamp()))
    assert claims("gitlab-ci-token", text)["exp"] == first
