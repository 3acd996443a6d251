"""What the registry says when it is asked where GitLab reaches it."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from django.conf import settings

from gitlab.config import Configuration
from gitlab.container_registry.client import tokens as tokens_for_jobs
from gitlab.doctor import node
from gitlab.doctor.findings import Finding, wrong
from gitlab.doctor.line import NoAnswer, ask, json_object
from tokens.issue import SERVICE

ASKED = 8
"""Questions to one address, each over a new connection: a load balancer spreads them."""

_REALM = re.compile(r'realm="([^"]*)"')


def examine(config: Configuration, addresses: Sequence[str] = ()) -> list[Finding]:
    """The registry's checks. `addresses` are its nodes where they can be reached one by one."""
    api = config.registry_api_url
    bundle = config.berth.registry_ca_bundle
    try:
        first = ask(f"{api}/v2/", bundle=bundle)
    except NoAnswer as error:
        return [
            wrong(
                "registry_reached",
                "gitlab_rails.registry_api_url, berth.registry_ca_bundle",
                f"The registry does not answer at {api}: {error}.",
                "Start it, correct the address, or name the authority of its certificate.",
            )
        ]
    return [
        Finding("registry_reached"),
        clock(first),
        realm(first, config),
        store(config),
        *diagnosed(config, addresses or [api] * ASKED),
    ]


def clock(answer: httpx.Response, now: float | None = None) -> Finding:
    """The registry's Date is ours, give or take the leeway that tokens are checked with."""
    now = time.time() if now is None else now
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except ValueError:
        return Finding("clock")
    apart = theirs - now
    if abs(apart) <= settings.TOKENS_LEEWAY:
        return Finding("clock")
    return wrong(
        "clock",
        "the system's clock",
        f"The registry's clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} ours;"
        f" tokens are refused beyond {settings.TOKENS_LEEWAY:g} s.",
        "Run a time service (chrony, systemd-timesyncd) on both nodes.",
    )


def realm(answer: httpx.Response, config: Configuration) -> Finding:
    """The address in the challenge is a token endpoint that can be reached."""
    found = _REALM.search(answer.headers.get("WWW-Authenticate", ""))
    setting = "registry.token_realm, external_url"
    cure = (
        "Set registry.token_realm on the registry's node to GitLab's address as people reach it,"
        f" as in {config.external_url}/jwt/auth."
    )
    if answer.status_code != httpx.codes.UNAUTHORIZED or found is None:
        return wrong(
            "realm",
            "gitlab_rails.registry_api_url",
            f"{config.registry_api_url}/v2/ answers {answer.status_code} without a challenge: it is"
            " no registry that asks for tokens.",
            "Correct the address, or what stands in front of the registry.",
        )
    address = found[1]
    try:
        given = ask(address, bundle=config.berth.registry_ca_bundle, params={"service": SERVICE})
    except NoAnswer as error:
        return wrong("realm", setting, f"The realm {address} can't be reached: {error}.", cure)
    body = json_object(given)
    if given.status_code in (200, 401, 403) and ("token" in body or "errors" in body):
        return Finding("realm")
    return wrong(
        "realm",
        setting,
        f"The realm {address} answers {given.status_code} and is no token endpoint.",
        cure,
    )


def store(config: Configuration) -> Finding:
    """The registry writes, reads and deletes in its store; it does so itself for its readiness."""
    try:
        answer = ask(
            f"{config.registry_api_url}/-/readiness", bundle=config.berth.registry_ca_bundle
        )
    except NoAnswer as error:
        return wrong("store", "registry.storage", f"Its readiness can't be asked: {error}.", "")
    entries: list[dict[str, Any]] = json_object(answer).get("storage_check") or []
    faults = [str(entry.get("message", "")) for entry in entries if entry.get("status") != "ok"]
    if not faults:
        return Finding("store")
    return wrong(
        "store",
        "registry.storage.root, registry.storage.bucket",
        f"The registry's store: {faults[0]}.",
        "Make room, or give the registry's user the right to write there; for S3, check the bucket"
        " and its keys. The registry's log says what the store answered.",
    )


def diagnosed(config: Configuration, addresses: Sequence[str]) -> list[Finding]:
    """What the nodes say of our token and of themselves."""
    nonce = secrets.token_urlsafe(24)
    token = tokens_for_jobs.for_registry("node")
    answers = []
    for address in addresses:
        try:
            answer = ask(
                f"{address}/gitlab/v1/diagnosis/",
                bundle=config.berth.registry_ca_bundle,
                token=token,
                params={"nonce": nonce},
            )
        except NoAnswer as error:
            return [
                wrong(
                    "registry_reached",
                    "gitlab_rails.registry_api_url",
                    f"The registry's node {address} does not answer: {error}.",
                    "Start it, or take it out of the load balancer.",
                )
            ]
        if answer.status_code == httpx.codes.OK and "accepted" in json_object(answer):
            answers.append(json_object(answer))
    if not answers:
        # A registry that is not ours has no such address.
        return [Finding("token_accepted")]
    return [*_accepted(answers), _secrets(answers), _remote_migrations(answers)]


def _accepted(answers: Sequence[dict[str, Any]]) -> list[Finding]:
    reasons = {str(answer.get("reason")) for answer in answers if not answer["accepted"]}
    found = [Finding("token_accepted")] if not reasons else []
    for reason in sorted(reasons):
        if "Issuer" in reason:
            found.append(node.issuer_finding(settings.TOKENS_ISSUER))
        elif "Immature" in reason or "xpired" in reason or "IssuedAt" in reason:
            found.append(
                wrong(
                    "token_accepted",
                    "the system's clock",
                    f"The registry refuses our token for its times ({reason}).",
                    "Run a time service on both nodes.",
                )
            )
        else:
            found.append(
                wrong(
                    "key_trusted",
                    "registry.rootcertbundle, gitlab_rails.registry_key_path",
                    f"The registry does not trust the key that GitLab signs with ({reason}).",
                    "Carry the key of the registry's pair to GitLab's node, or append the"
                    " certificate of GitLab's key to the registry's bundle.",
                )
            )
    return found


def _secrets(answers: Sequence[dict[str, Any]]) -> Finding:
    prints = {answer["http_secret"] for answer in answers if answer.get("http_secret")}
    if len(prints) < 2:
        return Finding("http_secret")
    nodes = sorted({str(answer.get("node")) for answer in answers})
    return wrong(
        "http_secret",
        "registry.http_secret",
        f"{len(prints)} different ones are in use behind this address ({', '.join(nodes)}): an"
        " upload that goes on at another node is refused.",
        "Set the same registry.http_secret on every registry node.",
    )


def _remote_migrations(answers: Sequence[dict[str, Any]]) -> Finding:
    pending = {str(name) for answer in answers for name in answer.get("pending_migrations", [])}
    return node.pending_finding("registry_migrations", sorted(pending))
