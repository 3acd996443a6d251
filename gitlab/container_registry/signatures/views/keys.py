"""The public keys of a project or group: see, add, delete. One set of views for both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from gitlab.container_registry.signatures import certificates, services
from gitlab.container_registry.signatures.forms import PublicKeyForm
from gitlab.container_registry.signatures.models import PublicKey
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import Crumb, group_frame, project_frame, url_of
from gitlab.ui import client_commands, form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_TITLE = "Public keys"
FORM = require_http_methods(["GET", "HEAD", "POST"])


def load(request: HttpRequest, kind: str, path: str) -> Routable:
    """The project or group, for whoever may see and change its keys."""
    owner: Routable
    if kind == "project":
        owner = loaders.get_project_for(request.user, path, Ability.ADMIN_PROJECT)
    else:
        owner = loaders.get_group_for(request.user, path, Ability.ADMIN_GROUP)
    return owner


def url_of_page(owner: Routable, page: str = "keys", **more: Any) -> str:
    """A page of an owner's, by its name in this package's addresses."""
    noun = "project" if isinstance(owner, Project) else "group"
    return reverse(f"signatures:{noun}_{page}", kwargs={"path": owner.full_path, **more})


def frame(request: HttpRequest, owner: Routable, *more: Crumb) -> dict[str, Any]:
    """The frame of a page of keys, or of what lies below it."""
    crumbs: list[Crumb] = [(_TITLE, url_of_page(owner) if more else ""), *more]
    about: dict[str, Any]
    if isinstance(owner, Project):
        about = project_frame(owner, request.user, "public_keys", *crumbs)
    else:
        about = group_frame(owner, request.user, "public_keys", *crumbs)
    noun = "project" if isinstance(owner, Project) else "group"
    return {**about, "full_path": owner.full_path, "noun": noun}


@signed_in
@FORM
def index(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """The keys that are held, those of the groups above, and a form for another one."""
    owner = load(request, kind, path)
    form = PublicKeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = services.create(person(request), owner, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, f"What the key {row} has signed counts from now on.")
            return redirect(url_of_page(owner))
    own = services.keys_of(request.user, owner)
    above = services.inherited_by(request.user, owner)
    context = frame(request, owner) | {
        "form": form,
        "rows": [*_rows(owner, own), *_rows(owner, above)],
        "sign_command": client_commands.sign(f"{owner.full_path}/image"),
        "identities_url": url_of_page(owner, "identities") if certificates.is_set() else "",
    }
    return render(request, "signatures/index.html", context)


def _rows(owner: Routable, found: Iterable[PublicKey]) -> list[dict[str, Any]]:
    rows = []
    for row in found:
        is_own = row.owner == owner
        rows.append(
            {
                "key": row,
                "from": "" if is_own else row.owner.full_path,
                "from_url": "" if is_own else url_of(row.owner),
                "delete_url": url_of_page(owner, "key_delete", pk=row.pk) if is_own else "",
            }
        )
    return rows


@signed_in
@FORM
def delete(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """Asks first; then what the key has signed counts no longer."""
    owner = load(request, kind, path)
    row = services.get_for(request.user, owner, pk)
    back = url_of_page(owner)
    if request.method == "POST":
        services.delete(person(request), row)
        add_toast(request, f"The key {row} is deleted.")
        return redirect(back)
    context = frame(request, owner, ("Delete", "")) | {
        "key": row,
        "here": request.path,
        "back": back,
    }
    return render(request, "signatures/delete.html", context)
