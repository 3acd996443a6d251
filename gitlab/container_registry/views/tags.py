"""The tags of an image, and one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_safe

from gitlab.container_registry import repositories
from gitlab.container_registry import tag_criteria as criteria
from gitlab.container_registry import tags as services
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import (
    RepositoryDetails,
    TagDetails,
    TagsPage,
)
from gitlab.container_registry.contents.artifacts import badges_of
from gitlab.container_registry.contents.artifacts import kind_of as kind_of_type
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.protection.labels import Mark, marks_of
from gitlab.container_registry.protection.reading import tag_protections
from gitlab.container_registry.tag_criteria import MAX_PATTERN
from gitlab.container_registry.views.image_pages import (
    image_page,
    image_url,
    last_push,
    note_trouble,
    position_in_list,
    state_of,
)
from gitlab.namespaces.policies import Ability
from gitlab.refusals import Invalid
from gitlab.ui import client_commands
from gitlab.ui.decorators import or_sign_in

PAGE = 50
SORTS = (
    "-published_at",
    *("published_at", "version", "-version", "name", "-name", "created_at", "-created_at"),
    *("size_bytes", "-size_bytes", "last_pulled_at", "-last_pulled_at"),
)
FOREIGN_SORTS = ("name", "-name")
"""A registry that is not ours does not know when a tag was pushed, nor when it was pulled."""
_PLATFORMS = 2
"""So many stand in a line; of more the rest is counted."""

_PATTERN = "pattern"
MATCHES = (("", "Contains"), (_PATTERN, "Matches (RE2)"))
"""How the filter's text is meant: as a part of a name, or as a pattern for whole names."""

PLATFORMS = (
    ("", "All platforms"),
    *(
        (name, name)
        for name in (
            *("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/386"),
            *("linux/ppc64le", "linux/riscv64", "linux/s390x", "windows/amd64"),
        )
    ),
)

SIGNED = (("", "Signed or not"), ("yes", "Signed"), ("no", "Not signed"))

_IMAGES = ("image.config", "container.image")


def _asked(request: HttpRequest, sorts: tuple[str, ...]) -> dict[str, Any]:
    """Which part of the list the address asks for, as the registry understands it."""
    asked = {key: request.GET.get(key, "")[:128].strip() for key in ("last", "before")}
    sort = request.GET.get("sort", "")
    return {
        **filters_of(request.GET, own=sorts is SORTS),
        "last": asked["last"],
        "before": "" if asked["last"] else asked["before"],
        "sort": sort if sort in sorts else sorts[0],
    }


def filters_of(given: QueryDict, *, own: bool = True) -> dict[str, Any]:
    """The filters of a list: a part of a name or a `pattern`, a `platform`, and whether `signed`.

    A registry that is not our `own` knows only the first.
    """
    text = given.get("q", "").replace("\0", "").strip()[:MAX_PATTERN]
    is_pattern = own and given.get("match") == _PATTERN
    platform = given.get("platform", "")
    return {
        "name": "" if is_pattern else text[:128],
        "pattern": text if is_pattern else "",
        "platform": platform if own and (platform, platform) in PLATFORMS else "",
        "signed": {"yes": True, "no": False}.get(given.get("signed", "")) if own else None,
    }


