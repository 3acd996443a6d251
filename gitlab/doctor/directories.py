"""The directories (LDAP): each server of each, as a sign-in finds it."""

from __future__ import annotations

from gitlab.config import Configuration
from gitlab.config.directory_tables import LDAP
from gitlab.doctor.findings import Finding, wrong
from gitlab.identity_providers.directories import connections
from gitlab.identity_providers.profiles import ProviderRefused, ProviderUnavailable

CHECK = "directory"


def examine(config: Configuration) -> list[Finding]:
    """A finding for each server; none where there is no directory."""
    return [
        _examine(f"berth.ldap.{name}", table, server)
        for name, table in config.berth.ldap.items()
        for server in table.servers
    ]


def _examine(setting: str, table: LDAP, server: str) -> Finding:
    try:
        with connections.opened(table.model_copy(update={"servers": [server]})) as session:
            if session.anybody() is None:
                return wrong(
                    CHECK,
                    f"{setting}.users_base, {setting}.user_filter",
                    f"{server} shows nobody: who signs in or is looked up now is taken for gone.",
                    "Set both to where its people are, and let bind_dn read them.",
                )
            if table.groups_base and not session.has_groups():
                return wrong(
                    CHECK,
                    f"{setting}.groups_base, {setting}.group_filter",
                    f"{server} shows no group: people have nothing that groups give.",
                    "Set both to where its groups are, and let bind_dn read them.",
                )
    except ProviderRefused as error:
        return wrong(
            CHECK,
            f"{setting}.id_attribute",
            f"{server}: {error}.",
            "Name an attribute that each entry has once, and that bind_dn may read.",
        )
    except ProviderUnavailable as error:
        return wrong(
            CHECK,
            f"{setting}.servers, {setting}.ca_file, {setting}.bind_dn, {setting}.users_base",
            f"{server}: {error}.",
            "Its people can't sign in. Start it, or correct the settings.",
        )
    return Finding(CHECK)
