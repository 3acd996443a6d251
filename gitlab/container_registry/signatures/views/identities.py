"""Who may sign with a certificate: see, add, delete. One set of views for projects and groups."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from gitlab.container_registry.signatures import certificates
from gitlab.container_registry.signatures import identities as services
from gitlab.container_registry.signatures.forms import SigningIdentityForm
from gitlab.container_registry.signatures.views.keys import FORM, frame, load, url_of_page
from gitlab.namespaces.models import Routable
from gitlab.namespaces.sidebars import url_of
from gitlab.refusals import NotFound
from gitlab.ui import form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_TITLE = "Signing identities"


def _load(request: HttpRequest, kind: str, path: str) -> Routable:
    """Raises `NotFound` where certificates are not checked at all."""
    if not certificates.is_set():
        raise NotFound("there is no trust root here")
    return load(request, kind, path)


@signed_in
@FORM
def index(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """The identities that are held, those of the groups above, and a form for another one."""
    owner = _load(request, kind, path)
    form = SigningIdentityForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = services.add_identity(person(request), owner, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, f"What {row} signs counts from now on.")
            return redirect(url_of_page(owner, "identities"))
    own = services.identities_of(request.user, owner)
    above = services.identities_above(request.user, owner)
    context = frame(request, owner, (_TITLE, "")) | {
        "form": form,
        "rows": [
            *({"held": row, "delete_url": _delete_url(owner, row.pk)} for row in own),
            *(
                {"held": row, "from": row.owner.full_path, "from_url": url_of(row.owner)}
                for row in above
            ),
        ],
        "keys_url": url_of_page(owner),
    }
    return render(request, "signatures/identities.html", context)


def _delete_url(owner: Routable, pk: int) -> str:
    return url_of_page(owner, "identity_delete", pk=pk)


@signed_in
@FORM
def delete(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """Asks first; then what it names counts no longer."""
    owner = _load(request, kind, path)
    row = services.get_identity_for(request.user, owner, pk)
    back = url_of_page(owner, "identities")
    if request.method == "POST":
        services.delete_identity(person(request), row)
        add_toast(request, f"The identity {row} is deleted.")
        return redirect(back)
    context: dict[str, Any] = frame(request, owner, (_TITLE, back), ("Delete", "")) | {
        "held": row,
        "here": request.path,
        "back": back,
    }
    return render(request, "signatures/identity_delete.html", context)
