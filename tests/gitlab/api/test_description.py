"""The description of the API: complete, in the tree as it is, and shown without another host."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver

from gitlab.api import urls
from gitlab.api.base import Endpoint

FILE = Path(__file__).parents[3] / "docs" / "openapi.yaml"

pytestmark = pytest.mark.engineless


@pytest.fixture(scope="module")
def made() -> str:
    """The description as the operations say it; a warning is a failure."""
    out = io.StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
    return out.getvalue()


def test_the_file_is_what_the_operations_say(made: str) -> None:
    assert made.strip() == FILE.read_text().strip(), "make openapi writes it anew"


def _addresses(patterns: list[Any], above: str = "") -> list[tuple[str, type[Endpoint]]]:
    found = []
    for pattern in patterns:
        here = above + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found += _addresses(pattern.url_patterns, here)
        elif isinstance(pattern, URLPattern) and hasattr(pattern.callback, "view_class"):
            found.append((here, pattern.callback.view_class))  # type: ignore[union-attr]
    return found


def _operations() -> list[tuple[str, str]]:
    """Each address with each of its methods."""
    found = []
    for address, endpoint in _addresses(urls._V4):
        path = re.sub(r"<\w+:(\w+)>", r"{\1}", f"/api/v4/{address}")
        allowed = endpoint.http_method_names
        found += [
            (path, method)
            for method in ("get", "post", "put", "patch", "delete")
            if method in allowed and hasattr(endpoint, method)
        ]
    return found


@pytest.mark.parametrize(("path", "method"), _operations())
def test_each_operation_is_described(path: str, method: str) -> None:
    described = _file()["paths"][path][method]
    assert described["summary"]
    assert described["description"]
    assert described["tags"][0]
    responses = described["responses"]
    assert len([code for code in responses if code.startswith("2")]) == 1
    assert {"401", "403", "429"} <= set(responses)
    if "{id}" in path or "{user_id}" in path:
        assert "404" in responses or path.endswith("/self")
    for code, response in responses.items():
        assert response["description"] or response["content"], code


_read: dict[str, Any] = {}


def _file() -> dict[str, Any]:
    if not _read:
        _read.update(yaml.safe_load(FILE.read_text()))
    return _read


def test_there_is_nothing_else() -> None:
    described = {(path, method) for path, found in _file()["paths"].items() for method in found}
    assert described == set(_operations())
    assert _file()["openapi"].startswith("3.1.")
    ids = [found["operationId"] for path in _file()["paths"].values() for found in path.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.django_db
def test_for_programs(client: Client) -> None:
    answer = client.get("/api/v4/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.content)["paths"].keys() == _file()["paths"].keys()


@pytest.mark.django_db
def test_for_people(client: Client) -> None:
    answer = client.get("/help/api")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'data-url="/api/v4/openapi.json"' in page
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) >= 5
    assert all(source.startswith("/") and not source.startswith("//") for source in sources)
    assert "<script>" not in page
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
