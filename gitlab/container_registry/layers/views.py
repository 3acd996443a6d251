"""The files of an image: a folder at a time, with the layer that each came from."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from gitlab.container_registry import repositories
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.reading import children, is_index
from gitlab.container_registry.client.responses import StoredManifest
from gitlab.container_registry.contents import documents, image_config
from gitlab.container_registry.contents import reading as contents
from gitlab.container_registry.layers import image_files, requests, storing
from gitlab.container_registry.layers.comparing import text_of, word_for
from gitlab.container_registry.layers.entries import Entry, Kind
from gitlab.container_registry.layers.image_files import FilesPage
from gitlab.container_registry.layers.merging import Placed
from gitlab.container_registry.layers.models import FileJob, ListedLayer
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.views.image_pages import image_page, note_trouble
from gitlab.refusals import Invalid, NotFound
from gitlab.ui.decorators import or_sign_in, person, signed_in
from gitlab.ui.toasts import add_toast

PAGE = 100
_MAX_PATH = 4096
_ICONS = {
    Kind.FOLDER: "folder",
    Kind.IMPLIED: "folder",
    Kind.SYMLINK: "link",
    Kind.HARD_LINK: "link",
    Kind.CHARACTER_DEVICE: "hard-drive",
    Kind.BLOCK_DEVICE: "hard-drive",
}
_TYPES = {
    Kind.FOLDER: stat.S_IFDIR,
    Kind.IMPLIED: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.CHARACTER_DEVICE: stat.S_IFCHR,
    Kind.BLOCK_DEVICE: stat.S_IFBLK,
    Kind.PIPE: stat.S_IFIFO,
}


def files_url(image: ContainerRepository, digest: str, page: str = "files") -> str:
    """The page of an image's files, by its name in this package's addresses."""
    at = {"path": image.project.full_path, "pk": image.pk, "digest": digest}
    return reverse(f"layers:{page}", kwargs=at)


@require_safe
@or_sign_in
def files(request: HttpRequest, path: str, pk: int, digest: str) -> HttpResponse:
    """What is in a folder of an image, or how to have it listed."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    context = image_page(image, request.user, (f"{_short(digest)}: files", "")) | {
        "digest": digest,
        "files_url": files_url(image, digest),
        "list_url": files_url(image, digest, "list"),
        "progress_url": files_url(image, digest, "progress"),
        "may_ask": request.user.is_authenticated,
    }
    try:
        manifest = contents.manifest(clients.for_pages(), image.path, digest)
        if manifest is None:
            raise NotFound("no such image")
        context |= _contents(request, image, digest, manifest)
    except (RegistryUnavailable, RegistryRefused) as error:
        context["trouble"] = note_trouble(request, image, error)
    return render(request, "layers/files.html", context)


def _short(digest: str) -> str:
    return digest.partition(":")[2][:12]


def _contents(
    request: HttpRequest, image: ContainerRepository, digest: str, manifest: StoredManifest
) -> dict[str, Any]:
    if is_index(manifest):
        parts = [part for part in children(manifest) if not part.is_attestation]
        return {
            "platforms": [(part, files_url(image, part.digest)) for part in parts[:PAGE]],
        }
    try:
        requests.layers_of(manifest)
    except Invalid as error:
        return {"nothing": " ".join(error.messages)}
    job = requests.of_image(image, digest)
    layers = storing.listed(job.layers) if job and job.status == "finished" else None
    if job is None or layers is None:
        return {"job": job if job is not None and job.status != "finished" else None}
    requests.touch(job)
    storing.touch(layers)
    return {"job": job, "listed": True, **_folder(request, layers)} | {
        "layers": _layers(image, manifest, layers),
    }


def _folder(request: HttpRequest, layers: Sequence[ListedLayer]) -> dict[str, Any]:
    """A page of what is in the folder that the address asks for, or of what a search has found."""
    folder = _asked(request, "path").strip(b"/")
    text = _asked(request, "q").strip()
    after = _asked(request, "after")
    page = (
        image_files.search(layers, folder, text, after=after, limit=PAGE)
        if text
        else image_files.in_folder(layers, folder, after=after, limit=PAGE)
    )
    return {
        "folder": folder,
        "crumbs": _crumbs(folder),
        "searching": text_of(text),
        "lines": [_line(placed, whole=bool(text)) for placed in page.files],
        "is_cut": page.is_cut,
        "next_url": _next_url(folder, text, page),
        "first_url": _url(path=folder, q=text) if after else "",
        "path_text": text_of(folder),
    }


