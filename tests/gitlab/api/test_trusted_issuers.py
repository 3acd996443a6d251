"""Trusted issuers, and the exchange of an ID token, by the API."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gitlab.revocations.models import Revocation
from gitlab.trusted_issuers.models import IdTokenUse, TrustedIssuer
from tests.gitlab.api.conftest import Api, assert_refused
from tests.gitlab.trusted_issuers.conftest import *  # noqa: F403
from tests.people import basic
from tests.played_issuer import PlayedIssuer

pytestmark = pytest.mark.django_db
HERE = "projects/acme%2Fapp/trusted_issuers"
EXCHANGE = "registry/oidc_token_exchange"
BODY: dict[str, Any] = {
    "name": "GitHub",
    "issuer": "https://token.actions.githubusercontent.com",
    "conditions": {"repository": "octo/app"},
    "actions": ["pull", "push"],
}


def test_made_shown_listed_changed_and_revoked(
    api: Api, alice: Any, app: Any, settings: Any
) -> None:
    client = api(alice)
    made = client.post(HERE, {**BODY, "expires_at": "2099-01-01"})
    trust = TrustedIssuer.objects.get()

    assert made.status_code == 201
    assert made.json() == {
        "id": trust.pk,
        "name": "GitHub",
        "username": f"gitlab+trusted-issuer-{trust.pk}",
        "issuer": BODY["issuer"],
        "audience": settings.EXTERNAL_URL,
        "conditions": BODY["conditions"],
        "actions": ["pull", "push"],
        "images": "",
        "expires_at": "2099-01-01",
        "revoked": False,
        "active": True,
        "created_at": made.json()["created_at"],
        "last_used_at": None,
    }
    assert client.get(f"{HERE}/{trust.pk}").json() == made.json()
    assert client.get(HERE).json() == [made.json()]
    changed = client.put(
        f"{HERE}/{trust.pk}", {"actions": ["pull"], "images": "web", "expires_at": None}
    )
    assert changed.json() == made.json() | {
        "actions": ["pull"],
        "images": "web",
        "expires_at": None,
    }
    assert client.delete(f"{HERE}/{trust.pk}").status_code == 204
    assert client.delete(f"{HERE}/{trust.pk}").status_code == 204
    assert client.get(f"{HERE}?active=true").json() == []
    assert client.get(f"{HERE}?active=false").json()[0]["revoked"] is True
    assert Revocation.objects.filter(credential=f"trusted_issuer:{trust.pk}").count() == 2
    assert_refused(client.put(f"{HERE}/{trust.pk}", {"name": "x"}), 400, "revoked")


def test_of_a_group(api: Api, alice: Any, app: Any) -> None:
    made = api(alice).post("groups/acme/trusted_issuers", BODY)
    assert made.status_code == 201
    assert TrustedIssuer.objects.get().owner == app.namespace
    assert_refused(api(alice).get(f"{HERE}/{made.json()['id']}"), 404, "Trusted Issuer")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": None}, "name is empty"),
        ({"issuer": "http://ci.example.com"}, "issuer"),
        ({"issuer": None}, "issuer is empty"),
        ({"conditions": {}}, "conditions"),
        ({"conditions": {"ref": "main"}}, "Anybody can get ID tokens"),
        ({"conditions": "repository"}, "conditions is invalid"),
        ({"conditions": ["repository"]}, "conditions is invalid"),
        ({"conditions": {"repository": ["a"]}}, "conditions[repository] is invalid"),
        ({"conditions": {"repository": {"a": "b"}}}, "conditions[repository] is invalid"),
        ({"conditions": {"repository": "x" * 501}}, "conditions[repository] is invalid"),
        ({"actions": []}, "actions is empty"),
        ({"actions": ["*"]}, "does not have a valid value"),
        ({"expires_at": "2020-01-01"}, "A day in the future"),
        ({"images": "a\0"}, "a character that is none"),
    ],
)
def test_not_made(api: Api, alice: Any, app: Any, change: dict[str, Any], says: str) -> None:
    assert_refused(api(alice).post(HERE, {**BODY, **change}), 400, says)
    assert not TrustedIssuer.objects.exists()


def test_who_may(api: Api, alice: Any, bob: Any, mallory: Any, app: Any, make_group: Any) -> None:
    make_group("zeta", owner=bob)
    made = api(alice).post(HERE, BODY).json()
    from tests.gitlab.factories import _add_members

    _add_members(app, {"developers": [bob]})
    for client, status in ((api(bob), 403), (api(mallory), 404), (api(), 401),
                           (api(alice, "read_registry"), 403)):  # fmt: skip
        assert_refused(client.get(HERE), status)
        assert_refused(client.post(HERE, BODY), status)
        for method in ("get", "put", "delete"):
            assert_refused(getattr(client, method)(f"{HERE}/{made['id']}"), status)
    assert_refused(api(alice).get(f"{HERE}/999999"), 404)
    assert_refused(api(alice, "read_api").post(HERE, BODY), 403, "insufficient_scope")
    assert TrustedIssuer.objects.filter(revoked_at=None).count() == 1


def test_queries_do_not_grow(api: Api, alice: Any, app: Any) -> None:
    client = api(alice)
    for _ in range(3):
        client.post(HERE, BODY)
    with CaptureQueriesContext(connection) as few:
        client.get(f"{HERE}?per_page=1")
    with CaptureQueriesContext(connection) as more:
        assert len(client.get(HERE).json()) == 3
    assert len(more) <= len(few) <= 7


# The exchange


def ask(api: Api, trust: Any, text: str, *scopes: str) -> Any:
    body = {
        "trusted_issuer_id": getattr(trust, "pk", trust),
        "id_token": text,
        "scope": " ".join(scopes or ["repository:acme/app/web:pull,push,delete"]),
    }
    return api().post(EXCHANGE, body)


def login(trust: Any, text: str) -> int:
    from django.test import Client

    answer = Client().get(
        "/jwt/auth",
        {"service": "container_registry"},
        HTTP_AUTHORIZATION=basic(trust.username, text),
    )
    return answer.status_code


def test_it_is_exchanged(api: Api, app: Any, make_trust: Any, id_token: Any) -> None:
    trust = make_trust(app)
    answer = ask(api, trust, id_token(), "repository:acme/app/web:pull,push,delete",
                 "repository:acme/other:pull")  # fmt: skip

    assert answer.status_code == 200, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    claims = jwt.decode(body.pop("access_token"), options={"verify_signature": False})
    assert body == {
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "repository:acme/app/web:pull,push",
    }
    assert [(each["name"], each["actions"]) for each in claims["access"]] == [
        ("acme/app/web", ["pull", "push"])
    ]
    assert claims["sub"] == trust.username
    assert claims["credential"] == f"trusted_issuer:{trust.pk}"


def test_once_and_never_again(api: Api, app: Any, make_trust: Any, id_token: Any) -> None:
    trust, text = make_trust(app), id_token()
    assert ask(api, trust, text).status_code == 200
    assert_refused(ask(api, trust, text), 401)
    assert login(trust, text) == 401
    assert_refused(ask(api, make_trust(app), text), 401)


def test_what_was_a_password_is_not_exchanged(
    api: Api, app: Any, make_trust: Any, id_token: Any
) -> None:
    trust, text = make_trust(app), id_token()
    assert login(trust, text) == 200
    assert_refused(ask(api, trust, text), 401)
    assert login(trust, text) == 200


def test_what_is_refused_does_not_use_it_up(
    api: Api, app: Any, make_trust: Any, id_token: Any
) -> None:
    trust, text = make_trust(app), id_token()
    for scope in (
        "repository:acme/other:pull",
        "repository:acme/new/web:push",
        "registry:catalog:*",
    ):
        assert_refused(ask(api, trust, text, scope), 403, "allows nothing")
    assert_refused(ask(api, trust, text, "nonsense"), 400, "scope is invalid")
    assert not IdTokenUse.objects.exists()
    assert ask(api, trust, text).status_code == 200


def test_all_refusals_are_alike(
    api: Api, app: Any, make_trust: Any, id_token: Any, issuer: PlayedIssuer
) -> None:
    trust = make_trust(app)
    now = int(time.time())
    answers = [
        ask(api, trust, id_token(repository="octo/other")),
        ask(api, trust, id_token(iat=now - 400, exp=now - 100)),
        ask(api, trust, id_token(number=1, headers={"kid": "ES256-0"})),
        ask(api, trust, "nonsense"),
        ask(api, trust.pk + 1, id_token()),
    ]
    for answer in answers:
        assert_refused(answer, 401, "401 Unauthorized")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="GitLab"'
        assert answer.content == answers[0].content


@pytest.mark.parametrize(
    "change",
    [
        {"id_token": None},
        {"id_token": "x" * 8193},
        {"id_token": ["x"]},
        {"trusted_issuer_id": "x"},
        {"trusted_issuer_id": -1},
        {"trusted_issuer_id": 2**63},
        {"scope": None},
        {"scope": ""},
    ],
)
def test_malformed(api: Api, change: dict[str, Any], db: None) -> None:
    body = {"trusted_issuer_id": 1, "id_token": "x", "scope": "repository:a/b:pull"}
    assert_refused(api().post(EXCHANGE, body | change), 400)


def test_who_guesses_waits(
    api: Api, app: Any, make_trust: Any, id_token: Any, settings: Any
) -> None:
    settings.FAILED_LOGINS_PER_ADDRESS = 2
    trust = make_trust(app)
    forged = [id_token(number=1, headers={"kid": "ES256-0"}, jti=str(n)) for n in range(3)]
    assert [ask(api, trust, text).status_code for text in forged] == [401, 401, 429]
    assert ask(api, trust, id_token()).status_code == 200


def test_a_session_or_a_token_adds_nothing(
    api: Api, alice: Any, app: Any, make_trust: Any, id_token: Any
) -> None:
    trust = make_trust(app)
    body = {
        "trusted_issuer_id": trust.pk,
        "id_token": id_token(),
        "scope": "repository:acme/x:pull",
    }
    assert_refused(api(alice).post(EXCHANGE, body), 403, "allows nothing")
    assert_refused(api(alice).get(EXCHANGE), 405)


def test_the_rate_of_a_trust(
    api: Api, app: Any, make_trust: Any, id_token: Any, settings: Any
) -> None:
    settings.RATE_LIMITS = {"user": 2}
    trust = make_trust(app)
    statuses = [ask(api, trust, id_token()).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
