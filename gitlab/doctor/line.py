"""One way to ask: fresh connections, short waits, and the trust that GitLab's own client has."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx

from gitlab.exchange import TooLarge, Transport, exchange

TIMEOUT = 10.0
"""Seconds for each step of a question."""

_IN_ALL = 60.0
_MAX_ANSWER = 1024 * 1024


class NoAnswer(Exception):
    """Nobody answered, or in no way that can be understood. The message says why."""


def trust(bundle: Path | None) -> ssl.SSLContext:
    """Whom the system trusts, and those of the bundle."""
    context = ssl.create_default_context()
    if bundle is not None:
        context.load_verify_locations(cafile=bundle)
    return context


def ask(
    url: str, *, method: str = "GET", bundle: Path | None = None, token: str = "", **options: Any
) -> httpx.Response:
    """The answer, whatever its status. Raises `NoAnswer`."""
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "berth-doctor",
        "Connection": "close",
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with httpx.Client(
            transport=Transport(trust(bundle)),
            trust_env=False,
            timeout=TIMEOUT,
            follow_redirects=False,
        ) as client:
            question = client.build_request(method, url, headers=headers, **options)
            return exchange(client, question, seconds=_IN_ALL, max_answer=_MAX_ANSWER)
    except (TooLarge, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error


def json_object(answer: httpx.Response) -> dict[str, Any]:
    """The object in an answer, {} where there is none."""
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
