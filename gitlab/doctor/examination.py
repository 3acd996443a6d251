"""All checks of this node, in the order in which a fault explains those after it."""

from __future__ import annotations

from collections.abc import Sequence

from gitlab.config import Configuration
from gitlab.doctor import directories, node, registry, route
from gitlab.doctor.findings import Finding


def examine(config: Configuration, addresses: Sequence[str] = ()) -> list[Finding]:
    """One `Finding` for each check. `addresses` are the registry's nodes, asked one by one."""
    own = [
        node.key_pair(config),
        *node.certificates_end(config),
        node.token_lifetime(config),
        node.migrations(config),
        node.issuers(config),
        *(directories.examine(config) if "web" in config.roles else []),
    ]
    # Only GitLab's side can sign a token, and only with a key that can be used.
    if "web" not in config.roles or not own[0].ok or not config.gitlab_rails.registry_enabled:
        return own
    asked = registry.examine(config, addresses)
    found = [*own, *asked]
    if all(finding.ok for finding in asked if finding.check in _BEFORE_A_PUSH):
        found += route.examine(config)
    return _once(found)


_BEFORE_A_PUSH = {"registry_reached", "token_accepted", "key_trusted", "issuer", "store"}


def _once(found: list[Finding]) -> list[Finding]:
    """Each check once, the findings before the all-clear of the same check."""
    by_check: dict[str, list[Finding]] = {}
    for finding in found:
        by_check.setdefault(finding.check, []).append(finding)
    return [
        finding
        for group in by_check.values()
        for finding in (dict.fromkeys(one for one in group if not one.ok) or group[:1])
    ]
