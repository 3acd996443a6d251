"""What is inside of a manifest: its page, and its documents as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from gitlab.container_registry import repositories
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.overview import Overview
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import StoredManifest, read_json
from gitlab.container_registry.contents import belonging, documents, reading
from gitlab.container_registry.contents import inside as services
from gitlab.container_registry.contents import manifest as manifests
from gitlab.container_registry.contents.artifacts import ICONS, Kind
from gitlab.container_registry.contents.belonging import Belonging, File, file_of
from gitlab.container_registry.contents.image_config import MAX_CONFIG
from gitlab.container_registry.contents.inside import Built, Inside, OnPlatform
from gitlab.container_registry.contents.manifest import Descriptor
from gitlab.container_registry.layers.views import files_url
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.signatures import verification
from gitlab.container_registry.tags import is_digest, seen_with
from gitlab.container_registry.views.compare import compare_url
from gitlab.container_registry.views.image_pages import image_page, image_url, note_trouble
from gitlab.namespaces.policies import Ability
from gitlab.refusals import NotFound
from gitlab.ui import client_commands
from gitlab.ui.decorators import or_sign_in

MAX_SHOWN = 200 * 1024
"""Characters of a document that stand on a page. All of it can be downloaded."""

_SHORT = 12
_LISTED_NAMES = 3
_MAX_LINE, _FOLDED = 160, 240
"""Characters of a command that are shown where it has more than so many."""

_TITLE = "org.opencontainers.image.title"


def after_in(given: QueryDict) -> int:
    """How many platforms or steps stand on the pages before this one."""
    text = given.get("after", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0


def look(
    registry: Registry,
    image: ContainerRepository,
    digest: str,
    stored: StoredManifest,
    after: int,
    overview: Overview | None,
) -> Inside:
    """What is inside of a manifest of an image. Raises as the client."""
    return services.look(
        registry,
        image.path,
        digest,
        stored,
        after=after,
        seen=seen_with(image.project),
        overview=overview,
    )


def shown(image: ContainerRepository, found: Inside) -> dict[str, Any]:
    """The context in which ``_inside.html`` shows what is inside."""
    document = image_url(image, "document", digest=found.digest) if is_digest(found.digest) else ""
    config = found.manifest.config
    return {
        "inside": found,
        "platforms": [_platform(image, each) for each in found.platforms],
        "built": [_built(image, each) for each in found.built],
        "files": [_file(image, found.digest, each) for each in found.files],
        "chart": found.chart,
        "files_more": found.total - len(found.files) if found.files else 0,
        "later_url": _page_url(found.next_after or None),
        "earlier_url": _page_url(found.previous_after),
        "pager_text": _pager_text(found),
        "manifest_url": document,
        "config_url": f"{document}?of=config" if config and document else "",
    }


def _page_url(after: int | None) -> str:
    return "" if after is None else f"?{urlencode({'after': after})}#parts"


def _pager_text(found: Inside) -> str:
    count = max(len(found.platforms), len(found.built))
    if found.total <= count:
        return ""
    return f"{found.after + 1:,}–{found.after + count:,} of {found.total:,}"


def _platform(image: ContainerRepository, each: OnPlatform) -> dict[str, Any]:
    return {
        "part": each.part,
        "details": each.details,
        "url": page_of(image, each.part.digest),
        "pull": client_commands.pull(image.path, digest=each.part.digest),
    }


def _file(image: ContainerRepository, digest: str, each: Descriptor) -> dict[str, Any]:
    file = file_of(each)
    return {
        "part": each.part,
        "name": documents.visible(each.annotation(_TITLE)) or _name_of(file),
        "type": file.type,
        "url": file_url(image, digest, each.part.digest),
    }


def _name_of(file: File) -> str:
    """What a file without a name is called by its kind."""
    return "" if file.kind is Kind.ARTIFACT else file.kind.value


def file_url(image: ContainerRepository, digest: str, layer: str) -> str:
    """The page of a file of an artifact, "" where a digest can have none."""
    if not is_digest(digest) or not is_digest(layer):
        return ""
    return image_url(image, "file", digest=digest, layer=layer)


def belongings(
    registry: Registry,
    image: ContainerRepository,
    found: Inside,
    overview: Overview | None,
) -> dict[str, Any]:
    """The context in which ``_belongings.html`` shows what belongs to a manifest."""
    platforms = {each.part.digest: str(each.part.platform or "") for each in found.platforms}
    known = belonging.of(
        registry, image.path, found.digest, found.attestations, platforms, overview=overview
    )
    context = {
        "belongings": [_belonging(image, each) for each in known.found],
        "more_belongings": known.has_more,
    }
    if not found.manifest.is_image and not found.manifest.is_index:
        return context
    # cosign's tags first: whoever may push can put any number of referrers before them.
    told = sorted(known.found, key=lambda each: each.how != "tag")
    holding = [each.digest for each in told if each.how != "index"]
    return context | _verified(registry, image, found.digest, holding)


def _belonging(image: ContainerRepository, each: Belonging) -> dict[str, Any]:
    return {
        "each": each,
        "icon": ICONS[each.kind],
        "url": page_of(image, each.digest),
        "files": [
            {
                "file": file,
                "icon": ICONS[file.kind],
                "url": file_url(image, each.digest, file.digest),
            }
            for file in each.files
        ],
        "below": [_belonging(image, one) for one in each.belongings],
    }


def page_of(image: ContainerRepository, digest: str) -> str:
    """The page of a manifest, "" where a digest can have none."""
    return image_url(image, "manifest", digest=digest) if is_digest(digest) else ""


def links(image: ContainerRepository, digest: str, reference: str) -> dict[str, str]:
    """Where the files of a manifest are, and where it is compared with another."""
    files = files_url(image, digest) if is_digest(digest) else ""
    return {"files_url": files, "compare_url": compare_url(image, before=reference)}


def _verified(
    registry: Registry, image: ContainerRepository, digest: str, holding: Sequence[str]
) -> dict[str, Any]:
    """Who has signed a manifest, and where keys are held, for whoever may hold some."""
    may_hold = Ability.ADMIN_PROJECT in image.project.abilities
    at = {"path": image.project.full_path}
    return {
        "verified": verification.of_image(registry, image, digest, holding),
        "keys_url": reverse("signatures:project_keys", kwargs=at) if may_hold else "",
    }


def _built(image: ContainerRepository, each: Built) -> dict[str, Any]:
    names = [_within(image, name) for name in each.shared.names] if each.shared else []
    more = each.shared.count - len(names[:_LISTED_NAMES]) if each.shared else 0
    return {
        "step": each.step,
        "short": f"{each.step.command[:_MAX_LINE]}…" if len(each.step.command) > _FOLDED else "",
        "share": each.share,
        "percent": f"{each.share:.2f}",
        "share_text": "<0.1 %" if 0 < each.share < 0.05 else f"{each.share:.1f} %",
        "shared": ", ".join(names[:_LISTED_NAMES]),
        "shared_more": more,
        "shared_all": ", ".join(names),
    }


def _within(image: ContainerRepository, path: str) -> str:
    """What an image is called within the project."""
    project = image.project.full_path
    return path.removeprefix(f"{project}/") if path != project else image.project.path


@require_safe
@or_sign_in
def manifest(request: HttpRequest, path: str, pk: int, digest: str) -> HttpResponse:
    """What a digest is: a platform of an index, what a tag pointed at once, an artifact."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    context = {
        **image_page(image, request.user, (_short(digest), "")),
        "digest": digest,
        "short": _short(digest),
        "pull_digest": client_commands.pull(image.path, digest=digest),
    }
    registry = clients.for_pages()
    try:
        overview = _overview(registry, image, digest)
        is_here = overview is not None
        stored = reading.manifest(registry, image.path, digest, is_here=is_here)
        if stored is None:
            raise NotFound("no such manifest")
        found = look(registry, image, digest, stored, after_in(request.GET), overview)
        context |= belongings(registry, image, found, overview)
    except (RegistryUnavailable, RegistryRefused) as error:
        context["trouble"] = note_trouble(request, image, error)
        return render(request, "container_registry/manifest.html", context)
    if not found.manifest.is_image and not found.manifest.is_index:
        context["pull_digest"] = client_commands.pull_artifact(image.path, digest=digest)
    context["subject_url"] = page_of(image, found.manifest.subject)
    if found.manifest.is_image:
        context |= links(image, digest, digest)
    return render(request, "container_registry/manifest.html", context | shown(image, found))


