"""Asking a provider: each answer has an end in bytes and time, none is a redirect.

The operator names providers, so they may be at any address: the company's own network, mostly.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

import httpx
from django.conf import settings

from gitlab.exchange import TooLarge, Transport, exchange
from gitlab.identity_providers.profiles import ProviderUnavailable

SECONDS = 5.0
"""For each answer, from the connection to the last byte."""
MAX_ANSWER = 512 * 1024
"""Bytes."""

_HEADERS = {"User-Agent": "berth", "Accept": "application/json", "Accept-Encoding": "identity"}


def get(url: str, *, bearer: str = "") -> Any:
    """The JSON at `url`. Raises `ProviderUnavailable`."""
    more = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    return _ask(url, headers=_HEADERS | more)


def post(url: str, form: Mapping[str, str], *, auth: tuple[str, str] | None = None) -> Any:
    """The JSON that a form is answered with. Raises `ProviderUnavailable`."""
    more = {"Authorization": _basic(*auth)} if auth else {}
    return _ask(url, headers=_HEADERS | more, form=form)


def _basic(name: str, secret: str) -> str:
    """RFC 6749, section 2.3.1: both are encoded as in a form before they are joined."""
    joined = f"{quote_plus(name)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(joined.encode()).decode()}"


def _ask(url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None) -> Any:
    method = "GET" if form is None else "POST"
    try:
        with httpx.Client(
            transport=Transport(_trust()), timeout=SECONDS, follow_redirects=False, trust_env=False
        ) as http:
            question = http.build_request(method, url, headers=headers, data=form)
            answer = exchange(http, question, seconds=SECONDS, max_answer=MAX_ANSWER)
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, TooLarge, OSError) as error:
        raise ProviderUnavailable(f"{url}: {type(error).__name__}") from error
    if answer.status_code != 200:
        raise ProviderUnavailable(f"{url} answers {answer.status_code}{_reason(answer)}")
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        raise ProviderUnavailable(f"{url} answers no JSON") from error


def _reason(answer: httpx.Response) -> str:
    """RFC 6749's word for what is wrong (section 5.2), which holds no secret."""
    try:
        word = json.loads(answer.content)["error"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
    return f" ({word[:80]})" if isinstance(word, str) and word.isascii() else ""


def _trust() -> ssl.SSLContext:
    """The public authorities, and the operator's own."""
    context = httpx.create_ssl_context(trust_env=False)
    if settings.ISSUER_CA_BUNDLE:
        context.load_verify_locations(cafile=settings.ISSUER_CA_BUNDLE)
    return context
