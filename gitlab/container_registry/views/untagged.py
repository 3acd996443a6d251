"""What an image holds that no tag points at."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_safe

from gitlab.container_registry import repositories
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import TagAge
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.views.image_pages import image_page, image_url, note_trouble
from gitlab.namespaces.policies import Ability
from gitlab.refusals import NotFound
from gitlab.ui import client_commands
from gitlab.ui.decorators import or_sign_in

_SHOWN = 100
_PAGES = 2
"""Pages of the registry, a thousand manifests each, that may say nothing, until one is shown that
says nothing either.
"""


@require_safe
@or_sign_in
def index(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """A page of manifests that nothing holds, with since when that is."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    if clients.for_pages().own is None:
        raise NotFound("this registry does not tell")
    asked = request.GET.get("after", "")
    after = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 19 else 0
    found: Sequence[TagAge] = []
    behind, trouble = 0, ""
    try:
        found, behind = _some(image, after)
    except (RegistryUnavailable, RegistryRefused) as error:
        trouble = note_trouble(request, image, error)
    context = {
        **image_page(image, request.user, ("Untagged", "")),
        "lines": [
            {"manifest": each, "pull": client_commands.pull(image.path, digest=each.digest)}
            for each in found
        ],
        "trouble": trouble,
        "next_url": "?" + urlencode({"after": behind}) if behind else "",
        "first_url": image_url(image, "untagged") if after else "",
        "choose_url": _choose_url(image) if Ability.ADMIN_IMAGE in image.project.abilities else "",
        "keeps": image.project.keep_untagged,
    }
    return render(request, "container_registry/untagged.html", context)


def _some(image: ContainerRepository, after: int) -> tuple[Sequence[TagAge], int]:
    own = clients.for_pages().own
    assert own is not None
    for _ in range(_PAGES):
        found, after = own.untagged(image.path, after=after, n=_SHOWN)
        if found or not after:
            return found, after
    return [], after


def _choose_url(image: ContainerRepository) -> str:
    try:
        at = {"path": image.project.full_path, "pk": image.pk}
        return reverse("cleanup:choose", kwargs=at)
    except NoReverseMatch:
        return ""
