"""People, groups and members from CSV files: all lines or none."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from gitlab.accounts.models import ResetRequest, User
from gitlab.audit.models import AuditEvent
from gitlab.management import bulk
from gitlab.namespaces.models import Member, Namespace

pytestmark = pytest.mark.django_db(databases=["default"])

PEOPLE = """username,email,name,admin,external,state
nina,nina@example.com,Nina Newcomer,false,true,active
otto,otto@example.com,,,,blocked
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    def write(text: str | bytes, name: str = "some.csv") -> str:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def refused(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return str(caught.value)


def test_people(file: Any) -> None:
    path = file(PEOPLE)
    assert run("users", "import", path) == "2 made or changed, 0 there already.\n"
    nina, otto = User.objects.order_by("username")
    assert (nina.name, nina.external, nina.is_superuser) == ("Nina Newcomer", True, False)
    assert not nina.has_usable_password()
    assert nina.namespace.full_path == "nina"
    assert (otto.name, otto.state) == ("otto", "blocked")
    events = AuditEvent.objects.filter(action="user.create")
    assert [event.address for event in events] == ["command line"] * 2
    assert run("users", "import", path) == "0 made or changed, 2 there already.\n"


def test_a_dry_run_changes_nothing(file: Any) -> None:
    path = file(PEOPLE)
    assert run("users", "import", path, "--dry-run").startswith("2 would be made")
    assert not User.objects.exists()
    assert not AuditEvent.objects.exists()
    found = json.loads(run("users", "import", path, "--dry-run", "--format", "json"))
    assert found == {"changed": 2, "there": 0}


def test_all_or_none(file: Any, alice: Any) -> None:
    faulty = PEOPLE + (
        'alice,other@example.com,"over\ntwo lines",,,\n'
        "\n"
        "a b,x@example.com,,,,\n"
        "fine,nowhere,,maybe,,\n"
        "rest,rest@example.com,,,,deactivated\n"
    )
    said = refused("users", "import", file(faulty)).splitlines()
    assert said[0] == "Nothing was changed."
    assert [line.partition(":")[0] for line in said[1:]] == ["line 4", "line 7", "line 8", "line 9"]
    assert "already taken" in said[1]
    assert "admin: true or false" in said[3]
    assert set(User.objects.values_list("username", flat=True)) == {"alice"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column username, email"),
        ("username\nx\n", "no column email"),
        ("username,email,password\nx,y,z\n", "unknown columns: 'password'"),
        ("username,email,email\nx,y,z\n", "twice"),
        ("username,email\nx\n", "line 2: 1 values for 2 columns"),
        ('username,email\n"x,y\n', "this is no CSV"),
        (b"username,email\n\xff,y\n", "not in UTF-8"),
    ],
)
def test_what_is_no_such_file(file: Any, text: Any, message: str) -> None:
    assert message in refused("users", "import", file(text))


def test_how_much_a_file_holds(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST_LINES", 1)
    assert "line 3: more than 1 lines" in refused("users", "import", file(PEOPLE))
    monkeypatch.setattr(bulk, "MOST_BYTES", 10)
    assert "has more than" in refused("users", "import", file(PEOPLE))
    assert "can't be read" in refused("users", "import", file(PEOPLE) + "x")


def test_how_many_faults_are_listed(file: Any) -> None:
    lines = "".join(f"a b,{n}@example.com\n" for n in range(60))
    said = refused("users", "import", file(f"username,email\n{lines}")).splitlines()
    assert len(said) == 52
    assert said[-1] == "and perhaps more"


def test_links_for_passwords(file: Any, settings: Any, enqueued: Any) -> None:
    path = file(PEOPLE)
    assert "No mail is sent" in refused("users", "import", path, "--send-links")
    settings.MAIL_ENABLED = True
    run("users", "import", path, "--send-links", "--dry-run")
    assert not ResetRequest.objects.exists()
    run("users", "import", path, "--send-links")
    assert list(ResetRequest.objects.values_list("email", flat=True)) == ["nina@example.com"]


def test_what_is_exported_comes_back(file: Any) -> None:
    run("users", "import", file(PEOPLE.replace("Nina Newcomer", "=1+1")))
    text = run("users", "export")
    assert "nina,nina@example.com,'=1+1,false,true,active\r\n" in text
    assert run("users", "import", file(text)) == "0 made or changed, 2 there already.\n"
    renamed = text.replace("nina", "dora")
    run("users", "import", file(renamed))
    assert User.objects.get(username="dora").name == "=1+1"


def test_groups(file: Any, root: Any, alice: Any) -> None:
    path = file("path,name,visibility,owner\nacme,Acme Ltd,internal,alice\nacme/sub,,private,\n")
    run("groups", "import", path)
    acme = Namespace.objects.get(full_path="acme")
    assert (acme.name, acme.visibility) == ("Acme Ltd", "internal")
    owners = Member.objects.filter(namespace=acme).values_list("user__username", flat=True)
    assert set(owners) == {"root", "alice"}
    assert Namespace.objects.get(full_path="acme/sub").parent == acme
    assert run("groups", "import", path) == "0 made or changed, 2 there already.\n"
    assert "acme/sub,sub,private,\r\n" in run("groups", "export")


def test_a_group_whose_parent_is_missing(file: Any, root: Any) -> None:
    said = refused("groups", "import", file("path\nsome/sub\nsome\n"))
    assert "line 2: path: there is no group some" in said
    assert not Namespace.objects.filter(kind="group").exists()


def test_members(file: Any, root: Any, alice: Any, bob: Any, make_project: Any) -> None:
    app = make_project("acme/app", owner=alice)
    later = timezone.now().date().replace(year=timezone.now().year + 1, day=1).isoformat()
    path = file(
        f"path,username,access_level,expires_at\nacme/app,bob,developer,{later}\nacme,bob,20,\n"
    )
    assert run("members", "import", path) == "2 made or changed, 0 there already.\n"
    member = Member.objects.get(user=bob, project=app)
    assert (member.access_level, str(member.expires_at), member.created_by) == (30, later, root)
    assert run("members", "import", path) == "0 made or changed, 2 there already.\n"
    assert f"acme/app,bob,developer,{later}\r\n" in run("members", "export")
    raised = file("path,username,access_level\nacme/app,bob,maintainer\nacme,bob,reporter\n")
    assert run("members", "import", raised, "--by", "root").startswith("1 made or changed, 1 there")
    assert Member.objects.get(user=bob, project=app).access_level == 40


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("acme/none,bob,30,", "there is no group or project acme/none"),
        ("acme/app,nobody,30,", "There is no user nobody"),
        ("acme/app,bob,31,", "One of 10"),
        ("acme/app,bob,king,", "access_level: one of guest"),
        ("acme/app,bob,30,tomorrow", "expires_at: a day"),
        ("acme/app,bob,30,2001-01-01", "A day in the future"),
        ("alice,bob,30,", "there is no group or project alice"),
    ],
)
def test_members_that_can_not_be(
    file: Any, root: Any, alice: Any, bob: Any, make_project: Any, line: str, message: str
) -> None:
    make_project("acme/app", owner=alice)
    path = file(f"path,username,access_level,expires_at\n{line}\n")
    said = refused("members", "import", path)
    assert said.splitlines()[1].startswith("line 2: ")
    assert message in said
    assert not Member.objects.filter(user=bob).exists()
