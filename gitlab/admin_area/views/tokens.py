"""Tokens of everybody: found by how they stand, and revoked, several at once. None is shown."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from gitlab.access_tokens.models import DeployToken, PersonalAccessToken, Runner, Token
from gitlab.admin_area import bulk, tokens
from gitlab.admin_area.tokens import KINDS, Kind
from gitlab.admin_area.views.acting import Chosen, act, addressed, chosen_ids
from gitlab.admin_area.views.tables import asked, table
from gitlab.namespaces.models import AccessLevel, Project, Routable
from gitlab.namespaces.sidebars import url_of
from gitlab.namespaces.views.listing import Orders

_ORDERS: Orders = {"created_at": ("id",)}
"""By when they were made, which is the order of their ids."""

_ENDING: Orders = {**_ORDERS, "expires_at": ("expires_at", "id")}
"""Of those alone that have an end: what has none has no place in that order."""


@dataclass(frozen=True)
class Row:
    """A token, whose it is and how it stands. `url` is the page on which it stands: "" for a
    person's own, which nobody else has.
    """

    token: Token
    owner: str
    owner_url: str
    about: str
    state: str
    url: str


@require_safe
def index(request: HttpRequest, kind: str) -> HttpResponse:
    """Tokens of a kind, by pages; those chosen are revoked at once."""
    found = _kind(kind)
    filters = {name: asked(request, name) for name in ("state", "owner")}
    rows = tokens.tokens(found, search=asked(request, "q"), **filters)
    all_end = found.ends and filters["state"] in ("soon", "ended")
    usual = "expires_at" if all_end and filters["state"] == "soon" else "-created_at"
    around = table(request, rows, _ENDING if all_end else _ORDERS, found.nouns, usual=usual)
    context = admin.site.each_context(request) | {
        "title": found.title,
        "crumbs": [("Tokens", reverse("admin_area:tokens"))],
        "kind": found,
        "all_end": all_end,
        "export_url": f"{reverse('record:inventory', args=[found.inventory])}?format=csv",
        "tabs": _tabs(kind),
        "here": reverse("admin_area:tokens_of", args=[kind]),
        "states": [("", "Any state"), *found.states],
        "owners": [("", "Anybody's"), *found.owners] if found.owners else [],
        "is_filtered": any(filters.values()) or bool(asked(request, "q")),
        "actions": addressed("tokens_act", bulk.TOKENS, above=[kind]),
        **around,
        "rows": [_row(token) for token in around["rows"]],
    }
    return TemplateResponse(request, "admin/tokens.html", context)


def _kind(kind: str) -> Kind:
    found = KINDS.get(kind)
    if found is None:
        raise Http404
    return found


def _tabs(active: str) -> list[dict[str, object]]:
    return [
        {
            "label": kind.title,
            "url": reverse("admin_area:tokens_of", args=[key]),
            "active": key == active,
        }
        for key, kind in KINDS.items()
    ]


def _row(token: Token) -> Row:
    state = tokens.state_of(token)
    if isinstance(token, PersonalAccessToken):
        if token.owner is None:
            person = reverse("admin_area:person", args=[token.user.username])
            return Row(token, token.user.username, person, "Person", state, "")
        role = AccessLevel(token.access_level or 0).label
        return _of_routable(token, token.owner, state, "access_tokens", role)
    if isinstance(token, DeployToken):
        return _of_routable(token, token.owner, state, "deploy_tokens", token.username)
    assert isinstance(token, Runner)
    by = f"registered by {token.created_by.get_username()}"
    return _of_routable(token, token.project, state, "runners", by)


def _of_routable(token: Token, owner: Routable, state: str, page: str, more: str) -> Row:
    """The row of a token of a project or group; while that is being deleted it has no pages."""
    kind = "project" if isinstance(owner, Project) else "group"
    about = f"{kind.capitalize()}, {more}"
    if owner.pending_delete_at is not None:
        return Row(token, owner.full_path, "", about, state, "")
    url = reverse(f"access_tokens:{kind}_{page}", kwargs={"path": owner.full_path})
    return Row(token, owner.full_path, url_of(owner), about, state, url)


@require_http_methods(["GET", "HEAD", "POST"])
def acting(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Asks about those chosen, then does it."""
    found, action = _kind(kind), bulk.TOKENS.get(key)
    if action is None:
        raise Http404
    there = tokens.tokens(found).filter(revoked_at__isnull=True)
    rows = list(there.filter(pk__in=chosen_ids(request)).order_by("pk"))
    names = [f"{row.name} of {_row(row).owner}" for row in rows]
    back = reverse("admin_area:tokens_of", args=[kind])
    keys = [str(row.pk) for row in rows]
    return act(request, action, Chosen(rows, names, found.nouns, found.title, back, keys))
