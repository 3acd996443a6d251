"""The line to a registry: timeouts, retries, redirects, the pool, and a token for each call.

Two failures: `RegistryUnavailable` (nobody answered, or it is in trouble: try later) and
`RegistryRefused` (it answered no: do not try again). Nobody's answer is read without an end: it has
`MAX_ANSWER` bytes and the time of its attempt, as it is sent (no compression, which could make much
of little).
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from gitlab.container_registry.client import tokens as tokens_for_jobs
from gitlab.container_registry.client.responses import read_json
from gitlab.exchange import TooLarge, Transport, exchange, opened
from gitlab.server import request_id
from tokens.access import Access

USER_AGENT = "berth"
"""What we are called in the registry's log, and in its notifications of what we do ourselves."""

MAX_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer: twice a manifest of the largest kind that registries take by default."""

_RETRIED = frozenset([429, 502, 503, 504])
_REDIRECTS = frozenset([302, 303, 307])
_NO_ANSWER = (httpx.TransportError, httpx.StreamError)


class RegistryUnavailable(Exception):
    """Nobody answered in time, or the registry is in trouble. Worth another attempt later."""


class RegistryRefused(Exception):
    """The registry said no. `status` and `code` are its own; another attempt gets the same."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class AnswerTooLarge(RegistryRefused):
    """An answer is longer than what is read of one."""


class Connection:
    """Calls to one registry. Safe to share between threads; not between processes."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 15,
        attempts: int = 3,
        ca_bundle: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout` in seconds for each attempt, from the connection to the last byte.

        `transport` replaces the network in tests.
        """
        self.timeout = timeout
        self._attempts = attempts
        context = ssl.create_default_context(cafile=ca_bundle) if ca_bundle else None
        self._http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(timeout, connect=3),
            # A redirect would carry the token to wherever it points.
            follow_redirects=False,
            # The address is internal: a proxy of the environment has no business there.
            trust_env=False,
            transport=transport or Transport(context or httpx.create_ssl_context()),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )

    def call(  # noqa: PLR0913  (the one way out)
        self,
        method: str,
        url: str,
        access: Access | tuple[Access, ...] | None,
        query: Mapping[str, str] | None = None,
        *,
        accept: Sequence[int],
        by: str = "",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        attempts: int | None = None,
        max_answer: int = MAX_ANSWER,
    ) -> httpx.Response:
        """The answer, with one of the statuses in `accept`. A token is minted for each call.

        `by` is the person whom the registry notes as having done it, `max_answer` in bytes. Raises
        `RegistryUnavailable`, `RegistryRefused`, of which `AnswerTooLarge` is one.
        """
        headers = {"Accept": "application/json", **request_id.carried(), **(headers or {})}
        if access is not None:
            granted = access if isinstance(access, tuple) else (access,)
            headers["Authorization"] = f"Bearer {tokens_for_jobs.for_access(*granted, by=by)}"
        trouble = ""
        for attempt in range(attempts or self._attempts):
            if attempt:
                # Apart from each other, so that those who failed together do not return together.
                time.sleep(random.uniform(0.05, 0.3) * 2**attempt)  # noqa: S311
            try:
                question = self._http.build_request(
                    method, url, params=query or None, headers=headers, content=content
                )
                answer = self._ask(question, max_answer)
            except _NO_ANSWER as error:
                trouble = f"the registry does not answer ({type(error).__name__})"
                continue
            if answer.status_code in accept:
                return answer
            if answer.status_code not in _RETRIED and answer.status_code < 500:
                raise _refusal(answer)
            trouble = f"the registry answers {answer.status_code}"
            if answer.status_code not in _RETRIED:
                break
        raise RegistryUnavailable(trouble)

    def follow(self, url: str, *, max_answer: int = MAX_ANSWER) -> httpx.Response:
        """What lies where the registry has sent us: one attempt, without a token, 200 alone.

        `url` is whole. Nobody is followed any further. Raises as `call`.
        """
        try:
            if urlsplit(url).scheme not in ("http", "https"):
                raise RegistryUnavailable("the registry sends its clients nowhere")
            question = self._http.build_request("GET", url, headers={"Accept": "*/*"})
            answer = self._ask(question, max_answer)
        except (*_NO_ANSWER, httpx.InvalidURL, ValueError) as error:
            trouble = f"the registry's store does not answer ({type(error).__name__})"
            raise RegistryUnavailable(trouble) from error
        if answer.status_code != 200:
            raise RegistryUnavailable(f"the registry's store answers {answer.status_code}")
        return answer

    def stream(self, url: str, access: Access) -> Iterator[bytes]:
        """The bytes of an answer of any length as they come: one attempt, each read in its time.

        Where the registry sends its clients to a store, that is asked: once, and without the token.
        Whoever reads sees to the end. Raises as `call`, between two chunks as well.
        """
        token = tokens_for_jobs.for_access(access)
        headers = {"Accept": "*/*", **request_id.carried(), "Authorization": f"Bearer {token}"}
        try:
            question = self._http.build_request("GET", url, headers=headers)
            with opened(self._http, question, seconds=self.timeout) as answer:
                if answer.status_code == 200:
                    yield from answer.iter_raw()
                    return
                where = answer.headers.get("location", "")
                if answer.status_code not in _REDIRECTS:
                    raise _trouble(answer.status_code)
            if urlsplit(where).scheme not in ("http", "https"):
                raise RegistryUnavailable("the registry sends its clients nowhere")
            question = self._http.build_request("GET", where, headers={"Accept": "*/*"})
            with opened(self._http, question, seconds=self.timeout) as answer:
                if answer.status_code != 200:
                    raise RegistryUnavailable(f"the registry's store answers {answer.status_code}")
                yield from answer.iter_raw()
        except (*_NO_ANSWER, httpx.InvalidURL, ValueError) as error:
            raise RegistryUnavailable(
                f"the registry does not answer ({type(error).__name__})"
            ) from error

    def _ask(self, question: httpx.Request, max_answer: int) -> httpx.Response:
        """One attempt."""
        try:
            return exchange(self._http, question, seconds=self.timeout, max_answer=max_answer)
        except TooLarge as error:
            raise AnswerTooLarge(502, "TOO_LARGE", f"the registry sends {error}") from error


def as_json(answer: httpx.Response) -> Any:
    """The body of an answer. Raises `RegistryUnavailable` where it is no JSON."""
    try:
        return read_json(answer.content)
    except ValueError as error:
        raise RegistryUnavailable("the registry's answer is not JSON") from error


def _trouble(status: int) -> RegistryRefused | RegistryUnavailable:
    """What an answer is whose body nobody reads."""
    if status in _RETRIED or status >= 500:
        return RegistryUnavailable(f"the registry answers {status}")
    return RegistryRefused(status, "UNKNOWN", f"the registry answers {status}")


def _refusal(answer: httpx.Response) -> RegistryRefused:
    code, message = "UNKNOWN", f"the registry answers {answer.status_code}"
    try:
        first = read_json(answer.content)["errors"][0]
        code, message = str(first["code"]), str(first.get("message") or message)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        pass
    return RegistryRefused(answer.status_code, code, message)
