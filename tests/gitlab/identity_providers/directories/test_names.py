"""How filters, names and entries are written and read: without a directory."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from gitlab.config.directory_tables import LDAP
from gitlab.identity_providers.directories import entries, names
from gitlab.identity_providers.profiles import ProviderRefused

pytestmark = pytest.mark.engineless

TABLE = LDAP(servers=["ldaps://ldap.test"], users_base="ou=people, DC=Example,dc=com")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("dora", "dora"),
        ("*", r"\2a"),
        ("dora)(uid=*", r"dora\29\28uid=\2a"),
        ("a\\b\0c", r"a\5cb\00c"),
        ("Zoë", r"Zo\c3\ab"),
        (b"\x01(\xff", r"\01\28\ff"),
    ],
)
def test_what_is_typed_stays_a_value(value: Any, written: str) -> None:
    assert names.escaped(value) == written
    assert names.any_of(["uid", "mail"], value) == f"(|(uid={written})(mail={written}))"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (" Engineering ", "engineering"),
        ("CN=Leads, OU = Groups,dc=example", "cn=leads,ou=groups,dc=example"),
        (r"cn=a\, b,dc=example", r"cn=a\, b,dc=example"),
    ],
)
def test_groups_are_compared_without_case_and_blanks(text: str, key: str) -> None:
    assert names.group_key(text) == key


def test_a_name_that_looks_like_a_dn_is_no_name() -> None:
    found = names.group_keys("cn=mine,ou=own,dc=x", ["Mine", "cn=admins,ou=groups,dc=x"])
    assert found == {"mine", "cn=mine,ou=own,dc=x"}


def entry(**attributes: list[bytes]) -> entries.Entry:
    return entries.read(TABLE, "uid=d,ou=people", {"entryuuid": [b"1"], **attributes})


def test_an_entry() -> None:
    found = entry(uid=[b"Dora"], mail=[b"D@Example.com", b"\xff"], cn=[b"Dora D"])
    assert (found.subject, found.username, found.name) == ("1", "Dora", "Dora D")
    assert found.emails == ("d@example.com",)
    assert found.logins == {"dora", "d@example.com"}


@pytest.mark.parametrize("typed", ["\uff44ora", "do ra", "d\xadora", "*", ""])
def test_nobody_is_called_what_only_looks_alike(typed: str) -> None:
    assert entry(uid=[b"dora"]).is_called(" DORA ")
    assert not entry(uid=[b"dora"]).is_called(typed)


@pytest.mark.parametrize("values", [[], [b"1", b"2"], [b""], [b"\xff\xfe"], [b"x" * 256]])
def test_who_cant_be_told_from_others_is_refused(values: list[bytes]) -> None:
    with pytest.raises(ProviderRefused):
        entries.read(TABLE, "uid=d", {"entryuuid": values})


def test_an_id_of_active_directory() -> None:
    table = LDAP(users_base="dc=x", id_attribute="objectGUID")
    guid = uuid.uuid4()
    found = entries.read(table, "cn=d", {"objectguid": [guid.bytes_le]})
    assert found.subject == str(guid)
    assert entries.subject_value(table, found.subject) == guid.bytes_le
    assert entries.subject_value(table, "no guid") == "no guid"


def test_an_address_is_the_one_that_was_typed() -> None:
    found = entry(mail=[b"a@x.test", b"b@x.test"])
    said = entries.profile("corp", TABLE, found, frozenset(), login="B@x.test")
    assert said.email == "b@x.test"
    assert entries.profile("corp", TABLE, found, frozenset()).email == "a@x.test"


@pytest.mark.parametrize(
    ("base", "issuer"),
    [
        ("ou=people, DC=Example,dc=com", "ldap:dc=example,dc=com"),
        ("dc=example,dc=com", "ldap:dc=example,dc=com"),
        ("o=acme", "ldap:o=acme"),
    ],
)
def test_whose_subjects_they_are(base: str, issuer: str) -> None:
    assert entries.issuer(LDAP(users_base=base)) == issuer
