"""The page of search; the palette shows its results in a dialog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.views.image_pages import image_url
from gitlab.namespaces.models import Namespace, Project
from gitlab.namespaces.sidebars import home_frame, url_of
from gitlab.principals import Person
from gitlab.search import services
from gitlab.search.services import Hit, Results


class Line(NamedTuple):
    """One thing that was found: the text of its link, and what stands beside it."""

    label: str
    url: str
    more: str = ""


class Part(NamedTuple):
    """What was found of one kind."""

    title: str
    icon: str
    lines: Sequence[Line]


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What ``?q=`` names."""
    text = request.GET.get("q", "").replace("\0", "").strip()[: services.LONGEST]
    found = services.search(request.user, text)
    context = {
        **home_frame(request.user, "", ("Search", "")),
        "text": text,
        "parts": [part for part in _parts(found) if part.lines],
        "short": len(text) < services.SHORTEST,
        "trouble": found.trouble,
        "images": services.IMAGES,
    }
    return render(request, "search/index.html", context)


def _parts(found: Results) -> Iterator[Part]:
    yield Part("Projects", "package", [_routable(each) for each in found.projects])
    yield Part("Groups", "folder", [_routable(each) for each in found.groups])
    yield Part("Images", "container", [_image(each) for each in found.images])
    yield Part("Tags", "tags", [_tag(each) for each in found.tags])
    yield Part("Digests", "fingerprint", [_digest(each) for each in found.digests])
    yield Part("People", "user", [_person(each) for each in found.people])


def _routable(row: Project | Namespace) -> Line:
    return Line(row.full_path, url_of(row), row.name if row.name != row.path else "")


def _image(row: ContainerRepository) -> Line:
    return Line(row.path, image_url(row))


def _tag(hit: Hit) -> Line:
    return Line(f"{hit.image.path}:{hit.tag}", image_url(hit.image, "tag", tag=hit.tag))


def _digest(hit: Hit) -> Line:
    url = image_url(hit.image, "manifest", digest=hit.digest)
    return Line(f"{hit.image.path}@{hit.digest}", url)


def _person(person: Person) -> Line:
    url: Any = reverse("namespaces:overview", kwargs={"path": person.username})
    return Line(person.name, url, f"@{person.username}")