def _asked(request: HttpRequest, name: str) -> bytes:
    """A parameter's bytes: a file may be called by such as are no text."""
    for pair in request.META.get("QUERY_STRING", "").split("&"):
        key, _, value = pair.partition("=")
        if key == name:
            return unquote_to_bytes(value.replace("+", " "))[: 2 * _MAX_PATH]
    return b""


def _url(**asked: bytes) -> str:
    said = [f"{key}={quote(value, safe='/')}" for key, value in asked.items() if value]
    return f"?{'&'.join(said)}"


def _next_url(folder: bytes, text: bytes, page: FilesPage) -> str:
    return _url(path=folder, q=text, after=page.next_after) if page.next_after else ""


def _crumbs(folder: bytes) -> list[tuple[str, str]]:
    """The folders on the way, each with its address; the last is the one that is shown."""
    parts = folder.split(b"/") if folder else []
    return [
        (documents.shown(text_of(name)), _url(path=b"/".join(parts[: depth + 1])))
        for depth, name in enumerate(parts)
    ]


def _line(placed: Placed, *, whole: bool) -> dict[str, Any]:
    entry = placed.entry
    name = entry.path if whole else entry.name
    return {
        "name": documents.shown(text_of(name), 1000),
        "url": _url(path=entry.path) if entry.kind.is_folder else "",
        "icon": _ICONS.get(entry.kind, "file-text"),
        "word": word_for(entry),
        "is_plain": entry.kind in (Kind.FILE, Kind.FOLDER, Kind.IMPLIED, Kind.SYMLINK),
        "target": documents.shown(text_of(entry.target)),
        "size": entry.size if entry.kind.has_content else None,
        "mode": _mode(entry),
        "runs_as_owner": bool(entry.mode & (stat.S_ISUID | stat.S_ISGID)) and _is_file(entry),
        "owner": f"{entry.uid}:{entry.gid}",
        "layer": placed.layer + 1,
    }


def _is_file(entry: Entry) -> bool:
    return entry.kind.has_content or entry.kind is Kind.HARD_LINK


def _mode(entry: Entry) -> str:
    """As ``ls -l`` writes it; "" where no entry says it."""
    if entry.kind is Kind.IMPLIED:
        return ""
    return stat.filemode(_TYPES.get(entry.kind, stat.S_IFREG) | entry.mode)


def _layers(
    image: ContainerRepository, manifest: StoredManifest, layers: Sequence[ListedLayer]
) -> list[dict[str, Any]]:
    """The layers from the lowest up, with what made each as far as the configuration tells."""
    commands = _commands(image, manifest)
    parts = requests.layers_of(manifest)
    return [
        {
            "number": number,
            "text": str(number),
            "layer": layer,
            "part": part,
            "command": commands.get(part.digest, ""),
        }
        for number, (layer, part) in enumerate(zip(layers, parts, strict=False), 1)
    ]


def _commands(image: ContainerRepository, manifest: StoredManifest) -> dict[str, str]:
    """By the digest of a layer, the command that made it; of several that made it, the last."""
    said = documents.read_object(manifest.payload)
    digest = documents.within(said, "config").get("digest")
    if not isinstance(digest, str) or not digest:
        return {}
    payload = contents.blob(
        clients.for_pages(), image.path, digest, max_bytes=image_config.MAX_CONFIG
    )
    config = image_config.read(payload) if payload else None
    steps = image_config.steps(config, manifest.parts("layers"))
    return {step.layer.digest: step.command for step in steps if step.layer is not None}


@signed_in
@require_POST
def list_files(request: HttpRequest, path: str, pk: int, digest: str) -> HttpResponse:
    """Have the files listed."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    try:
        requests.request(person(request), image, digest)
    except ValidationError as error:
        add_toast(request, " ".join(error.messages), tone="bad")
    except (RegistryUnavailable, RegistryRefused) as error:
        add_toast(request, f"The registry does not answer: {error}.", tone="bad")
    return redirect(files_url(image, digest))


@require_safe
@or_sign_in
def progress(request: HttpRequest, path: str, pk: int, digest: str) -> HttpResponse:
    """How far the listing is: the part of the page that is fetched every two seconds."""
    image = repositories.get_container_repository_for(request.user, pk, project=path)
    job = requests.of_image(image, digest)
    if job is None:
        raise NotFound("nobody has asked for it")
    return render(request, "layers/_progress.html", progress_of(job, files_url(image, digest)))


def progress_of(job: FileJob, url: str) -> dict[str, Any]:
    """Where a job stands, for the part of a page that looks again by itself."""
    return {"job": job, "done_url": url, "progress_url": f"{url}/progress"}
