"""Deleting tags and images: the question with its real numbers, then the deed with its undo."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from gitlab.container_registry import deletion, repositories
from gitlab.container_registry import tags as services
from gitlab.container_registry import undo as undoing
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import Freed, RepositoryDetails
from gitlab.container_registry.forms import TagsForm
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.views.image_pages import (
    counted,
    image_page,
    image_url,
    name_of,
    note_trouble,
    position_in_list,
    undo_until,
)
from gitlab.container_registry.views.tag import detail
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import registry_url
from gitlab.ui.components.values import mebibytes
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_FORM = require_http_methods(["GET", "HEAD", "POST"])
_NAMED = 10
"""So many tags are named in a sentence; of more the rest is counted."""


def _freed(
    request: HttpRequest, image: ContainerRepository, tags: list[str]
) -> tuple[Freed | None, str]:
    """What it would free, None where the registry can't tell; and why it can't be asked."""
    try:
        return services.freed_by(request.user, image, tags), ""
    except (RegistryUnavailable, RegistryRefused) as error:
        return None, note_trouble(request, image, error)


def _numbers(first: tuple[str, str], freed: Freed | None) -> list[tuple[str, str]]:
    numbers = [first]
    if freed is not None and not freed.is_exact:
        numbers.append(("Frees", "too much hangs on it to be counted"))
    elif freed is not None:
        numbers.append(("Frees", mebibytes(freed.alone_bytes)))
        if freed.shared_bytes:
            numbers.append(("Stays, shared", mebibytes(freed.shared_bytes)))
    if until := undo_until():
        numbers.append(("Undo until", until))
    return numbers


@signed_in
@_FORM
def tags(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """One tag or several of an image. ``?selected=`` asks, a POST with ``confirmed`` deletes."""
    given = request.POST if request.method == "POST" else request.GET
    if "selected" not in given and request.method != "POST":
        # A tag may be called “delete”; this is its address.
        return detail(request, path=path, pk=pk, tag="delete")
    form = TagsForm(given)
    image = repositories.get_container_repository_for(
        request.user, pk, Ability.DELETE_TAG, project=path
    )
    back = position_in_list(form.back)
    cancel = image_url(image) + (f"?{back}" if back else "")
    if not form.is_valid():
        add_toast(request, form.why, tone="warn")
        return redirect(cancel)
    if request.method == "POST" and "confirmed" in request.POST:
        _delete_tags(request, image, form.names, back)
        return redirect(cancel)
    freed, trouble = _freed(request, image, form.names)
    missing = freed.missing if freed else ()
    names = [name for name in form.names if name not in missing]
    if not names:
        _say_missing(request, form.names)
        return redirect(cancel)
    what = counted(len(names), "tag") if len(names) > 1 else names[0]
    context = {
        **image_page(image, request.user, (f"Delete {what}", "")),
        "title": f"Delete {what} of {name_of(image)}?",
        "verb": f"Delete {what}",
        "here": image_url(image, "tags_delete"),
        "cancel": cancel,
        "back": back,
        "names": names,
        "named": names[:_NAMED],
        "unnamed": len(names) - _NAMED,
        "missing": ", ".join(missing[:_NAMED]),
        "freed": freed,
        "trouble": trouble,
        "numbers": _numbers(("Tags", f"{len(names):,}"), freed),
        "until": undo_until(),
    }
    return render(request, "container_registry/tags_delete.html", context)


def _delete_tags(
    request: HttpRequest, image: ContainerRepository, names: list[str], back: str
) -> None:
    """Do it and say what came of it; `back` is where in the list the person is."""
    try:
        outcome = services.delete_tags(person(request), image, names)
    except ValidationError as error:
        add_toast(request, " ".join(error.messages), tone="bad")
    except RegistryUnavailable as error:
        note_trouble(request, image, error)
        add_toast(
            request, "The registry does not answer: not all is deleted. Try again.", tone="bad"
        )
    else:
        _say(request, image, outcome, back)


def _say(
    request: HttpRequest, image: ContainerRepository, outcome: services.Deleted, back: str
) -> None:
    name = name_of(image)
    if outcome.deleted:
        one = len(outcome.deleted) == 1
        what = f"Tag {outcome.deleted[0]}" if one else counted(len(outcome.deleted), "tag")
        undo = {"undo_url": image_url(image, "restore")} if undo_until() else {}
        fields = {"tags": ",".join(outcome.deleted), "back": back}
        add_toast(request, f"{what} of {name} deleted.", **undo, undo_fields=fields)
    if outcome.missing:
        _say_missing(request, outcome.missing)
    if outcome.refused:
        tag, why = next(iter(outcome.refused.items()))
        more = len(outcome.refused) - 1
        others = f" The same for {counted(more, 'other')}." if more else ""
        add_toast(request, f"The registry keeps {tag}: {why}.{others}", tone="bad")


def _say_missing(request: HttpRequest, names: list[str]) -> None:
    was = "was" if len(names) == 1 else "were"
    add_toast(request, f"{', '.join(names[:5])} {was} gone already.", tone="info")


@signed_in
@_FORM
def image(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """An image with all its tags. The worker does it; a failed one is tried again in the
    same way.
    """
    row = repositories.get_container_repository_for(
        request.user, pk, Ability.ADMIN_IMAGE, project=path
    )
    images = registry_url(row.project)
    if request.method == "POST":
        _schedule(request, row)
        return redirect(images)
    freed, trouble = _freed(request, row, [])
    details = None if trouble else _details(row)
    count = details.tags_count if details else 0
    context = {
        **image_page(row, request.user, ("Delete", "")),
        "title": f"Delete {name_of(row)}?",
        "verb": f"Delete {name_of(row)}",
        "here": image_url(row, "delete"),
        "cancel": image_url(row) if not row.is_being_deleted else images,
        "count": count,
        "freed": freed,
        "trouble": trouble,
        "numbers": _numbers(("Tags", f"{count:,}" if details else "not known"), freed),
        "until": undo_until(),
    }
    return render(request, "container_registry/image_delete.html", context)


def _details(row: ContainerRepository) -> RepositoryDetails | None:
    try:
        return clients.for_pages().repository(row.path, size=False)
    except (RegistryUnavailable, RegistryRefused):
        return None


def _schedule(request: HttpRequest, row: ContainerRepository) -> None:
    undo: dict[str, Any] = {"undo_url": image_url(row, "restore")}
    try:
        undo["undo_fields"] = {"ticket": undoing.ticket_for(row)}
    except (RegistryUnavailable, RegistryRefused) as error:
        # It can still be taken from the queue, where it will wait for the registry.
        note_trouble(request, row, error)
    deletion.schedule(person(request), row)
    add_toast(request, f"{row.path} is being deleted.", **(undo if undo_until() else {}))
