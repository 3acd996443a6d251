"""Every word of every page's address as a tag and as a project: none of them hides a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from gitlab.namespaces.paths import check_segment
from gitlab.refusals import Invalid

IMAGE = "/acme/app/container_registry/7"


def routes(patterns: Sequence[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def words() -> list[str]:
    """What stands between the slashes of addresses, where it could be a name."""
    found = {word for route in routes(get_resolver().url_patterns) for word in route.split("/")}
    return sorted(word for word in found if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", word))


def test_the_words_are_all_there() -> None:
    assert {"tags", "restore", "delete", "container_registry", "edit", "deleted"} <= set(words())


@pytest.mark.parametrize("suffix", ["", "/restore"])
def test_a_tag_may_be_called_so(suffix: str) -> None:
    for word in words():
        if f"{word}{suffix}" == "delete":
            continue  # Asked without a selection it is the page of the tag (test_tag_page).
        found = resolve(f"{IMAGE}/tags/{word}{suffix}")
        assert found.view_name == f"container_registry:tag{'_restore' if suffix else ''}", word
        assert found.kwargs == {"path": "acme/app", "pk": 7, "tag": word}


def test_a_project_may_be_called_so_or_is_refused() -> None:
    pages = {"namespaces:overview": "", "container_registry:index": "/container_registry"}
    for word in words():
        try:
            segment = check_segment(word, at_top=False)
        except Invalid:
            continue
        for parent in ("acme", "acme/tools"):
            for name, page in pages.items():
                found = resolve(f"/{parent}/{segment}{page}")
                assert found.view_name == name, f"{parent}/{segment}{page}"
                assert found.kwargs["path"] == f"{parent}/{segment}"


def test_a_group_may_be_called_so_or_is_refused() -> None:
    for word in words():
        try:
            segment = check_segment(word, at_top=True)
        except Invalid:
            continue
        found = resolve(f"/{segment}/app/container_registry")
        assert found.view_name == "container_registry:index", segment
        assert found.kwargs["path"] == f"{segment}/app"
