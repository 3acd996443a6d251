"""Somebody with a script: a client of the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.gitlab import factories
from tests.gitlab.played_registry import *  # noqa: F403

V4 = "/api/v4/"


class ApiClient:
    """Sends JSON with a token, and the address as a server keeps it: ``projects/acme%2Fapp``."""

    def __init__(self, token: str = "", **environment: Any) -> None:
        self.client = Client(raise_request_exception=True)
        self.environment = {"HTTP_PRIVATE_TOKEN": token} if token else {}
        self.environment |= environment

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        address = f"{V4}{path}"
        options = {"RAW_URI": address, **self.environment, **more}
        if body is not None:
            options.setdefault("content_type", "application/json")
            data = body if isinstance(body, str | bytes) else json.dumps(body)
            return self.client.generic(method, address, data, **options)
        return self.client.generic(method, address, **options)

    def get(self, path: str, **more: Any) -> Any:
        return self("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return self("POST", path, body, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> Any:
        return self("PUT", path, body, **more)

    def delete(self, path: str, body: Any = None, **more: Any) -> Any:
        return self("DELETE", path, body, **more)


Api = Callable[..., ApiClient]


@pytest.fixture
def api(db: None) -> Api:
    """``api(alice)``: with a token that may everything; ``api()``: a visitor."""

    def make(user: Any = None, *scopes: str, **environment: Any) -> ApiClient:
        token = factories.token(user, *(scopes or ("api",))) if user is not None else ""
        return ApiClient(token, **environment)

    return make


def assert_refused(answer: Any, status: int, says: str = "") -> None:
    """A refusal in one of GitLab's two shapes, with `says` in it."""
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert {"message", "error"} & set(body), body
    assert says in json.dumps(body), body
