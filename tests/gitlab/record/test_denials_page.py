"""Why was I denied: what docker is shown, and what the page and the API say, to whom."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from gitlab.access_tokens import deploy_tokens, services
from gitlab.audit import denials
from gitlab.audit.models import Denial
from tests.people import basic

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(alice: Any, carol: Any, make_project: Any) -> Any:
    return make_project("acme/app", owner=alice, reporters=[carol])


def ask(client: Any, name: str, secret: str, *scopes: str) -> Any:
    query = {"service": "container_registry", "scope": list(scopes)}
    headers = {"Authorization": basic(name, secret)} if name else {}
    return client.get("/jwt/auth", query, headers=headers)


def refusals(response: Any) -> dict[str, str]:
    assert response.status_code == 200
    claims = jwt.decode(response.json()["token"], options={"verify_signature": False})
    found: dict[str, str] = claims.get("refusals", {})
    return found


def reference_in(text: str) -> str:
    found = text.partition("(denial ")[2].partition(")")[0]
    assert len(found) == 10, text
    denials.flush()
    return found


def message(response: Any, status: int) -> str:
    assert response.status_code == status
    text: str = json.loads(response.content)["errors"][0]["message"]
    return text


def test_a_push_that_is_not_granted(client: Any, app: Any, carol: Any, make_token: Any) -> None:
    text = make_token(carol, "read_registry", "write_registry")
    told = refusals(ask(client, "carol", text, "repository:acme/app:pull,push"))["acme/app"]
    assert told.startswith("pushing to acme/app takes the role Developer there (denial ")
    row = Denial.objects.get(reference=reference_in(told))
    token = services.find(text)
    assert token is not None
    assert (row.person_pk, row.project_pk, row.actions) == (carol.pk, app.pk, "push")
    assert (row.credential, row.address) == (f"access_token:{token.id}", "127.0.0.1")
    assert text not in str(row.__dict__)


def test_what_is_hidden_and_what_is_not_there_read_alike(
    client: Any, app: Any, mallory: Any, make_token: Any, django_assert_num_queries: Any
) -> None:
    text = make_token(mallory, "read_registry", "write_registry")
    ask(client, "mallory", text)  # The first use of the token is noted.
    told, queries = {}, {}
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for name in ("acme/app", "acme/gone"):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            answer = ask(client, "mallory", text, f"repository:{name}:pull,push")
        told[name] = refusals(answer)[name].partition(" (denial")[0].replace(name, "NAME")
        queries[name] = len(captured)
    assert told["acme/app"] == told["acme/gone"]
    assert queries["acme/app"] == queries["acme/gone"]


def test_what_is_granted_costs_nothing_more(
    client: Any, app: Any, alice: Any, make_token: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    text = make_token(alice, "read_registry", "write_registry")
    ask(client, "alice", text)
    with CaptureQueriesContext(connection) as captured:
        assert not refusals(ask(client, "alice", text, "repository:acme/app:pull"))
    assert len(captured) <= 4
    assert denials.flush()
    assert not Denial.objects.exists()


def test_a_visitor(client: Any, app: Any) -> None:
    told = {
        name: message(ask(client, "", "", f"repository:{name}:pull"), 403)
        for name in ("acme/app", "acme/gone")
    }
    first, second = (text.partition(" (denial")[0] for text in told.values())
    assert first == second == "access forbidden"
    row = Denial.objects.get(reference=reference_in(told["acme/app"]))
    assert (row.person_pk, row.project_pk, row.name) == (None, app.pk, "")


@pytest.mark.parametrize("state", ["wrong", "revoked", "expired"])
def test_a_login_that_is_refused(client: Any, alice: Any, make_token: Any, state: str) -> None:
    secret = "wrong"
    if state != "wrong":
        secret = make_token(alice, "read_registry", **{state: True})
    told = message(ask(client, "alice", secret), 401)
    assert told.startswith("HTTP Basic: Access denied.")
    row = Denial.objects.get(reference=reference_in(told))
    assert row.person_pk == alice.pk
    assert {"wrong": "password", "revoked": "revoked", "expired": "expired"}[state] in row.reason


def test_a_deploy_token_is_its_projects(client: Any, alice: Any, app: Any) -> None:
    row, text = deploy_tokens.create(alice, app, name="ci", scopes=["read_registry"])
    told = message(ask(client, "somebody", text), 401)
    found = Denial.objects.get(reference=reference_in(told))
    assert (found.project_pk, found.person_pk) == (app.pk, None)
    assert found.credential == f"deploy_token:{row.pk}"
    assert "somebody" not in str(found.__dict__)


@pytest.fixture
def of_carol(client: Any, app: Any, carol: Any, make_token: Any) -> str:
    text = make_token(carol, "read_registry", "write_registry")
    told = refusals(ask(client, "carol", text, "repository:acme/app:push"))["acme/app"]
    return reference_in(told)


def test_who_reads_one(
    client: Any, of_carol: str, alice: Any, bob: Any, carol: Any, mallory: Any, root: Any
) -> None:
    for user, status in ((carol, 200), (alice, 200), (root, 200), (bob, 404), (mallory, 404)):
        client.force_login(user)
        page = client.get(f"/-/denials/{of_carol}")
        assert page.status_code == status, user
        assert client.get(f"/api/v4/denials/{of_carol}").status_code == status
        assert client.get(f"/-/denials/{'X' * 10}").status_code == 404
        if status == 200:
            assert "takes the role Developer" in page.content.decode()
    client.logout()
    assert client.get(f"/-/denials/{of_carol}").status_code == 302
    assert client.get(f"/api/v4/denials/{of_carol}").status_code == 401


def test_what_one_may_not_see_is_asked_like_what_is_not_there(
    client: Any, of_carol: str, mallory: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.force_login(mallory)
    client.get("/api/v4/denials")  # The session is noted.
    counts = []
    for reference in (of_carol, "X" * 10):
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(f"/api/v4/denials/{reference}")
        counts.append((answer.status_code, answer.content, len(captured)))
    assert counts[0] == counts[1]


def test_an_id_that_no_database_holds_is_not_there(client: Any, carol: Any) -> None:
    client.force_login(carol)
    assert client.get("/-/denials/a%00b").status_code == 404
    assert client.get("/-/denials", {"q": "a\0b"}, follow=True).status_code == 404


def test_lists(
    client: Any, app: Any, of_carol: str, alice: Any, carol: Any, bob: Any, root: Any
) -> None:
    client.force_login(carol)
    assert of_carol in client.get("/-/denials").content.decode()
    assert client.get("/-/denials", {"q": f" {of_carol.lower()} "}).status_code == 302
    assert client.get(f"/-/denials/{of_carol.lower()}").status_code == 200
    assert [row["id"] for row in client.get("/api/v4/denials").json()] == [of_carol]
    assert client.get("/acme/app/-/denials").status_code == 403
    assert client.get(f"/api/v4/projects/{app.pk}/denials").status_code == 403
    client.force_login(alice)
    assert of_carol in client.get("/acme/app/-/denials").content.decode()
    assert client.get(f"/api/v4/projects/{app.pk}/denials").json()[0]["id"] == of_carol
    assert client.get("/api/v4/denials?scope=all").json() == []
    assert client.get("/admin/denials").status_code in (302, 403)
    client.force_login(root)
    assert of_carol in client.get("/admin/denials").content.decode()
    assert len(client.get("/api/v4/denials?scope=all").json()) == 1
    client.force_login(bob)
    assert of_carol not in client.get("/-/denials").content.decode()
    assert client.get("/-/denials?after=x").status_code == 400
