"""How pages name who acted by a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from gitlab.container_registry.labels import labelled, labels
from gitlab.trusted_issuers.models import TrustedIssuer

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Line:
    by: str
    ended_by: str = ""


def test_people_cost_no_query(alice: Any, django_assert_num_queries: Any) -> None:
    lines = [Line("alice"), Line(""), Line("gitlab+deploy-token-x", "project_1_bot_x")]
    with django_assert_num_queries(0):
        assert labelled(lines, "by", "ended_by") == lines


def test_bots_and_deploy_tokens(
    make_project: Any,
    make_access_token: Any,
    make_deploy_token: Any,
    django_assert_num_queries: Any,
) -> None:
    app = make_project("acme/app")
    bot = make_access_token(app, name="ci")[0].user.username
    deploys = make_deploy_token(app)[0].username
    gone = "gitlab+deploy-token-999"

    with django_assert_num_queries(2):
        shown = labelled([Line(bot, deploys), Line("alice", gone), Line(bot)], "by", "ended_by")

    assert shown == [
        Line("token ci of acme/app", "deploy token test"),
        Line("alice", gone),
        Line("token ci of acme/app"),
    ]


def test_trusts(make_project: Any, make_group: Any, django_assert_num_queries: Any) -> None:
    terms = {"name": "octo", "issuer": "https://ci.example.com", "conditions": {"sub": "x"}}
    one = TrustedIssuer.objects.create(project=make_project("acme/app"), **terms)
    other = TrustedIssuer.objects.create(namespace=make_group("zeta"), **terms)
    with django_assert_num_queries(1):
        shown = labels([one.username, other.username, "gitlab+trusted-issuer-999", "alice"])
    assert shown == {
        one.username: "trust octo of acme/app",
        other.username: "trust octo of zeta",
    }


def test_a_person_who_is_called_as_a_bot_is_none(make_person: Any) -> None:
    name = f"project_1_bot_{'a' * 32}"
    make_person(name)

    assert labels([name]) == {}
