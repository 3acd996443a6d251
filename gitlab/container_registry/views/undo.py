"""Undo: what a toast's button or a line of the history posts to."""

from __future__ import annotations

from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from gitlab.container_registry import repositories
from gitlab.container_registry import undo as services
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import DeletedTag
from gitlab.container_registry.forms import IntervalForm, TagsForm
from gitlab.container_registry.labels import labelled
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.undo import Restored
from gitlab.container_registry.views.image_pages import (
    TITLE,
    counted,
    image_url,
    is_foreign,
    name_of,
    note_trouble,
    position_in_list,
)
from gitlab.namespaces import loaders
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import project_frame, registry_url
from gitlab.refusals import NotFound
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_DELETED = "Recently deleted"
_SHOWN = 50
_REFUSALS = (ValidationError, RegistryUnavailable, RegistryRefused)


def _say_refusal(
    request: HttpRequest, what: object, error: Exception, fields: dict[str, str] | None = None
) -> None:
    """Why not; with `fields` and the same Undo once more, where a moment later may do."""
    undo = {"undo_url": request.path, "undo_label": "Try again"} if fields else {}
    if isinstance(error, RegistryRefused):
        note_trouble(request, what, error)
        text, undo = f"It can't be brought back: {error}.", {}
    elif isinstance(error, RegistryUnavailable):
        note_trouble(request, what, error)
        text = "The registry does not answer. Try again in a moment."
    else:
        text = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
    add_toast(request, text, tone="bad", undo_fields=fields, **undo)


@require_safe
@signed_in
def deleted(request: HttpRequest, path: str) -> HttpResponse:
    """Images and tags that can still be brought back, for those who may."""
    project = loaders.get_project_for(request.user, path, Ability.PUSH_IMAGE)
    may_admin = Ability.ADMIN_IMAGE in project.abilities
    search, after, before, last = (_asked(request, key) for key in ("q", "after", "before", "last"))
    position = int(last) if last.isascii() and last.isdecimal() and len(last) < 19 else 0
    tags: list[tuple[ContainerRepository, DeletedTag]] = []
    behind, trouble = 0, ""
    try:
        tags, behind = services.deleted_tags(
            request.user, project, last=position, search=search, limit=_SHOWN
        )
    except (RegistryUnavailable, RegistryRefused) as error:
        trouble = note_trouble(request, project, error)
    shown = labelled([tag for _, tag in tags], "deleted_by")
    gone = None
    if may_admin:
        gone = services.deleted_images(
            request.user, project, after=after, before=before, search=search, limit=_SHOWN
        )
    at = {"path": project.full_path}
    context = {
        **project_frame(
            project, request.user, "registry", (TITLE, registry_url(project)), (_DELETED, "")
        ),
        "images": [
            {
                "gone": each,
                "name": each.image.name or project.path,
                "url": reverse("container_registry:restore", kwargs={**at, "pk": each.image.row}),
            }
            for each in (gone.images if gone else [])
        ],
        "tags": [
            {
                "tag": tag,
                "image": name_of(row),
                "image_url": image_url(row),
                "url": image_url(row, "restore"),
            }
            for (row, _), tag in zip(tags, shown, strict=True)
        ],
        "images_text": counted(gone.count, "image") if gone else "",
        "images_next": _page(search, after=gone.page.next_after) if gone else "",
        "images_previous": _page(search, before=gone.page.previous_before) if gone else "",
        "tags_next": _page(search, last=str(behind) if behind else ""),
        "tags_newest": _page(search, first=True) if position else "",
        "tags_text": "The latest first" if behind or position else counted(len(tags), "tag"),
        "searching": search,
        "may_admin": may_admin,
        "foreign": is_foreign(),
        "trouble": trouble,
    }
    return render(request, "container_registry/deleted.html", context)


def _asked(request: HttpRequest, key: str) -> str:
    """A parameter of the address. PostgreSQL has no word for a NUL."""
    return request.GET.get(key, "").replace("\0", "")[:255]


def _page(search: str, *, first: bool = False, **at: str) -> str:
    """The address of another page with the same filter, "" where there is none."""
    if not first and not any(at.values()):
        return ""
    return "?" + urlencode({key: text for key, text in {"q": search, **at}.items() if text})


@signed_in
@require_POST
def restore(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """With ``tags`` these tags come back, else the image whose deletion was queued."""
    if "tags" in request.POST:
        return _restore_tags(request, path, pk)
    project = loaders.get_project_for(request.user, path, Ability.ADMIN_IMAGE)
    ticket = request.POST.get("ticket", "")
    try:
        row = services.restore_image(person(request), project, pk, ticket)
    except _REFUSALS as error:
        _say_refusal(request, project, error, {"ticket": ticket} if ticket else None)
    else:
        add_toast(request, f"{row.path} stays.")
    return redirect(registry_url(project))


def _restore_tags(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    image = repositories.get_container_repository_for(
        request.user, pk, Ability.PUSH_IMAGE, project=path
    )
    names = request.POST["tags"]
    form = TagsForm({"selected": names.split(",")})
    back = position_in_list(QueryDict(request.POST.get("back", "")[:1000]))
    if not form.is_valid():
        raise NotFound("no such tags")
    try:
        outcome = services.restore_tags(person(request), image, form.names)
    except _REFUSALS as error:
        _say_refusal(request, image, error, {"tags": names, "back": back})
    else:
        _say(request, image, outcome)
    return redirect(image_url(image) + (f"?{back}" if back else ""))


def _say(request: HttpRequest, image: ContainerRepository, outcome: Restored) -> None:
    if outcome.back:
        one = len(outcome.back) == 1
        what = f"Tag {outcome.back[0]}" if one else counted(len(outcome.back), "tag")
        add_toast(request, f"{what} of {name_of(image)} {'is' if one else 'are'} back.")
    if outcome.taken:
        names = ", ".join(outcome.taken[:5])
        add_toast(request, f"{names}: there again already, left as it is.", tone="info")
    if outcome.lost:
        names = ", ".join(outcome.lost[:5])
        add_toast(request, f"{names}: too late, the image behind it is collected.", tone="bad")


@signed_in
@require_POST
def point_back(request: HttpRequest, path: str, pk: int, tag: str) -> HttpResponse:
    """A tag points again at what it pointed at in ``interval``, a part of its history."""
    image = repositories.get_container_repository_for(
        request.user, pk, Ability.PUSH_IMAGE, project=path
    )
    form = IntervalForm(request.POST)
    if not form.is_valid():
        raise NotFound("no such part of the history")
    try:
        ended = services.point_back(person(request), image, tag, form.cleaned_data["interval"])
    except _REFUSALS as error:
        _say_refusal(request, image, error)
    else:
        fields = {"interval": str(ended.id)} if ended else None
        add_toast(
            request,
            f"{tag} points there again.",
            undo_url=request.path if ended else "",
            undo_fields=fields,
        )
    return redirect(image_url(image, "tag", tag=tag))
