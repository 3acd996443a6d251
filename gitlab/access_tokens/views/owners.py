"""What the pages of a project's and a group's tokens have in common."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from gitlab.namespaces import loaders
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import Crumb, group_frame, project_frame

SHOWN = 200
"""Tokens on a page. Nobody reads more; the newest are the ones that matter."""


def load(request: HttpRequest, kind: str, path: str, ability: Ability) -> Routable:
    """The project or group, for somebody who may do `ability`. Raises `NotFound`, `Forbidden`."""
    if kind == "project":
        return loaders.get_project_for(request.user, path, ability)
    return loaders.get_group_for(request.user, path, ability)


def noun(owner: Routable) -> str:
    """What the owner is, in a word."""
    return "project" if isinstance(owner, Project) else "group"


def url(owner: Routable, page: str, **kwargs: Any) -> str:
    """The address of one of these pages: ``deploy_tokens``, ``deploy_token_new`` …"""
    name = f"access_tokens:{noun(owner)}_{page}"
    return reverse(name, kwargs={"path": owner.full_path, **kwargs})


def frame(request: HttpRequest, owner: Routable, active: str, *crumbs: Crumb) -> dict[str, Any]:
    """The context of one of these pages; `active` is the link in the sidebar."""
    about: dict[str, Any]
    if isinstance(owner, Project):
        about = project_frame(owner, request.user, active, *crumbs)
    else:
        about = group_frame(owner, request.user, active, *crumbs)
    return {**about, "noun": noun(owner), "full_path": owner.full_path}


def state_tabs(here: str, *, inactive: bool) -> list[dict[str, Any]]:
    """The tokens that work, and the others."""
    return [
        {"label": "Active", "url": here, "active": not inactive},
        {"label": "Inactive", "url": f"{here}?state=inactive", "active": inactive},
    ]
