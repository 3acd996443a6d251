"""Two images side by side, and on request their files."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from gitlab.container_registry import repositories, tags
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.comparison import services
from gitlab.container_registry.comparison.differences import Layer
from gitlab.container_registry.comparison.services import Comparison, Side
from gitlab.container_registry.contents import documents
from gitlab.container_registry.layers import requests, storing
from gitlab.container_registry.layers.comparing import MAX_KEPT, Change, ChangeKind
from gitlab.container_registry.layers.models import FileJob
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.views.image_pages import image_page, image_url, note_trouble
from gitlab.refusals import NotFound
from gitlab.ui.components.values import mebibytes
from gitlab.ui.decorators import or_sign_in, person, signed_in
from gitlab.ui.toasts import add_toast

_ASKED = ("from", "to", "with", "platform")
_SUGGESTED = 20
"""Tags that the form proposes."""

_LAYER_TONES = {"common": "", "gone": "bad", "new": "good"}
_LAYER_ICONS = {"common": "check", "gone": "x", "new": "plus"}
_LABELS = {
    ChangeKind.ADDED: "Added",
    ChangeKind.REMOVED: "Removed",
    ChangeKind.CHANGED: "Changed",
}


def compare_url(image: ContainerRepository, **asked: str) -> str:
    """The page that compares: ``before`` (asked as ``from``), ``to``, ``with``, ``platform``."""
    given = {"from": asked.pop("before", ""), **asked}
    query = urlencode({key: value for key, value in given.items() if value})
    return image_url(image, "compare") + (f"?{query}" if query else "")


def _asked(given: QueryDict) -> dict[str, str]:
    return {key: given.get(key, "").replace("\0", "")[:512].strip() for key in _ASKED}


@require_safe
@or_sign_in
def compare(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """How two images differ; without any named, a form that asks which."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    asked = _asked(request.GET)
    context = image_page(image, request.user, ("Compare", "")) | {
        "asked": asked,
        "compare_url": image_url(image, "compare"),
    }
    try:
        if asked["from"] and asked["to"]:
            context |= _compared(request, image, asked)
        if "found" not in context:
            context["tags"] = _suggested(image)
    except (RegistryUnavailable, RegistryRefused) as error:
        context["trouble"] = note_trouble(request, image, error)
    return render(request, "container_registry/compare.html", context)


def _suggested(image: ContainerRepository) -> list[str]:
    """Some tags, the latest first where the registry knows them."""
    registry = clients.for_pages()
    sort = "-published_at" if registry.own else "name"
    page = tags.tags_of(image, n=_SUGGESTED, sort=sort, registry=registry)
    return [tag.name for tag in page.tags]


def _compared(
    request: HttpRequest, image: ContainerRepository, asked: dict[str, str]
) -> dict[str, Any]:
    try:
        other = services.other_repository(request.user, image, asked["with"])
    except NotFound:
        # The same words whether it is not there or may not be seen.
        return {"problem": "There is no such image, or you may not see it."}
    try:
        found = services.compare(
            (image, asked["from"]), (other, asked["to"]), platform=asked["platform"]
        )
    except NotFound as error:
        return {"problem": _why(error)}
    except ValidationError as error:
        return {"problem": " ".join(error.messages)}
    job = _job(found)
    return {
        "found": found,
        "sides": [_side(found.before), _side(found.after)],
        "swap_url": _swapped(asked, image, other),
        "platforms": [name for name in found.before.platforms if name in found.after.platforms],
        "sections": [
            ("Configuration", found.config),
            ("Environment", found.environment),
            ("Labels", found.labels),
        ],
        "has_differences": bool(found.config or found.environment or found.labels),
        "layers": [_layer(each) for each in found.layers.layers],
        "counts": _counts(found),
        "delta_bytes": found.after.size_bytes - found.before.size_bytes,
        "smaller_bytes": found.before.size_bytes - found.after.size_bytes,
        "may_ask": request.user.is_authenticated,
        "files_url": image_url(image, "compare_files"),
        **_files(request, image, job, asked),
    }


def _why(error: NotFound) -> str:
    text = documents.visible(str(error))
    return f"{text[:1].upper()}{text[1:]}."


def _job(found: Comparison) -> FileJob | None:
    one, other = found.before, found.after
    return requests.of_two(one.repository, one.digest, other.repository, other.digest)


def _swapped(asked: dict[str, str], image: ContainerRepository, other: ContainerRepository) -> str:
    back = image.path if other != image else ""
    return compare_url(
        other,
        **{"before": asked["to"], "to": asked["from"], "with": back, "platform": asked["platform"]},
    )


