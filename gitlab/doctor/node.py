"""What this node can see of itself: keys, certificates, the life of tokens, its tables."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.executor import MigrationExecutor

from gitlab.config import Configuration
from gitlab.doctor.findings import Finding, wrong
from gitlab.server.databases import schema
from tokens import keys

SOON = dt.timedelta(days=30)
SHORTEST = 5
"""Minutes. GitLab's own tokens live for 5; a layer of 4 GB takes that long at 100 Mbit/s."""


def key_pair(config: Configuration) -> Finding:
    """The private key belongs to one of the certificates."""
    key, bundle = config.key_path, config.certificate_bundle
    setting = "gitlab_rails.registry_key_path, registry.rootcertbundle"
    try:
        if "web" in config.roles:
            keys.signing_key(key.read_bytes(), bundle.read_bytes())
        else:
            keys.trusted_keys(bundle.read_bytes())
    except (keys.UnusableKey, OSError) as error:
        return wrong(
            "key_pair",
            setting,
            f"{error} ({key if 'web' in config.roles else bundle}).",
            "Carry gitlab-registry.key and gitlab-registry.crt from the same run of generate_keys.",
        )
    return Finding("key_pair")


def certificates_end(config: Configuration) -> list[Finding]:
    """The certificates of tokens, and that of our own listeners, end in more than `SOON`."""
    return [
        _ends(
            "certificate_ends",
            "registry.rootcertbundle",
            config.certificate_bundle,
            "Make a new pair with generate_keys; docs/deployment.md says how to change it without"
            " an interruption.",
        ),
        _ends(
            "tls_certificate_ends",
            "berth.tls_certificate",
            config.berth.tls_certificate,
            "Renew it and restart the processes that listen with it.",
        ),
    ]


def _ends(check: str, setting: str, path: Path | None, cure: str) -> Finding:
    if path is None:
        return Finding(check)
    try:
        found = keys.load_certificates(path.read_bytes())
    except (keys.UnusableKey, OSError) as error:
        return wrong(check, setting, f"{path}: {error}.", cure)
    # With several the newest counts: the others are there until nobody needs them.
    end = max(certificate.not_valid_after_utc for certificate in found)
    left = end - dt.datetime.now(dt.UTC)
    if left > SOON:
        return Finding(check)
    when = f"ended on {end:%Y-%m-%d}" if left.total_seconds() < 0 else f"ends on {end:%Y-%m-%d}"
    return wrong(check, setting, f"{path} {when}.", cure)


def token_lifetime(config: Configuration) -> Finding:
    """A token lives as long as a request of a push may take to be sent."""
    minutes = config.berth.token_expire_delay
    if minutes >= SHORTEST:
        return Finding("token_lifetime")
    return wrong(
        "token_lifetime",
        "berth.token_expire_delay",
        f"Tokens live for {minutes:g} minutes. A push of large layers over a slow line takes longer,"
        " and clients that don't ask for a new token fail in the middle.",
        f"Set it to at least {SHORTEST}; 10 is the default.",
    )


def migrations(config: Configuration) -> Finding:
    """The tables of the sides that this node serves are those of its code."""
    sides = {"web": "default", "registry": "registry"}
    pending: list[str] = []
    newer: list[str] = []
    for role in sorted(config.roles & set(sides)):
        try:
            pending += _pending(sides[role], registry=role == "registry")
            newer += schema.unknown(sides[role])
        except (DatabaseError, InconsistentMigrationHistory) as error:
            return wrong(
                "migrations",
                "berth.database_url" if role == "web" else "berth.registry_database_url",
                f"The database of the {role} side can't be asked ({type(error).__name__}).",
                "Start the database, check the address, then run manage.py prepare.",
            )
    if newer:
        return wrong(
            "migrations",
            "berth.database_url, berth.registry_database_url",
            f"The database is newer than this node's code, which does not know {', '.join(newer[:5])}.",
            "Update this node to the version of the others; until then it can't be restarted.",
        )
    return pending_finding("migrations", pending)


def pending_finding(check: str, pending: list[str]) -> Finding:
    """What is said where tables are behind the code."""
    if not pending:
        return Finding(check)
    return wrong(
        check,
        "berth.database_url, berth.registry_database_url",
        f"{len(pending)} not applied: {', '.join(pending[:5])}.",
        "Run manage.py prepare on that node, then restart its processes.",
    )


def _pending(alias: str, *, registry: bool) -> list[str]:
    executor = MigrationExecutor(connections[alias])
    targets = [
        node for node in executor.loader.graph.leaf_nodes() if (node[0] == "registry") == registry
    ]
    plan = executor.migration_plan(targets)
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def issuers(config: Configuration) -> Finding:
    """On one node both sides are configured, and can be compared without asking."""
    ours, theirs = config.gitlab_rails.registry_issuer, config.registry.registry_issuer
    if not {"web", "registry"} <= set(config.berth.roles) or ours == theirs:
        return Finding("issuer")
    return issuer_finding(settings.TOKENS_ISSUER)


def issuer_finding(ours: str) -> Finding:
    """What is said where the registry expects another issuer."""
    return wrong(
        "issuer",
        "gitlab_rails.registry_issuer, registry.registry_issuer",
        f"GitLab signs as {ours!r} and the registry expects another issuer, so it refuses every"
        " token.",
        "Set both to the same value and restart both sides.",
    )
