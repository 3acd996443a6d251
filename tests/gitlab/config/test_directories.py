"""``[berth.ldap.name]``: what is refused, and what is wrong with a table as a whole."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gitlab.config.directory_tables import LDAP

pytestmark = pytest.mark.engineless

WHOLE = {"servers": ["ldaps://ldap.test"], "users_base": "dc=x"}
ACCOUNT = {"bind_dn": "cn=b", "bind_password_file": "/f"}


@pytest.mark.parametrize(
    "keys",
    [
        {"servers": ["ldap.test"]},
        {"servers": ["https://ldap.test"]},
        {"servers": ["ldap://ldap.test/dc=x"]},
        {"servers": ["ldap://reader@ldap.test"]},
        {"user_filter": "objectClass=person"},
        {"user_filter": "(objectClass=person"},
        {"group_filter": ""},
        {"id_attribute": "uid)(x=*"},
        {"login_attributes": []},
        {"login_attributes": ["uid=*"]},
        {"group_member": "owner"},
        {"memberships": ["staff acme developer"]},
        {"timeout": "0"},
        {"timeout": "1h"},
        {"bind_password": "in the file of settings"},
    ],
    ids=str,
)
def test_what_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LDAP(**{**WHOLE, **keys})


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"servers": []}, "no servers"),
        ({"users_base": ""}, "no users_base"),
        ({"servers": ["ldap://ldap.test"]}, "in the clear"),
        ({"start_tls": True}, "has TLS already"),
        ({"bind_dn": "cn=b"}, "need each other"),
        ({"bind_password_file": "/f"}, "need each other"),
        ({"nested_groups": True, "group_member": "memberUid"}, "memberUid"),
    ],
    ids=str,
)
def test_what_stops_berth(keys: dict[str, Any], said: str) -> None:
    (fault,) = LDAP(**{**WHOLE, **keys}).faults
    assert said in fault


@pytest.mark.parametrize(
    "keys",
    [
        {},
        ACCOUNT,
        {"servers": ["ldap://ldap.test:1389"], "start_tls": True},
        {"servers": ["ldap://127.0.0.1", "ldap://[::1]:389"]},
    ],
    ids=str,
)
def test_what_is_taken(keys: dict[str, Any]) -> None:
    assert LDAP(**{**WHOLE, **keys}).faults == []