def _side(side: Side) -> dict[str, Any]:
    where = image_url(side.repository, "manifest", digest=side.digest)
    return {"side": side, "url": where, "created": side.config.created_at if side.config else None}


def _layer(each: Layer) -> dict[str, Any]:
    tone, icon = _LAYER_TONES[each.change], _LAYER_ICONS[each.change]
    return {"layer": each, "tone": tone, "icon": icon}


def _counts(found: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "text": f"{len(found.layers.of(change)):,}",
            "note": mebibytes(found.layers.bytes_of(change)),
        }
        for change, label in (
            ("common", "Layers in common"),
            ("gone", "Layers gone"),
            ("new", "Layers new"),
        )
    ]


# The files


def _files(
    request: HttpRequest, image: ContainerRepository, job: FileJob | None, asked: dict[str, str]
) -> dict[str, Any]:
    """Where the comparison of the files stands, and a page of what it found."""
    if job is None:
        return {"job": None}
    query = {key: value for key, value in asked.items() if value}
    context: dict[str, Any] = {
        "job": job,
        "progress_url": f"{image_url(image, 'compare_progress')}?{urlencode(query)}",
        # An address of its own: to the one where it waits a browser would only scroll.
        "done_url": f"?{urlencode({**query, 'read': '1'})}#files",
    }
    if job.status != FileJob.Status.FINISHED:
        return context
    requests.touch(job)
    kind = request.GET.get("change", "")
    shown = ChangeKind(kind) if kind in set(ChangeKind) else _first(job)
    asked_page = request.GET.get("page", "")
    page = int(asked_page) if asked_page.isascii() and asked_page.isdecimal() else 0
    page = min(page, 10_000)
    changes = requests.changes_of(job, shown, page)

    def link(number: int) -> str:
        return f"?{urlencode({**query, 'change': str(shown), 'page': str(number)})}#files"

    count = job.totals.get(shown, {}).get("count", 0)
    more = bool(requests.changes_of(job, shown, page + 1))
    return context | {
        "change": shown,
        "tabs": _tabs(job, query, shown),
        "lines": [_line(each) for each in changes],
        "previous_url": link(page - 1) if page else "",
        "next_url": link(page + 1) if more else "",
        "not_kept": max(0, count - MAX_KEPT) if not more else 0,
        "faults": _faults(job),
    }


def _faults(job: FileJob) -> list[str]:
    """What could not be read of the layers, a sentence each."""
    layers = storing.listed([*job.layers, *job.other_layers]) or []
    said = (f"{layer.fault} {layer.left_out}".strip() for layer in layers)
    return [sentence for sentence in dict.fromkeys(said) if sentence]


def _first(job: FileJob) -> ChangeKind:
    """The first kind of change that there is any of."""
    found = (kind for kind in ChangeKind if job.totals.get(kind, {}).get("count"))
    return next(found, ChangeKind.CHANGED)


def _tabs(job: FileJob, query: dict[str, str], shown: str) -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "url": f"?{urlencode({**query, 'change': kind})}#files",
            "active": kind == shown,
            "count": job.totals.get(kind, {}).get("count", 0),
        }
        for kind, label in _LABELS.items()
    ]


def _line(change: Change) -> dict[str, Any]:
    return {
        "change": change,
        "path": documents.visible(change.path)[:1000],
        "delta": change.after_bytes - change.before_bytes,
        "what": ", ".join(change.what),
    }


@signed_in
@require_POST
def compare_files(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """Have the files of both compared."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    asked = _asked(request.POST)
    other = services.other_repository(request.user, image, asked["with"])
    try:
        found = services.compare(
            (image, asked["from"]), (other, asked["to"]), platform=asked["platform"]
        )
        requests.request(
            person(request),
            image,
            found.before.digest,
            other=other,
            other_digest=found.after.digest,
        )
    except ValidationError as error:
        add_toast(request, " ".join(error.messages), tone="bad")
    except (RegistryUnavailable, RegistryRefused) as error:
        add_toast(request, f"The registry does not answer: {error}.", tone="bad")
    given = {"before": asked["from"], **{key: asked[key] for key in ("to", "with", "platform")}}
    return redirect(f"{compare_url(image, **given)}#files")


@require_safe
@or_sign_in
def compare_progress(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """How far the comparison of the files is: the part that is fetched every two seconds."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    asked = _asked(request.GET)
    other = services.other_repository(request.user, image, asked["with"])
    found = services.compare(
        (image, asked["from"]), (other, asked["to"]), platform=asked["platform"]
    )
    job = _job(found)
    if job is None:
        raise NotFound("nobody has asked for it")
    return render(request, "layers/_progress.html", _files(request, image, job, asked))
