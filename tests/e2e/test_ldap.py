"""Debian's slapd says whose password it is: Berth's own code in this process, the server another.

What Berth makes of it is shown with a directory that is played, in
`tests/gitlab/identity_providers/directories`.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.e2e import components
from tests.e2e.slapd import (
    ADMIN,
    GROUPS,
    PASSWORD,
    PEOPLE,
    READER,
    READER_PASSWORD,
    SUFFIX,
    Slapd,
    person,
)
from tests.gitlab import factories
from tests.people import basic

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.engineless,
    pytest.mark.xdist_group("slapd"),
    pytest.mark.django_db,
]


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The server, for all tests of this file."""
    components.require("slapd")
    if importlib.util.find_spec("ldap") is None:
        # It needs a compiler: this is missed only where it is wanted.
        reason = "there is no python-ldap: make ldap installs it"
        if os.environ.get("REQUIRE_LDAP") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with Slapd(tmp_path_factory.mktemp("slapd")).serving() as server:
        yield server


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """The password of Berth's own account there."""
    path = tmp_path / "password"
    path.write_text(f"{READER_PASSWORD}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def table(slapd: Slapd, password_file: Path) -> Callable[..., Any]:
    """``table(key=value)``: the settings of the directory."""
    from gitlab.config.directory_tables import LDAP

    def make(**keys: Any) -> LDAP:
        return LDAP(
            **{
                "servers": [slapd.tls],
                "ca_file": slapd.certificates.authority,
                "bind_dn": READER,
                "bind_password_file": password_file,
                "users_base": PEOPLE,
                "groups_base": GROUPS,
                "create_users": True,
                **keys,
            }
        )

    return make


@pytest.fixture
def settle(table: Callable[..., Any], settings: Any) -> Iterator[Callable[..., None]]:
    """``settle(key=value)``: the directory is asked, with these settings."""
    from gitlab.identity_providers.directories import connections

    def set_table(**keys: Any) -> None:
        connections.forget()
        settings.DIRECTORIES = {"corp": table(**keys)}

    set_table()
    yield set_table
    connections.forget()


def page(client: Client, login: str, password: str = PASSWORD) -> bool:
    """Whether somebody comes in."""
    client.post("/users/sign_out")
    client.post("/users/sign_in", {"login": login, "password": password})
    return "_auth_user_id" in client.session


@pytest.mark.usefixtures("settle")
def test_the_page_docker_and_what_groups_give(
    slapd: Slapd, settle: Callable[..., None], client: Client
) -> None:
    from gitlab.accounts.models import User
    from gitlab.namespaces.models import Member

    factories.group("acme")
    settle(memberships=[f"cn=leads,{GROUPS} -> acme maintainer", "STAFF -> acme reporter"])
    assert not page(client, "dora", "wrong")
    assert page(client, "dora")
    dora = User.objects.get(username="dora")
    assert (dora.email, dora.name) == ("dora@example.com", "Dora")
    levels = Member.objects.filter(user=dora).values_list("access_level", flat=True)
    assert list(levels) == [40]
    answer = client.get(
        "/jwt/auth?service=container_registry",
        headers={"Authorization": basic("dora@example.com", PASSWORD)},
    )
    assert answer.status_code == 200
    slapd.set_members("leads", "emil")
    try:
        assert page(client, "dora")
        assert list(levels.all()) == [20]
    finally:
        slapd.set_members("leads", "dora")


@pytest.mark.usefixtures("settle")
def test_who_is_gone(slapd: Slapd, client: Client) -> None:
    from gitlab.accounts.models import User
    from gitlab.identity_providers.directories import sync

    for uid in ("greta", "hugo"):
        slapd.add(*person(uid))
        assert page(client, uid)
    slapd.remove(f"uid=greta,{PEOPLE}")
    assert not page(client, "greta")
    assert User.objects.get(username="greta").is_blocked
    slapd.remove(f"uid=hugo,{PEOPLE}")
    assert page(client, "dora")
    assert sync.sync() == 2
    assert User.objects.get(username="hugo").is_blocked
    assert User.objects.get(username="dora").is_active


@pytest.mark.usefixtures("settle")
@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("dora", ""),
        ("dora", "\0"),
        ("*", PASSWORD),
        ("dor*", PASSWORD),
        ("dora)(uid=*", PASSWORD),
        ("*)(|(uid=*", PASSWORD),
        ("\uff44ora", PASSWORD),
        ("nopassword", PASSWORD),
        ("elsewhere", PASSWORD),
        (f"uid=dora,{PEOPLE}", PASSWORD),
        ("", PASSWORD),
    ],
)
def test_nobody_comes_in_by(login: str, password: str) -> None:
    from gitlab.accounts import sign_in
    from gitlab.accounts.models import User

    with pytest.raises(sign_in.SignInRefused) as error:
        sign_in.verify(login, password, address="")
    # No strange name makes the directory look as if it were away.
    assert not isinstance(error.value, sign_in.DirectoryAway)
    assert not User.objects.exists()


def test_a_bind_without_a_password_is_one_that_the_server_takes(slapd: Slapd) -> None:
    """So that the test before shows something."""
    import ldap

    connection = ldap.initialize(slapd.plain)
    connection.simple_bind_s(f"uid=dora,{PEOPLE}", "")
    assert connection.whoami_s() == ""


