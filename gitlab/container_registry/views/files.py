"""A file of an artifact: an SBOM as a list of packages, provenance as facts, text as it is."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from gitlab.container_registry import repositories
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.contents import manifest as manifests
from gitlab.container_registry.contents import provenance, reading, sbom, statements
from gitlab.container_registry.contents.belonging import file_of
from gitlab.container_registry.contents.manifest import Descriptor
from gitlab.container_registry.contents.sbom import Sbom
from gitlab.container_registry.views.image_pages import image_page, image_url, note_trouble
from gitlab.container_registry.views.inside import MAX_SHOWN, after_in, download, readable
from gitlab.refusals import NotFound
from gitlab.ui import client_commands
from gitlab.ui.decorators import or_sign_in

PAGE = 100
"""Packages on a page."""

_TITLE = "org.opencontainers.image.title"
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_SHORT = 12


@require_safe
@or_sign_in
def file(request: HttpRequest, path: str, pk: int, digest: str, layer: str) -> HttpResponse:
    """One file of a manifest, which has to name it. ``raw=1``: as it is, to be saved."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    short = digest.partition(":")[2][:_SHORT]
    here = image_url(image, "manifest", digest=digest)
    context = image_page(image, request.user, (short, here), ("File", ""))
    registry = clients.for_pages()
    try:
        stored = reading.manifest(registry, image.path, digest)
        listed = manifests.read(stored).layers() if stored else []
        found = next((each for each in listed if each.part.digest == layer), None)
        if found is None:
            raise NotFound("no such file")
        payload = None
        if found.part.size_bytes <= reading.MAX_BLOB:
            payload = reading.blob(registry, image.path, layer)
    except (RegistryUnavailable, RegistryRefused) as error:
        context |= {"title": "File", "trouble": note_trouble(request, image, error)}
        return render(request, "container_registry/file.html", context)
    name = _name(found)
    if payload is not None and request.GET.get("raw"):
        return download(payload, name)
    kind = file_of(found)
    context |= {"title": kind.kind.value, "type": kind.type}
    if payload is None:
        fetch = client_commands.fetch_blob(image.path, layer, name)
        context |= {"too_large": True, "fetch": fetch}
    else:
        context |= {"size": len(payload), **_read(request, payload)}
    return render(request, "container_registry/file.html", context)


def _name(found: Descriptor) -> str:
    """What a file is saved as: its title's last part, in letters that every system takes."""
    title = _UNFIT.sub("-", found.annotation(_TITLE).rpartition("/")[2]).strip(".-")[:100]
    end = ".json" if "json" in found.part.media_type else ""
    return title or f"{found.part.digest.partition(':')[2][:_SHORT]}{end}"


def _read(request: HttpRequest, payload: bytes) -> dict[str, Any]:
    """What a file holds, as far as it is understood."""
    listed = sbom.read(payload)
    if listed is not None:
        return {"title": "SBOM", "sbom": listed, **_packages(request, listed)}
    statement = statements.read(payload)
    if statement is not None and provenance.is_provenance(statement):
        found = provenance.read(statement)
        return {"title": "Provenance", "provenance": found, "type": statement.predicate_type}
    if b"\0" in payload[:4096]:
        return {}
    text = readable(payload)
    return {"text": text[:MAX_SHOWN], "is_cut": len(text) > MAX_SHOWN}


def _packages(request: HttpRequest, listed: Sbom) -> dict[str, Any]:
    search = request.GET.get("q", "")[:100].strip()
    after = after_in(request.GET)
    shown, total = listed.page(search, after, PAGE)

    def url(position: int) -> str:
        asked = {"q": search, "after": str(position) if position else ""}
        return "?" + urlencode({key: value for key, value in asked.items() if value})

    return {
        "packages": shown,
        "searching": search,
        "earlier_url": url(max(0, after - PAGE)) if after else "",
        "later_url": url(after + PAGE) if after + PAGE < total else "",
        "pager_text": f"{after + 1:,}–{after + len(shown):,} of {total:,}" if shown else "",
    }
