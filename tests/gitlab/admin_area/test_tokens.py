"""Tokens in the console: found by how they stand, revoked by the services, and never shown."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.access_tokens.models import DeployToken, PersonalAccessToken, Runner
from gitlab.accounts import services as accounts
from gitlab.admin_area import tokens
from gitlab.admin_area.views import tables
from gitlab.audit.models import AuditEvent
from gitlab.namespaces.models import Project
from tests.gitlab.admin_area.lists import queries, steps

pytestmark = pytest.mark.django_db

LIST = "/admin/tokens/"
LONG_AGO = dt.timedelta(days=100)


def today(days: int = 0) -> dt.date:
    return timezone.now().date() + dt.timedelta(days=days)


@pytest.fixture
def made(
    root: Any, alice: Any, bob: Any, make_project: Any, make_token: Any, make_access_token: Any
) -> dict[str, PersonalAccessToken]:
    """Access tokens by how they stand."""
    app = make_project("acme/app", owner=alice)
    now = timezone.now()
    columns: dict[str, dict[str, Any]] = {
        "works": {},
        "soon": {"expires_at": today(2), "last_used_at": now},
        "unused": {"created_at": now - LONG_AGO},
        "used": {"created_at": now - LONG_AGO, "last_used_at": now},
        "ended": {"expires_at": today()},
        "revoked": {"revoked_at": now},
    }
    found = {}
    for name, changed in columns.items():
        make_token(alice, "read_registry")
        row = PersonalAccessToken.objects.latest("pk")
        PersonalAccessToken.objects.filter(pk=row.pk).update(name=name, **changed)
        found[name] = PersonalAccessToken.objects.get(pk=row.pk)
    found["project"], _ = make_access_token(app, name="project")
    found["group"], _ = make_access_token(app.namespace, name="group")
    make_token(bob)
    PersonalAccessToken.objects.filter(user=bob).update(name="blocked")
    found["blocked"] = PersonalAccessToken.objects.get(user=bob)
    accounts.block(bob, by=root)
    return found


def rows(console: Client, kind: str = "access", **query: str) -> list[Any]:
    answer = console.get(f"{LIST}{kind}/", query)
    assert answer.status_code == 200
    return list(answer.context["rows"])


def listed(console: Client, kind: str = "access", **query: str) -> set[str]:
    return {row.token.name for row in rows(console, kind, **query)}


def revoke(client: Client, kind: str, *chosen: Any) -> str:
    given = {"selected": [row.pk for row in chosen], "confirmed": "yes"}
    answer = client.post(f"{LIST}{kind}/-/revoke", given, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_they_are_for_administrators(alice: Any) -> None:
    client = Client()
    client.force_login(alice)
    for address in ("access/", "deploy/", "runners/", "access/-/revoke?selected=1"):
        assert client.get(f"{LIST}{address}", follow=True).status_code == 403


def test_where_they_begin(console: Client) -> None:
    assert console.get(LIST)["Location"] == f"{LIST}access/"
    for kind in tokens.KINDS:
        assert "There is none yet." in console.get(f"{LIST}{kind}/").content.decode()
    assert console.get(f"{LIST}others/").status_code == 404


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("works", {"works", "soon", "unused", "used", "project", "group"}),
        ("soon", {"soon"}),
        ("unused", {"unused"}),
        ("ended", {"ended"}),
        ("revoked", {"revoked"}),
    ],
)
def test_states(console: Client, made: Any, settings: Any, state: str, names: set[str]) -> None:
    settings.TOKEN_EXPIRY_WARNING = dt.timedelta(days=7)
    assert listed(console, state=state) == names
    assert len(listed(console, state="x")) == len(made)


def test_what_ends_first(console: Client, made: Any, settings: Any, monkeypatch: Any) -> None:
    """Where all of them end; elsewhere there is no such order."""
    settings.TOKEN_EXPIRY_WARNING = dt.timedelta(days=7)
    PersonalAccessToken.objects.filter(name="used").update(expires_at=today(1))
    soon = [row.token.name for row in rows(console, state="soon")]
    assert soon == ["used", "soon"]
    turned = [row.token.name for row in rows(console, state="soon", sort="-expires_at")]
    assert turned == ["soon", "used"]
    pks = [row.token.pk for row in rows(console, sort="expires_at")]
    assert pks == sorted(pks, reverse=True)
    monkeypatch.setattr(tables, "SHOWN", 1)
    first = console.get(f"{LIST}access/", {"state": "soon"})
    second = console.get(f"{LIST}access/" + first.context["next_url"])
    assert [row.token.name for row in second.context["rows"]] == ["soon"]


def test_what_works_is_exported(console: Client, made: Any) -> None:
    for kind in tokens.KINDS:
        address = console.get(f"{LIST}{kind}/").context["export_url"]
        assert console.get(address)["Content-Type"].startswith("text/csv")


def test_each_says_how_it_stands(made: Any, settings: Any) -> None:
    settings.TOKEN_EXPIRY_WARNING = dt.timedelta(days=7)
    same = {"used": "works", "project": "works", "group": "works"}
    for name, token in made.items():
        now = PersonalAccessToken.objects.get(pk=token.pk)
        assert tokens.state_of(now) == same.get(name, name)


def test_whose(console: Client, made: Any) -> None:
    assert listed(console, owner="project") == {"project"}
    assert listed(console, owner="group") == {"group"}
    assert listed(console, owner="person") == set(made) - {"project", "group"}
    assert listed(console, q="ACME/APP") == {"project"}
    assert listed(console, q="@bob") == {"blocked"}
    assert listed(console, q="SOON") == {"soon"}


def test_a_row(console: Client, made: Any) -> None:
    found = {row.token.name: row for row in rows(console)}
    assert (found["works"].owner, found["works"].owner_url) == ("alice", "/admin/people/alice/")
    assert found["works"].url == "", "nobody else has the page of a person's own"
    project, group = found["project"], found["group"]
    assert (project.owner_url, project.about) == ("/acme/app", "Project, Maintainer")
    assert project.url == "/acme/app/-/settings/access_tokens"
    assert group.url == "/groups/acme/-/settings/access_tokens"
    page = console.get(f"{LIST}access/").content.decode()
    for token in made.values():
        assert token.digest not in page


def test_of_a_project_that_is_being_deleted(console: Client, made: Any) -> None:
    Project.objects.update(pending_delete_at=timezone.now())
    row = next(row for row in rows(console) if row.token.name == "project")
    assert (row.owner, row.owner_url, row.url) == ("acme/app", "", "")


def test_deploy_tokens_and_runners(
    console: Client, alice: Any, make_project: Any, make_deploy_token: Any, make_runner: Any
) -> None:
    app = make_project("acme/app", owner=alice)
    of_project, _ = make_deploy_token(app, username="robot")
    of_group, _ = make_deploy_token(app.namespace)
    runner, _ = make_runner(app)
    found = rows(console, "deploy")
    assert [row.token.pk for row in found] == [of_group.pk, of_project.pk], "the newest first"
    assert found[1].about == "Project, robot"
    assert [row.token.pk for row in rows(console, "deploy", q="robot")] == [of_project.pk]
    assert [row.token.pk for row in rows(console, "deploy", owner="group")] == [of_group.pk]
    (row,) = rows(console, "runners")
    assert (row.token.pk, row.about) == (runner.pk, "Project, registered by root")
    page = console.get(f"{LIST}runners/").content.decode()
    assert "Ends" not in page
    assert runner.digest not in page


def test_it_asks_first(console: Client, made: Any) -> None:
    chosen = f"selected={made['works'].pk}&selected={made['project'].pk}&selected=x&selected=-1"
    asked = console.get(f"{LIST}access/-/revoke?{chosen}").content.decode()
    assert "Revoke 2 access tokens?" in asked
    assert "works of alice and project of acme/app" in asked
    assert not PersonalAccessToken.objects.filter(name="works", revoked_at__isnull=False)


def test_revoke(console: Client, root: Any, made: Any) -> None:
    """One of a project ends its bot too, and one that is revoked already is not chosen."""
    told = revoke(console, "access", made["works"], made["project"], made["revoked"])
    assert "works of alice and project of acme/app: revoked." in told
    revoked = PersonalAccessToken.objects.filter(revoked_at__isnull=False)
    assert set(revoked.values_list("name", flat=True)) == {"works", "project", "revoked"}
    assert AuditEvent.objects.filter(action="access_token.revoke", actor=root).count() == 2
    made["project"].user.refresh_from_db()
    assert not made["project"].user.is_active
    assert "Choose access tokens first." in revoke(console, "access", made["revoked"])


def test_revoke_the_others(
    console: Client, root: Any, make_project: Any, make_deploy_token: Any, make_runner: Any
) -> None:
    app = make_project("acme/app")
    deploy, _ = make_deploy_token(app)
    runner, _ = make_runner(app)
    revoke(console, "deploy", deploy)
    revoke(console, "runners", runner)
    assert DeployToken.objects.get().is_revoked
    assert Runner.objects.get().is_revoked
    for action in ("deploy_token.revoke", "runner.revoke"):
        assert AuditEvent.objects.get(action=action).actor == root


def test_an_unknown_deed(console: Client, made: Any) -> None:
    for address in ("access/-/show", "others/-/revoke"):
        assert console.get(f"{LIST}{address}?selected=1").status_code == 404


def test_pages(console: Client, made: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(tables, "SHOWN", 5)
    first = console.get(f"{LIST}access/")
    assert first.context["count_text"] == "9 access tokens"
    second = console.get(f"{LIST}access/" + first.context["next_url"])
    pks = [row.token.pk for answer in (first, second) for row in answer.context["rows"]]
    assert pks == sorted((row.pk for row in made.values()), reverse=True)


@pytest.mark.parametrize("kind", tokens.KINDS)
def test_a_row_costs_no_query(
    console: Client, kind: str, make_project: Any, make_group: Any, request: Any
) -> None:
    factories = {"access": "access_token", "deploy": "deploy_token", "runners": "runner"}
    make = request.getfixturevalue(f"make_{factories[kind]}")

    def more(name: str) -> None:
        make(make_project(f"acme/{name}"))
        if kind != "runners":
            make(make_group(name))

    more("first")
    queries(console, f"{LIST}{kind}/")
    few = len(queries(console, f"{LIST}{kind}/"))
    for number in range(3):
        more(f"x{number}")
    assert len(queries(console, f"{LIST}{kind}/")) == few


@pytest.mark.sqlite
@pytest.mark.parametrize("kind", tokens.KINDS)
def test_nothing_is_sorted(console: Client, kind: str) -> None:
    found = steps(console, f"{LIST}{kind}/")
    assert not [step for step in found if "TEMP B-TREE" in step], found


@pytest.mark.parametrize(
    ("before", "kind"),
    [("personalaccesstoken", "access"), ("deploytoken", "deploy"), ("runner", "runners")],
)
def test_the_addresses_from_before(console: Client, before: str, kind: str) -> None:
    assert console.get(f"/admin/access_tokens/{before}/")["Location"] == f"{LIST}{kind}/"
