"""People with tokens, as the registry knows them."""

from __future__ import annotations

import functools
import io
import re
from typing import Any

from django.test import Client

from tokens.access import Access
from tokens.issue import issue

APP = "acme/app"
"""The repository that most tests use."""

_NAME_IN_PATH = re.compile(
    r"/v2/(.+?)/(?:manifests|blobs|tags|referrers)/"
    r"|/gitlab/v1/repositories/(.+?)/(?:tags/list/|$)"
    r"|/gitlab/v1/repository-paths/(.+?)/repositories/list/$"
    r"|/gitlab/v1/berth/[a-z-]+/(.+)/$"
)
_GLOBAL = ("catalog", "events", "garbage", "revocations", "search", "statistics")


@functools.cache
def mint(subject: str | None, *access: Access) -> str:
    """A token for `access`, the same one for the same question."""
    user = {"username": subject} if subject else None
    # As long as any run of the tests, since it is kept that long.
    return issue(access, subject=subject, user=user, lifetime=24 * 3600).text


class Person(Client):
    """A client who gets for each request the token that GitLab would give to this person."""

    compares = True
    """Whether each answer is compared with what is answered before Django's handler."""

    def __init__(
        self,
        subject: str | None,
        actions: tuple[str, ...],
        *,
        only: str | None = None,
        own: bool = False,
    ) -> None:
        super().__init__(HTTP_HOST="registry.example")
        self.subject, self.actions, self.only, self.own = subject, actions, only, own

    def token_for(self, path: str) -> str | None:
        """The token that goes with a request for `path`."""
        if self.subject is None and not self.own:
            return None
        path = path.partition("?")[0]
        matched = _NAME_IN_PATH.search(path)
        name = next((group for group in matched.groups() if group), None) if matched else None
        access = []
        if self.only or name:
            access.append(Access.repository(self.only or str(name), *self.actions))
        if self.own:
            access += [Access("registry", kind, ("*",)) for kind in _GLOBAL]
        return mint(self.subject, *access)

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        chunked: bool = False,
        content_type: str = "application/octet-stream",
        also: tuple[Access, ...] = (),
        token: str | None = None,
        **headers: Any,
    ) -> Any:
        """A request. Headers are keywords: ``Content_Range="0-4"``. `also` is further access."""
        if token is None:
            token = self.token_for(path)
            if also and token is not None:
                matched = _NAME_IN_PATH.search(path)
                name = next(g for g in matched.groups() if g) if matched else ""
                token = mint(self.subject, Access.repository(name, *self.actions), *also)
        extra: dict[str, Any] = {
            f"HTTP_{name.upper()}": value for name, value in headers.items() if value is not None
        }
        if token is not None:
            extra.setdefault("HTTP_AUTHORIZATION", f"Bearer {token}")
        if chunked:
            extra |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(body)}
            extra |= {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": ""}
            body = b""
        elif not body:
            extra["wsgi.input"] = io.BytesIO()
        response = self.generic(method, path, body, content_type=content_type, **extra)
        if self.compares:
            assert_shortcut_agrees(response)
        return response


def assert_shortcut_agrees(response: Any) -> None:
    """What is answered before Django's handler is what the view answers, or it is nothing."""
    found = answer_at_once(response.wsgi_request.META)
    if found is None:
        return
    assert response.status_code == int(found.status[:3])
    headers = {k: v for k, v in response.headers.items() if k != "X-Request-Id"}
    assert dict(found.headers) == headers
    if response.streaming:
        content = content_of(response)
        response.streaming_content = [content]  # For whoever asked.
        assert found.body == content
    else:
        assert found.body == response.content
    assert found.route == response.wsgi_request.resolver_match.route


def answer_at_once(environ: dict[str, Any]) -> Any:
    """What is answered to a request before Django's handler, None where that is asked."""
    from registry.v2 import shortcut  # Needs the settings, which are made later.

    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    question = shortcut.question(environ)
    return None if question is None else shortcut.answers([question])[0]


def content_of(response: Any) -> bytes:
    """The body, streamed or not."""
    return b"".join(response.streaming_content) if response.streaming else response.content
