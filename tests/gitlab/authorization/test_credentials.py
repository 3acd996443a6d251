"""The table: each kind of credential, and what it is good for in a private project.

login · pull · push · delete, asked for at the token endpoint · reading the project by the API
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jwt
import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from gitlab.access_tokens import job_tokens
from gitlab.access_tokens.models import DeployToken, PersonalAccessToken
from gitlab.trusted_issuers import id_tokens, services
from gitlab.trusted_issuers.models import TrustedIssuer
from tests.gitlab import factories
from tests.people import PASSWORD, basic, person
from tests.played_issuer import NETWORK, PlayedIssuer
from tokens import views

pytestmark = pytest.mark.django_db


class Row(NamedTuple):
    """What is expected: the status of a login, the actions granted, the status of the API."""

    login: int
    granted: set[str]
    api: int


def _personal(*scopes: str, **state: bool) -> Callable[[Any, Any], tuple[str, str]]:
    return lambda app, bob: ("whoever", factories.token(bob, *scopes, **state))


def _deploy(*scopes: str, of: str = "", **state: bool) -> Callable[[Any, Any], tuple[str, str]]:
    def make(app: Any, bob: Any) -> tuple[str, str]:
        owner = {"": app, "group": app.namespace}.get(of) or factories.project(of)
        token, text = factories.deploy_token(owner, *scopes, **state)
        return token.username, text

    return make


def _access(level: int, *scopes: str, of: str = "") -> Callable[[Any, Any], tuple[str, str]]:
    def make(app: Any, bob: Any) -> tuple[str, str]:
        owner = {"": app, "group": app.namespace}.get(of) or factories.project(of)
        return "whoever", factories.access_token(owner, *scopes, level=level)[1]

    return make


def _job(of: str = "", *, over: bool = False) -> Callable[[Any, Any], tuple[str, str]]:
    def make(app: Any, bob: Any) -> tuple[str, str]:
        owner = factories.project(of, developers=[bob]) if of else app
        job, text = factories.job(owner, bob)
        if over:
            job_tokens.finish_job(job.runner, job.pk, "failed")
        return "gitlab-ci-token", text

    return make


def _id_token(*actions: str, of: str = "", **claims: Any) -> Callable[..., tuple[str, str]]:
    def make(app: Any, bob: Any) -> tuple[str, str]:
        owner = {"": app, "group": app.namespace}.get(of) or factories.project(of)
        trust = services.create(
            person("root", is_superuser=True),
            owner,
            name="octo",
            issuer=ISSUER.url,
            conditions={"repository": "octo/app"},
            actions=actions,
        )
        if claims.pop("revoked", False):
            services.revoke(person("root"), trust)
        return trust.username, ISSUER.token(claims.pop("aud", settings.EXTERNAL_URL), **claims)

    return make


ISSUER = PlayedIssuer()
PULL, PUSH, EVERYTHING = {"pull"}, {"pull", "push"}, {"pull", "push", "delete"}

# Bob maintains the project, so that whatever is refused is refused for the credential's sake.
TABLE: dict[str, tuple[Callable[[Any, Any], tuple[str, str]], Row]] = {
    "password": (lambda app, bob: ("bob", PASSWORD), Row(200, EVERYTHING, 401)),
    "wrong password": (lambda app, bob: ("bob", "wrong"), Row(401, set(), 401)),
    "personal, api": (_personal("api"), Row(200, EVERYTHING, 200)),
    "personal, read_api": (_personal("read_api"), Row(200, PULL, 200)),
    "personal, both registry": (
        _personal("read_registry", "write_registry"),
        Row(200, PUSH, 403),
    ),
    "personal, read_registry": (_personal("read_registry"), Row(200, PULL, 403)),
    "personal, write_registry": (_personal("write_registry"), Row(200, {"push"}, 403)),
    "personal, read_user": (_personal("read_user"), Row(403, set(), 403)),
    "personal, self_rotate": (_personal("self_rotate"), Row(403, set(), 403)),
    "personal, revoked": (_personal("api", revoked=True), Row(401, set(), 401)),
    "personal, expired": (_personal("api", expired=True), Row(401, set(), 401)),
    "deploy, both": (_deploy(), Row(200, PUSH, 401)),
    "deploy, read": (_deploy("read_registry"), Row(200, PULL, 401)),
    "deploy, write": (_deploy("write_registry"), Row(200, {"push"}, 401)),
    "deploy, of the group": (_deploy(of="group"), Row(200, PUSH, 401)),
    "deploy, of another": (_deploy(of="acme/other"), Row(200, set(), 401)),
    "deploy, read_repository": (_deploy("read_repository"), Row(403, set(), 401)),
    "deploy, revoked": (_deploy(revoked=True), Row(401, set(), 401)),
    "deploy, expired": (_deploy(expired=True), Row(401, set(), 401)),
    "project, guest": (_access(10, "api"), Row(200, set(), 200)),
    "project, reporter": (_access(20, "api"), Row(200, PULL, 200)),
    "project, developer": (_access(30, "api"), Row(200, PUSH, 200)),
    "project, maintainer": (_access(40, "api"), Row(200, EVERYTHING, 200)),
    "project, maintainer, read_registry": (_access(40, "read_registry"), Row(200, PULL, 403)),
    "project, of another": (_access(50, "api", of="acme/other"), Row(200, set(), 404)),
    "group, developer": (_access(30, "api", of="group"), Row(200, PUSH, 200)),
    "job": (_job(), Row(200, EVERYTHING, 403)),
    "job, of another": (_job("acme/other"), Row(200, set(), 403)),
    "job, over": (_job(over=True), Row(401, set(), 401)),
    "runner": (lambda app, bob: ("x", factories.runner(app)[1]), Row(401, set(), 401)),
    "ID token, all": (_id_token("pull", "push", "delete"), Row(200, EVERYTHING, 401)),
    "ID token, both": (_id_token("pull", "push"), Row(200, PUSH, 401)),
    "ID token, pull": (_id_token("pull"), Row(200, PULL, 401)),
    "ID token, of the group": (_id_token("pull", "push", of="group"), Row(200, PUSH, 401)),
    "ID token, of another": (_id_token("pull", "push", of="acme/other"), Row(200, set(), 401)),
    "ID token, trust revoked": (_id_token("pull", revoked=True), Row(401, set(), 401)),
    "ID token, another job's": (_id_token("pull", repository="octo/x"), Row(401, set(), 401)),
    "ID token, for another": (_id_token("pull", aud="https://x"), Row(401, set(), 401)),
    "ID token, expired": (_id_token("pull", iat=1, exp=2), Row(401, set(), 401)),
    "unknown personal": (lambda app, bob: ("bob", "glpat-unknown"), Row(401, set(), 401)),
    "unknown deploy": (lambda app, bob: ("bob", "gldt-unknown"), Row(401, set(), 401)),
    "unknown job": (lambda app, bob: ("gitlab-ci-token", "glcbt-1"), Row(401, set(), 401)),
}


@pytest.fixture
def app() -> Any:
    return factories.project("acme/app", maintainers=[person("bob")])


@pytest.fixture(autouse=True)
def issuer(settings: Any) -> Iterator[None]:
    """The one that the rows of ID tokens are from."""
    settings.ISSUER_NETWORKS = [NETWORK]
    with PlayedIssuer().serving() as played:
        ISSUER.url = played.url
        yield


@pytest.mark.parametrize(("make", "row"), TABLE.values(), ids=TABLE)
def test_what_it_is_good_for(make: Any, row: Row, app: Any) -> None:
    username, secret = make(app, person("bob"))

    login = Client().get(
        "/jwt/auth",
        {
            "service": "container_registry",
            "scope": "repository:acme/app/web:pull,push,delete",
        },
        HTTP_AUTHORIZATION=basic(username, secret),
    )
    api = Client().get(f"/api/v4/projects/{app.pk}", HTTP_PRIVATE_TOKEN=secret)

    assert login.status_code == row.login, login.content
    granted: set[str] = set()
    if login.status_code == 200:
        claims = jwt.decode(login.json()["token"], options={"verify_signature": False})
        granted = {action for entry in claims["access"] for action in entry["actions"]}
    else:
        assert set(login.json()) == {"errors"}
    assert granted == row.granted
    assert api.status_code == row.api, api.content


@pytest.mark.parametrize("kind", ["personal", "deploy", "job", "ID token"])
def test_a_registry_token_does_not_outlive_its_credential(
    kind: str, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = person("bob")
    tomorrow = timezone.now().date() + dt.timedelta(days=1)
    midnight = dt.datetime.combine(tomorrow, dt.time(), dt.UTC).timestamp()
    if kind == "job":
        midnight = int(time.time()) + 120
        _, text = factories.job(app, bob, timeout=dt.timedelta(seconds=121))
        username = "gitlab-ci-token"
    else:
        username, text = {"personal": _personal("api"), "deploy": _deploy(),
                          "ID token": _id_token("pull")}[kind](app, bob)  # fmt: skip
        for model in (PersonalAccessToken, DeployToken, TrustedIssuer):
            model.objects.update(expires_at=tomorrow)
        # Two minutes before midnight, as far as the token endpoint goes.
        monkeypatch.setattr(views.time, "time", lambda: midnight - 120)
        monkeypatch.setattr(id_tokens, "_check_times", lambda claims, now: None)
    login = Client().get(
        "/jwt/auth",
        {"service": "container_registry"},
        HTTP_AUTHORIZATION=basic(username, text),
    )
    claims = jwt.decode(
        login.json()["token"], options={"verify_signature": False, "verify_exp": False}
    )
    assert 115 <= claims["exp"] - claims["iat"] <= 121
    assert login.json()["expires_in"] == claims["exp"] - claims["iat"]