def test_names_with_signs_that_are_escaped(table: Callable[..., Any]) -> None:
    from gitlab.identity_providers.directories import connections

    with connections.opened(table()) as session:
        entry = session.by_login("doe")
        assert entry is not None
        assert session.by_subject(entry.subject) == entry
        assert session.accepts(entry, PASSWORD)
        assert not session.accepts(entry, "wrong")
        assert "escaped" in session.groups(entry)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({}, {"staff", "leads"}),
        ({"nested_groups": True}, {"staff", "leads", "above", "circle"}),
        ({"group_member": "memberUid"}, {"posix"}),
        ({"group_filter": "(cn=leads)"}, {"leads"}),
        ({"groups_base": ""}, set()),
    ],
)
def test_groups(table: Callable[..., Any], keys: dict[str, Any], found: set[str]) -> None:
    from gitlab.identity_providers.directories import connections

    with connections.opened(table(**keys)) as session:
        entry = session.by_login("dora")
        assert entry is not None
        groups = session.groups(entry)
    assert {name for name in groups if "=" not in name} == found
    assert {name for name in groups if "=" in name} == {f"cn={name},{GROUPS}" for name in found}


def test_an_answer_that_is_cut_off_takes_nothing(
    table: Callable[..., Any], settle: Callable[..., None], client: Client
) -> None:
    """Of so many groups the server shows some: who has them would lose the others."""
    from gitlab.identity_providers.directories import connections
    from gitlab.identity_providers.profiles import ProviderRefused

    with connections.opened(table()) as session, pytest.raises(ProviderRefused, match="too many"):
        session.groups(session.by_login("many"))
    assert not page(client, "many")


def test_two_entries_are_nobody(slapd: Slapd, table: Callable[..., Any]) -> None:
    from gitlab.identity_providers.directories import connections
    from gitlab.identity_providers.profiles import ProviderRefused

    slapd.add(*person("dora", rdn="cn=Another"))
    try:
        with connections.opened(table()) as session, pytest.raises(ProviderRefused):
            session.by_login("dora")
    finally:
        slapd.remove(f"cn=Another,{PEOPLE}")


def test_too_many_bytes(table: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from gitlab.identity_providers.directories import connections
    from gitlab.identity_providers.profiles import ProviderUnavailable

    monkeypatch.setattr(connections, "MAX_BYTES", 50)
    with pytest.raises(ProviderUnavailable, match="50 bytes"), connections.opened(table()) as found:
        found.by_login("dora")


class TestTheWay:
    """TLS, and servers that do not answer."""

    def reach(self, table: Any) -> Any:
        from gitlab.identity_providers.directories import connections

        with connections.opened(table) as session:
            return session.by_login("dora")

    def test_start_tls(self, slapd: Slapd, table: Callable[..., Any]) -> None:
        assert self.reach(table(servers=[slapd.plain], start_tls=True))

    @pytest.mark.parametrize("start_tls", [False, True])
    def test_an_authority_that_is_not_known(
        self, slapd: Slapd, table: Callable[..., Any], start_tls: bool
    ) -> None:
        from gitlab.identity_providers.profiles import ProviderUnavailable

        servers = [slapd.plain if start_tls else slapd.tls]
        with pytest.raises(ProviderUnavailable):
            self.reach(table(servers=servers, start_tls=start_tls, ca_file=None))

    def test_the_next_server_is_asked(self, slapd: Slapd, table: Callable[..., Any]) -> None:
        nobody = f"ldaps://127.0.0.1:{components.free_port()}"
        assert self.reach(table(servers=[nobody, slapd.tls]))

    def test_one_that_says_nothing(self, table: Callable[..., Any]) -> None:
        from gitlab.identity_providers.directories.connections import NoAnswer

        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            with pytest.raises(NoAnswer):
                self.reach(table(servers=[f"ldap://127.0.0.1:{port}"], timeout="1s"))

    def test_a_base_that_is_not_there_is_no_empty_answer(self, table: Callable[..., Any]) -> None:
        from gitlab.identity_providers.profiles import ProviderUnavailable

        with pytest.raises(ProviderUnavailable, match="NO_SUCH_OBJECT"):
            self.reach(table(users_base=f"ou=nowhere,{SUFFIX}"))

    @pytest.mark.parametrize("content", ["", "wrong\n"])
    def test_a_password_of_its_own_that_is_wrong(
        self,
        table: Callable[..., Any],
        password_file: Path,
        content: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        from gitlab.identity_providers.profiles import ProviderUnavailable

        password_file.write_text(content)
        with pytest.raises(ProviderUnavailable):
            self.reach(table())

    def test_a_file_that_others_can_read(
        self, table: Callable[..., Any], password_file: Path
    ) -> None:
        from gitlab.identity_providers.profiles import ProviderUnavailable

        password_file.chmod(0o640)
        with pytest.raises(ProviderUnavailable, match="0600") as error:
            self.reach(table())
        assert READER_PASSWORD not in str(error.value)


@pytest.mark.usefixtures("settle")
def test_no_password_is_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture, settle: Callable[..., None]
) -> None:
    with caplog.at_level(logging.DEBUG):
        page(client, "dora")
        page(client, "dora", "canary-that-is-wrong")
        settle(bind_dn=ADMIN)
        page(client, "dora")
    assert "takes no password" in caplog.text
    for secret in (PASSWORD, READER_PASSWORD, "canary"):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, ""),
        ({"ca_file": None}, "Its people can't sign in"),
        ({"user_filter": "(objectClass=device)"}, "shows nobody"),
        ({"group_filter": "(objectClass=device)"}, "shows no group"),
        ({"id_attribute": "employeeNumber"}, "employeeNumber"),
    ],
)
def test_the_doctor(table: Callable[..., Any], keys: dict[str, Any], said: str) -> None:
    from types import SimpleNamespace

    from gitlab.doctor import directories

    config: Any = SimpleNamespace(berth=SimpleNamespace(ldap={"corp": table(**keys)}))
    (finding,) = directories.examine(config)
    assert finding.ok is not bool(said)
    assert said in f"{finding.finding} {finding.cure}"
    assert finding.ok or finding.setting.startswith("berth.ldap.corp")