def _overview(registry: Registry, image: ContainerRepository, digest: str) -> Overview | None:
    """What our registry says of a manifest; None of one that is not ours. Raises `NotFound`."""
    if registry.own is None:
        return None
    found = registry.own.overview(image.path, digest=digest, seen=seen_with(image.project))
    if found is None:
        raise NotFound("no such manifest")
    return found


def _short(digest: str) -> str:
    return digest.partition(":")[2][:_SHORT]


@require_safe
@or_sign_in
def document(request: HttpRequest, path: str, pk: int, digest: str) -> HttpResponse:
    """A manifest, or with ``of=config`` its configuration, as readable JSON; ``raw=1`` as it is."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    of_config = request.GET.get("of") == "config"
    registry = clients.for_pages()
    here = image_url(image, "manifest", digest=digest)
    what = "Configuration" if of_config else "Manifest"
    context = {
        **image_page(image, request.user, (_short(digest), here), (what, "")),
        "title": f"{what} of {_short(digest)}",
        "what": what,
        "raw_url": "?of=config&raw=1" if of_config else "?raw=1",
    }
    try:
        payload = _payload(registry, image.path, digest, of_config=of_config)
    except (RegistryUnavailable, RegistryRefused) as error:
        context["trouble"] = note_trouble(request, image, error)
        return render(request, "container_registry/document.html", context)
    if payload is None:
        raise NotFound("no such document")
    if request.GET.get("raw"):
        return download(payload, f"{what.lower()}-{_short(digest)}.json")
    text = readable(payload)
    context |= {"text": text[:MAX_SHOWN], "is_cut": len(text) > MAX_SHOWN, "size": len(payload)}
    return render(request, "container_registry/document.html", context)


def _payload(registry: Registry, path: str, digest: str, *, of_config: bool) -> bytes | None:
    """The bytes of a manifest, or of the configuration that it names; None where there are none."""
    stored = reading.manifest(registry, path, digest)
    if stored is None or not of_config:
        return stored.payload if stored else None
    config = manifests.read(stored).config
    if config is None or config.part.size_bytes > MAX_CONFIG:
        return None
    return reading.blob(registry, path, config.part.digest, max_bytes=MAX_CONFIG)


def readable(payload: bytes) -> str:
    """A document with its lines indented, and what can't be seen in it written out."""
    try:
        if sum(map(payload.count, (b'"', b"[", b"{"))) > documents.MAX_MARKS:
            raise ValueError("too much")
        text = json.dumps(read_json(payload), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = payload[: MAX_SHOWN * 4].decode(errors="replace")
    return documents.visible(text[: MAX_SHOWN + 1])


def download(content: bytes, name: str) -> HttpResponse:
    """Bytes that somebody has pushed: saved, never shown as a page of ours."""
    response = HttpResponse(content, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
