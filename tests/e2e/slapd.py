"""Debian's slapd, with a small directory in it, started by the tests."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e import certificates, components

SUFFIX = "dc=example,dc=com"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"
ADMIN, ADMIN_PASSWORD = f"cn=admin,{SUFFIX}", "of-the-administrator"
READER, READER_PASSWORD = f"cn=berth,{SUFFIX}", "canary-of-the-reader"
PASSWORD = "what-the-directory-has"
MANY = 600
"""Groups of somebody who is in many: more than the server shows at once."""

_SETTINGS = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
sizelimit 500
# As many servers do: a bind with a name and no password is taken for an anonymous one.
allow bind_anon_dn
TLSCACertificateFile {authority}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
suffix "{suffix}"
rootdn "{admin}"
rootpw {admin_password}
directory {data}
maxsize 33554432
index objectClass,uid,mail,member,memberUid,entryUUID eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
"""


def _entry(dn: str, **attributes: Any) -> str:
    lines = [f"dn: {dn}"]
    for name, values in attributes.items():
        listed = values if isinstance(values, list) else [values]
        lines += [f"{name}: {value}" for value in listed]
    return "\n".join(lines) + "\n"


def person(uid: str, rdn: str = "", **more: Any) -> tuple[str, dict[str, Any]]:
    """The DN and the attributes of somebody."""
    attributes = {
        "objectClass": ["inetOrgPerson"],
        "cn": uid.title(),
        "sn": uid.title(),
        "uid": uid,
        "mail": f"{uid}@example.com",
        "userPassword": PASSWORD,
        **more,
    }
    return f"{rdn or f'uid={uid}'},{PEOPLE}", attributes


def _everything() -> Iterator[str]:
    yield _entry(SUFFIX, objectClass=["dcObject", "organization"], dc="example", o="Example")
    for base in (PEOPLE, GROUPS):
        yield _entry(base, objectClass="organizationalUnit", ou=base[3:].partition(",")[0])
    yield _entry(
        READER,
        objectClass=["organizationalRole", "simpleSecurityObject"],
        cn="berth",
        userPassword=READER_PASSWORD,
    )
    # Names that have to be escaped, in filters and in DNs.
    doe = person("doe", rdn=r"cn=Doe\, J* (\+)", cn=["Doe, J* (+)"])
    for dn, attributes in (person("dora"), person("emil"), person("many"), doe):
        yield _entry(dn, **attributes)
    nobody = person("nopassword", userPassword=[])
    yield _entry(nobody[0], **nobody[1])
    groups = {"staff": ["dora", "emil"], "leads": ["dora"]}
    for name, members in groups.items():
        yield group(name, *(f"uid={uid},{PEOPLE}" for uid in members))
    yield group("escaped", doe[0])
    yield group("above", f"cn=leads,{GROUPS}")
    # In a circle: one is in the other.
    yield group("circle", f"cn=above,{GROUPS}", f"cn=circle,{GROUPS}")
    yield _entry(
        f"cn=posix,{GROUPS}", objectClass="posixGroup", cn="posix", gidNumber="7", memberUid="dora"
    )
    for number in range(MANY):
        yield group(f"many{number}", f"uid=many,{PEOPLE}")
    yield _entry(
        f"uid=elsewhere,{PEOPLE}",
        objectClass=["referral", "extensibleObject"],
        uid="elsewhere",
        ref=f"ldap://127.0.0.1:1/uid=elsewhere,{PEOPLE}",
    )


def group(name: str, *members: str) -> str:
    """A group of DNs."""
    return _entry(f"cn={name},{GROUPS}", objectClass="groupOfNames", cn=name, member=list(members))


class Slapd:
    """Listens on loopback, for ldap:// and for ldaps://."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificates = certificates.make(folder / "tls")
        self.port, self.tls_port = components.free_port(), components.free_port()
        # By the address: libldap looks for this machine's own name in a certificate of localhost.
        self.plain = f"ldap://127.0.0.1:{self.port}"
        self.tls = f"ldaps://127.0.0.1:{self.tls_port}"

    @contextmanager
    def serving(self) -> Iterator[Slapd]:
        """Answer until the block ends."""
        data, settings = self.folder / "data", self.folder / "slapd.conf"
        data.mkdir()
        settings.write_text(
            _SETTINGS.format(
                authority=self.certificates.authority,
                certificate=self.certificates.certificate,
                key=self.certificates.key,
                suffix=SUFFIX, admin=ADMIN, admin_password=ADMIN_PASSWORD, reader=READER, data=data,
            )
        )  # fmt: skip
        ldif = self.folder / "everything.ldif"
        ldif.write_text("\n".join(_everything()))
        add, slapd = components.find("slapadd"), components.find("slapd")
        assert add is not None
        assert slapd is not None
        subprocess.run([add, "-q", "-f", settings, "-l", ldif], check=True, capture_output=True)
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [slapd, "-d", "0", "-f", settings, "-h", f"{self.plain} {self.tls}"],
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            self._wait(process)
            yield self
        finally:
            process.kill()
            process.wait(30)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connection().unbind_s()
            except Exception:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def connection(self) -> Any:
        """A connection of the directory's administrator."""
        import ldap

        found = ldap.initialize(self.plain)
        found.simple_bind_s(ADMIN, ADMIN_PASSWORD)
        return found

    def add(self, dn: str, attributes: dict[str, Any]) -> None:
        """Add an entry."""
        rows = [
            (name, [value.encode() for value in (values if isinstance(values, list) else [values])])
            for name, values in attributes.items()
        ]
        self.connection().add_s(dn, rows)

    def remove(self, dn: str) -> None:
        """Remove an entry."""
        self.connection().delete_s(dn)

    def set_members(self, name: str, *uids: str) -> None:
        """Let a group have these members."""
        import ldap

        members = [f"uid={uid},{PEOPLE}".encode() for uid in uids]
        change = [(ldap.MOD_REPLACE, "member", members)]
        self.connection().modify_s(f"cn={name},{GROUPS}", change)
