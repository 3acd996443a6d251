"""Doing something to rows that were chosen: the question with their names, then the deed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from gitlab.admin_area import bulk
from gitlab.admin_area.bulk import Action, Outcome
from gitlab.admin_area.views.tables import named
from gitlab.ui.decorators import person
from gitlab.ui.toasts import add_toast

_TOLD = 5
"""Refusals that are told one by one."""


@dataclass(frozen=True)
class Chosen:
    """The rows that are chosen, how one is named in a form, and where one goes back to."""

    rows: Sequence[Any]
    names: Sequence[str]
    nouns: tuple[str, str]
    list_title: str
    back: str

    def counted(self) -> str:
        """``alice``, or ``3 people``."""
        if len(self.names) == 1:
            return self.names[0]
        return f"{len(self.names):,} {self.nouns[1]}"


def chosen_names(request: HttpRequest) -> list[str]:
    """What was chosen, at most `bulk.MOST`, each once."""
    given = request.POST if request.method == "POST" else request.GET
    names = (name.replace("\0", "")[:255] for name in given.getlist("selected"))
    return list(dict.fromkeys(names))[: bulk.MOST]


def act(request: HttpRequest, action: Action, chosen: Chosen) -> HttpResponse:
    """Ask; with ``confirmed`` do it, and go back."""
    if not chosen.rows:
        add_toast(request, f"Choose {chosen.nouns[1]} first.", tone="warn")
        return redirect(chosen.back)
    if request.method == "POST" and "confirmed" in request.POST:
        _tell(request, action, bulk.perform(person(request), action, chosen.rows))
        return redirect(chosen.back)
    what = chosen.counted()
    context = admin.site.each_context(request) | {
        "title": f"{action.of(what)}?",
        "crumbs": [(chosen.list_title, chosen.back)],
        "action": action,
        "verb": action.of(what),
        "named": named(chosen.names),
        "names": chosen.names,
        "here": request.path,
        "back": chosen.back,
    }
    return TemplateResponse(request, "admin/act.html", context)


def _tell(request: HttpRequest, action: Action, outcome: Outcome) -> None:
    if outcome.done:
        add_toast(request, f"{named(outcome.done)}: {action.done}.")
    for name, why in outcome.refused[:_TOLD]:
        add_toast(request, f"{name}: {why}", tone="bad")
    left = len(outcome.refused) - _TOLD
    if left > 0:
        add_toast(request, f"{left:,} more were refused.", tone="bad")