@require_safe
@or_sign_in
def index(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """A page of tags, the newest first unless another order is asked for."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    registry = clients.for_pages()
    sorts = SORTS if registry.own else FOREIGN_SORTS
    asked = _asked(request, sorts)
    signatures = request.GET.get("signatures") == "1"
    back = position_in_list(request.GET)
    page, details, trouble, wrong = TagsPage([]), None, "", _fault(asked["pattern"])
    try:
        details = registry.repository(image.path)
        if not wrong:
            page = services.tags_of(
                image, n=PAGE, registry=registry, signatures=signatures, belongings=True, **asked
            )
    except (RegistryUnavailable, RegistryRefused) as error:
        trouble = note_trouble(request, image, error)
    searching = any(asked[key] not in ("", None) for key in _NARROWS)
    context = {
        **image_page(image, request.user),
        **rights(image),
        **_around(page, request.GET, asked, sorts[0]),
        "lines": _lines(image, page.tags, back),
        **_counts(details, signatures=signatures),
        "pager_text": ""
        if searching or not details
        else f"{len(page.tags):,} of {_shown(details, signatures=signatures):,} tags",
        "details": details,
        "last_push": last_push(image, details),
        "trouble": trouble,
        "sort": asked["sort"],
        "searching": searching,
        "searched": asked["name"] or asked["pattern"],
        "wrong": wrong,
        "matches": MATCHES,
        "platforms": PLATFORMS,
        "signed": SIGNED,
        "filters": [(key, request.GET.get(key, "")) for key in _FILTERS],
        "by_name": "version" if registry.own else "name",
        **_more_urls(image, registry),
        "back": back,
        "pull": _pull(image, details),
        "tools": client_commands.tools(image.path, request.user),
        "delete_url": image_url(image, "delete"),
        "tags_delete_url": image_url(image, "tags_delete"),
        "line": state_of(image),
    }
    return render(request, "container_registry/repository.html", context)


_FILTERS = ("q", "match", "platform", "signed")
"""As they stand in an address."""

_NARROWS = ("name", "pattern", "platform", "signed")
"""And as the registry understands them."""


def _fault(pattern: str) -> str:
    """What is wrong with a pattern, "" where it is one."""
    try:
        criteria.pattern(pattern, "q")
    except Invalid as error:
        return " ".join(error.messages)
    return ""


def _more_urls(image: ContainerRepository, registry: Registry) -> dict[str, str]:
    """Pages about what stands in no row, where there are any."""
    at = {"path": image.project.full_path, "pk": image.pk}
    try:
        return {
            "choose_url": reverse("cleanup:choose", kwargs=at),
            "untagged_url": image_url(image, "untagged") if registry.own else "",
        }
    except NoReverseMatch:
        return {}


def _pull(image: ContainerRepository, details: RepositoryDetails | None) -> str:
    """The command at the top, whatever is filtered: of a tag that is there, "" where there is none.

    `latest` where there is one.
    """
    tag = details.pull_tag if details else ""
    return client_commands.pull(image.path, tag=tag) if tag else ""


def rights(image: ContainerRepository) -> dict[str, bool]:
    may = image.project.abilities
    rests = not image.is_being_deleted
    return {
        "may_push": Ability.PUSH_IMAGE in may and rests,
        "may_delete_tag": Ability.DELETE_TAG in may and rests,
        "may_delete_image": Ability.ADMIN_IMAGE in may and rests,
        "may_admin": Ability.ADMIN_IMAGE in may,
    }


def _shown(details: RepositoryDetails, *, signatures: bool) -> int:
    """How many tags the list has in all."""
    return details.tags_count - (0 if signatures else details.signature_tags_count)


def _counts(details: RepositoryDetails | None, *, signatures: bool) -> dict[str, Any]:
    """How many tags there are, and how many that only say what belongs to others."""
    if details is None:
        return {}
    return {
        "tags_count": _shown(details, signatures=signatures),
        "hidden_count": details.signature_tags_count,
        "signatures": signatures,
    }


def _around(page: TagsPage, given: QueryDict, asked: dict[str, Any], usual: str) -> dict[str, str]:
    """Addresses of the pages before and behind this one, in the same order with the same filter."""
    kept = {
        "q": asked["name"] or asked["pattern"],
        "match": given.get("match", "") if asked["pattern"] else "",
        "platform": asked["platform"],
        "signed": given.get("signed", "") if asked["signed"] is not None else "",
        "sort": asked["sort"] if asked["sort"] != usual else "",
        "signatures": "1" if given.get("signatures") == "1" else "",
    }

    def link(direction: str, tag: str) -> str:
        query = {key: value for key, value in {**kept, direction: tag}.items() if value}
        return "?" + urlencode(query) if tag else ""

    return {
        "previous_url": link("before", page.previous_before),
        "next_url": link("last", page.next_last),
    }


def _lines(
    image: ContainerRepository, tags: Sequence[TagDetails], back: str
) -> list[dict[str, Any]]:
    marks = marks_for(image, [tag.name for tag in tags])
    return [{**_line(image, tag, back), "marks": marks.get(tag.name)} for tag in tags]


def marks_for(image: ContainerRepository, tags: Sequence[str]) -> dict[str, list[Mark]]:
    """What protects each of `tags`, for those who work with the image."""
    if not tags or Ability.PUSH_IMAGE not in image.project.abilities:
        return {}
    protections = tag_protections(image.project)
    return {tag: marks_of(protections, tag) for tag in tags} if protections else {}


def _line(image: ContainerRepository, tag: TagDetails, back: str) -> dict[str, Any]:
    pull = client_commands.pull_artifact if kind_of(tag) else client_commands.pull
    platforms = [str(platform) for platform in tag.platforms]
    url = image_url(image, "tag", tag=tag.name)
    query = {"selected": tag.name, **({"back": back} if back else {})}
    return {
        "tag": tag,
        "platforms": [(name.removeprefix("linux/"), name) for name in platforms[:_PLATFORMS]],
        "more_platforms": f"+{len(platforms) - _PLATFORMS}" if platforms[_PLATFORMS:] else "",
        "all_platforms": ", ".join(platforms),
        "kind": kind_of(tag),
        "belongings": badges_of(tag.belongings),
        "url": url,
        "history_url": f"{url}#history",
        "delete_url": f"{image_url(image, 'tags_delete')}?{urlencode(query)}",
        "pull": pull(image.path, tag=tag.name),
        "pull_digest": pull(image.path, digest=tag.digest),
    }


def kind_of(tag: TagDetails) -> str:
    """What it is, where it is no image: the last word of its type that means something."""
    kind = tag.artifact_type
    if not kind or tag.platforms or any(part in kind for part in _IMAGES):
        return ""
    return kind_of_type(kind).value
