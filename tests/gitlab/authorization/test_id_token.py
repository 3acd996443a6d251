"""ID tokens at the token endpoint: what they may, how they are called, how often they count."""

from __future__ import annotations

import datetime as dt
from typing import Any

import jwt
import pytest
from django.test import Client
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Project
from gitlab.revocations.models import Revocation
from gitlab.trusted_issuers import services, uses
from gitlab.trusted_issuers.models import IdTokenUse, TrustedIssuer
from tests.gitlab.trusted_issuers.conftest import *  # noqa: F403
from tests.people import basic
from tests.refusals import assert_refused

pytestmark = pytest.mark.django_db
ALL = "pull,push,delete"


def ask(trust: Any, text: str, *scopes: str) -> Any:
    return Client().get(
        "/jwt/auth",
        {"service": "container_registry", "scope": scopes},
        HTTP_AUTHORIZATION=basic(trust.username, text),
    )


def claims_of(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.content
    return jwt.decode(response.json()["token"], options={"verify_signature": False})


def granted(response: Any) -> dict[str, list[str]]:
    return {entry["name"]: entry["actions"] for entry in claims_of(response)["access"]}


def test_what_the_token_says(app: Any, make_trust: Any, id_token: Any) -> None:
    trust = make_trust(app)
    response = ask(trust, id_token(), f"repository:acme/app/web:{ALL}")

    claims = claims_of(response)
    name = f"gitlab+trusted-issuer-{trust.pk}"
    assert (claims["sub"], claims["auth_type"]) == (name, "id_token")
    assert claims["credential"] == f"trusted_issuer:{trust.pk}"
    assert claims["exp"] - claims["iat"] <= 600
    user = jwt.decode(claims["user"], options={"verify_signature": False})
    assert user["user_info"] == {
        "token_type": "id_token",
        "username": name,
        "trusted_issuer_id": trust.pk,
        "credential": f"trusted_issuer:{trust.pk}",
    }
    assert granted(response) == {"acme/app/web": ["pull", "push"]}


@pytest.mark.parametrize(
    "actions", [["pull"], ["push"], ["pull", "push"], ["delete"], ["pull", "push", "delete"]]
)
def test_it_may_what_the_trust_says(
    actions: list[str], app: Any, make_trust: Any, id_token: Any
) -> None:
    trust = make_trust(app, actions=actions)
    found = granted(ask(trust, id_token(), f"repository:acme/app/web:{ALL},*"))
    assert found == {"acme/app/web": actions}


def test_elsewhere_it_is_nobody(
    app: Any, make_project: Any, make_trust: Any, id_token: Any
) -> None:
    make_project("acme/private")
    make_project("zeta/public", visibility="public")
    make_project("zeta/internal", visibility="internal")
    trust = make_trust(app)
    names = ("acme/app", "acme/private", "zeta/public", "zeta/internal", "acme/new", "acme/app2")
    found = granted(ask(trust, id_token(), *(f"repository:{name}:{ALL}" for name in names)))
    assert found == {"acme/app": ["pull", "push"], "zeta/public": ["pull"]}
    assert "registry" not in str(ask(trust, id_token(), "registry:catalog:*").json().get("access"))


def test_a_groups_reaches_what_is_below(
    app: Any, make_project: Any, make_trust: Any, id_token: Any
) -> None:
    make_project("acme/tools/deep/app")
    make_project("zeta/app")
    trust = make_trust(app.namespace, images="tools/*")
    names = ("acme/app", "acme/tools/deep/app/web", "zeta/app", "acme/tools/new/web")
    found = granted(ask(trust, id_token(), *(f"repository:{name}:{ALL}" for name in names)))
    assert found == {"acme/tools/deep/app/web": ["pull", "push"]}
    assert Project.objects.filter(full_path__contains="new").count() == 0


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", {"acme/app", "acme/app/web", "acme/app/web/cache", "acme/app/api"}),
        ("*", {"acme/app", "acme/app/web", "acme/app/web/cache", "acme/app/api"}),
        ("web", {"acme/app/web"}),
        ("web*", {"acme/app/web", "acme/app/web/cache"}),
        ("web/*", {"acme/app/web/cache"}),
        ("app/web", set()),
    ],
)
def test_images(pattern: str, expected: set[str], app: Any, make_trust: Any, id_token: Any) -> None:
    trust = make_trust(app, images=pattern)
    names = ("acme/app", "acme/app/web", "acme/app/web/cache", "acme/app/api")
    found = granted(ask(trust, id_token(), *(f"repository:{name}:{ALL}" for name in names)))
    assert found.keys() == expected


