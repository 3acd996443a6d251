"""How a test recognises a refusal, whoever answers it: the registry or the token server."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.errors import Code


DENIAL = re.compile(r" \(denial [0-9A-Z]{10}\)")
"""By what a refusal is found again: new each time."""


def assert_refused(response: Any, code: Code | str, status: int | None = None) -> dict[str, Any]:
    """The response is a refusal in the protocol's form, with `code` first. Answers that error.

    `code` is a member of the registry's table, whose status is expected unless another is given, or
    the name of one. Beside the form, each address adds what it promises of its own answers.
    """
    content = response.content
    wanted = getattr(code, "status", None) if status is None else status
    assert wanted is None or response.status_code == wanted, content
    assert response.headers["Content-Type"] == "application/json"
    if response.wsgi_request.path.startswith(("/v2/", "/gitlab/v1/")):
        assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    if response.wsgi_request.path == "/jwt/auth":
        assert response.headers["Cache-Control"] == "no-store"
    body = json.loads(content)
    assert set(body) == {"errors"}
    assert body["errors"]
    for error in body["errors"]:
        assert set(error) <= {"code", "message", "detail"}
        assert error["message"]
        assert isinstance(error["message"], str)
    first: dict[str, Any] = body["errors"][0]
    assert first["code"] == getattr(code, "name", code), body
    return first


def assert_challenged(response: Any, scope: str | None, error: str | None = None) -> None:
    """A 401 whose challenge asks for `scope`."""
    assert_refused(response, "UNAUTHORIZED", 401)
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="')
    assert 'service="container_registry"' in challenge
    if scope is None:
        assert "scope=" not in challenge
    else:
        assert f'scope="{scope}"' in challenge
    if error is None:
        assert "error=" not in challenge
    else:
        assert f'error="{error}"' in challenge
