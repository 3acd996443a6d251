"""The inventory: what works, who has one factor, what is open; each row with its remedy."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from allauth.mfa.models import Authenticator

from gitlab.audit.models import AuditEvent
from gitlab.record.inventory import INVENTORIES
from gitlab.record.views import inventory
from gitlab.trusted_issuers.models import TrustedIssuer

pytestmark = pytest.mark.django_db


@pytest.fixture
def content(
    alice: Any,
    bob: Any,
    make_project: Any,
    make_image: Any,
    make_token: Any,
    make_deploy_token: Any,
    make_runner: Any,
    make_access_token: Any,
) -> Any:
    app = make_project("acme/app", owner=alice, visibility="public")
    make_project("acme/inside", owner=alice)
    make_image("acme/app/web", of=app)
    make_token(alice, "api")
    make_token(alice, "api", revoked=True)
    make_token(bob, "api", expired=True)
    make_access_token(app)
    make_deploy_token(app)
    make_runner(app)
    TrustedIssuer.objects.create(
        project=app, name="GitHub", issuer="https://ci.example.com", conditions={"sub": "x"}
    )
    Authenticator.objects.create(user=bob, type="totp", data={})
    return app


@pytest.fixture
def console(client: Any, root: Any) -> Any:
    client.force_login(root)
    return client


def rows(console: Any, key: str) -> list[dict[str, str]]:
    answer = console.get(f"/admin/inventory/{key}", {"format": "csv"})
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("access_tokens", ["test", "test"]),
        ("deploy_tokens", ["test"]),
        ("runners", ["runner"]),
        ("trusted_issuers", ["GitHub"]),
        ("public_projects", ["acme/app"]),
        ("public_images", ["acme/app/web"]),
        ("one_factor", ["alice", "root"]),
    ],
)
def test_lists(content: Any, console: Any, key: str, names: list[str]) -> None:
    assert sorted(row["name"] for row in rows(console, key)) == names
    page = console.get(f"/admin/inventory/{key}")
    assert page.status_code == 200
    assert [line.name for line in page.context["lines"]] == [
        row["name"] for row in rows(console, key)
    ]


@pytest.mark.parametrize("key", [key for key, each in INVENTORIES.items() if each.remedy])
def test_remedies(content: Any, console: Any, root: Any, key: str) -> None:
    first = rows(console, key)[0]
    address = f"/admin/inventory/{key}"
    assert console.post(address, {"pk": first["id"]})["Location"] == address
    assert first not in rows(console, key)
    event = AuditEvent.objects.latest("pk")
    assert event.actor == root
    assert event.action.endswith((".revoke", "project.update"))
    before = AuditEvent.objects.count()
    for pk in (first["id"], "x", ""):
        assert console.post(address, {"pk": pk}).status_code == 404
    assert AuditEvent.objects.count() == before


def test_pages(content: Any, console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "PAGE", 1)
    first = console.get("/admin/inventory/access_tokens")
    second = console.get(f"/admin/inventory/access_tokens{first.context['next_url']}")
    assert first.context["lines"][0].pk < second.context["lines"][0].pk
    assert second.context["next_url"] == ""
    assert console.get("/admin/inventory/access_tokens?after=x").status_code == 400
    assert console.get("/admin/inventory/nothing").status_code == 404
    assert console.post("/admin/inventory/one_factor", {"pk": "1"}).status_code == 404


def test_it_is_for_administrators(content: Any, client: Any, alice: Any) -> None:
    client.force_login(alice)
    for answer in (
        client.get("/admin/inventory/access_tokens"),
        client.post("/admin/inventory/access_tokens", {"pk": "1"}),
    ):
        assert answer.status_code in (302, 403)
    assert client.get("/admin/inventory")["Location"] == "/admin/inventory/access_tokens"