def test_it_goes_along_with_a_project_that_is_renamed(
    app: Any, make_trust: Any, id_token: Any
) -> None:
    trust = make_trust(app, images="web")
    Project.objects.filter(pk=app.pk).update(path="other", full_path="acme/other")
    found = granted(ask(trust, id_token(), f"repository:acme/other/web:{ALL}"))
    assert found == {"acme/other/web": ["pull", "push"]}


def test_an_archived_project_is_only_read(app: Any, make_trust: Any, id_token: Any) -> None:
    trust = make_trust(app)
    Project.objects.filter(pk=app.pk).update(archived=True)
    found = granted(ask(trust, id_token(), f"repository:acme/app/web:{ALL}"))
    assert found == {"acme/app/web": ["pull"]}


def test_the_record_knows_which_job_it_was(app: Any, make_trust: Any, id_token: Any) -> None:
    trust, text = make_trust(app), id_token()
    ask(trust, text, "repository:acme/app/web:pull,push")
    ask(trust, text, "repository:acme/app/web:pull,push")

    assert ContainerRepository.objects.get().path == "acme/app/web"
    made = AuditEvent.objects.get(action="container_repository.create")
    assert (made.actor, made.actor_name) == (None, "trust octo of acme/app")
    used = AuditEvent.objects.get(action="trusted_issuer.use")
    assert (used.actor_name, used.target_path) == ("trust octo of acme/app", "acme/app")
    assert used.details["claims"] == {
        "sub": "repo:octo/app:ref:refs/heads/main",
        "repository": "octo/app",
    }
    trust.refresh_from_db()
    assert (trust.last_used_ip, trust.last_used_at is None) == ("127.0.0.1", False)


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_trust_that_has_ended(
    end: str, app: Any, make_trust: Any, id_token: Any, alice: Any
) -> None:
    trust, text = make_trust(app), id_token()
    ask(trust, text)
    if end == "revoked":
        services.revoke(alice, trust)
        assert Revocation.objects.filter(credential=f"trusted_issuer:{trust.pk}").exists()
    else:
        TrustedIssuer.objects.update(expires_at=timezone.now().date())
    assert_refused(ask(trust, text), "UNAUTHORIZED", 401)


def test_docker_shows_it_again_and_again(
    app: Any, make_trust: Any, id_token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "MOST_USES", 3)
    trust, text = make_trust(app), id_token()
    for _ in range(3):
        assert ask(trust, text).status_code == 200
    assert_refused(ask(trust, text), "UNAUTHORIZED", 401)
    assert IdTokenUse.objects.get().count == 3
    assert ask(trust, id_token()).status_code == 200


def test_it_is_of_the_trust_that_it_was_first_used_with(
    app: Any, make_project: Any, make_trust: Any, id_token: Any
) -> None:
    trust, other, text = make_trust(app), make_trust(make_project("acme/other")), id_token()
    assert ask(trust, text).status_code == 200
    assert_refused(ask(other, text), "UNAUTHORIZED", 401)
    assert ask(trust, text).status_code == 200


def test_another_signature_makes_no_other_token(app: Any, make_trust: Any, id_token: Any) -> None:
    """Of an ES256 signature (r, s) anybody makes (r, n - s), which is right too."""
    trust, text = make_trust(app), id_token()
    head, _, signature = text.rpartition(".")
    raw = jwt.utils.base64url_decode(signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    twin = f"{head}.{jwt.utils.base64url_encode(raw[:32] + other).decode()}"

    assert ask(trust, text).status_code == ask(trust, twin).status_code == 200
    assert IdTokenUse.objects.get().count == 2


def test_what_has_ended_is_forgotten(app: Any, make_trust: Any, id_token: Any) -> None:
    trust = make_trust(app)
    ask(trust, id_token())
    past = timezone.now() - dt.timedelta(seconds=1)
    IdTokenUse.objects.update(ends_at=past)
    ask(trust, id_token())
    assert IdTokenUse.objects.count() == 1


def test_queries_do_not_grow_with_the_scopes(
    app: Any, make_project: Any, make_trust: Any, id_token: Any, django_assert_max_num_queries: Any
) -> None:
    scopes = []
    for number in range(10):
        make_project(f"acme/app{number}")
        scopes.append(f"repository:acme/app{number}/image:pull,push")
    trust, text = make_trust(app.namespace), id_token()
    ask(trust, text, *scopes)

    # Three to count the use, within a transaction; the others as with a deploy token.
    with django_assert_max_num_queries(10):
        assert len(granted(ask(trust, text, *scopes))) == 10
