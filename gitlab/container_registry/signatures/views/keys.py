"""The public keys of a project or group: see, add, delete. One set of views for both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from gitlab.container_registry.signatures import services
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
_FORM = require_http_methods(["GET", "HEAD", "POST"])


def _load(request: HttpRequest, kind: str, path: str) -> Routable:
    owner: Routable
    if kind == "project":
        owner = loaders.get_project_for(request.user, path, Ability.ADMIN_PROJECT)
    else:
        owner = loaders.get_group_for(request.user, path, Ability.ADMIN_GROUP)
    return owner


def _url(owner: Routable, page: str = "keys", **more: Any) -> str:
    noun = "project" if isinstance(owner, Project) else "group"
    return reverse(f"signatures:{noun}_{page}", kwargs={"path": owner.full_path, **more})


def _frame(request: HttpRequest, owner: Routable, *more: Crumb) -> dict[str, Any]:
    crumbs: list[Crumb] = [(_TITLE, _url(owner) if more else ""), *more]
    about: dict[str, Any]
    if isinstance(owner, Project):
        about = project_frame(owner, request.user, "public_keys", *crumbs)
    else:
        about = group_frame(owner, request.user, "public_keys", *crumbs)
    noun = "project" if isinstance(owner, Project) else "group"
    return {**about, "full_path": owner.full_path, "noun": noun}


@signed_in
@_FORM
def index(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """The keys that are held, those of the groups above, and a form for another one."""
    owner = _load(request, kind, path)
    form = PublicKeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = services.create(person(request), owner, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, f"What the key {row} has signed counts from now on.")
            return redirect(_url(owner))
    own = services.keys_of(request.user, owner)
    above = services.inherited_by(request.user, owner)
    context = _frame(request, owner) | {
        "form": form,
        "rows": [*_rows(owner, own), *_rows(owner, above)],
        "sign_command": client_commands.sign(f"{owner.full_path}/image"),
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
                "delete_url": _url(owner, "key_delete", pk=row.pk) if is_own else "",
            }
        )
    return rows


@signed_in
@_FORM
def delete(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """Asks first; then what the key has signed counts no longer."""
    owner = _load(request, kind, path)
    row = services.get_for(request.user, owner, pk)
    back = _url(owner)
    if request.method == "POST":
        services.delete(person(request), row)
        add_toast(request, f"The key {row} is deleted.")
        return redirect(back)
    context = _frame(request, owner, ("Delete", "")) | {
        "key": row,
        "here": request.path,
        "back": back,
    }
    return render(request, "signatures/delete.html", context)
