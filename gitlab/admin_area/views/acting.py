"""Doing something to rows that were chosen: the question with their names, then the deed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from gitlab.admin_area import bulk
from gitlab.admin_area.bulk import Action, Outcome
from gitlab.admin_area.views.tables import named
from gitlab.ui.decorators import person
from gitlab.ui.toasts import add_toast

_TOLD = 5
"""Refusals that are told one by one."""


@dataclass(frozen=True)
class Chosen:
    """The rows that are chosen, what each is called, and where one goes back to.

    `keys` are what the form sends again, where that is not their `names`.
    """

    rows: Sequence[Any]
    names: Sequence[str]
    nouns: tuple[str, str]
    list_title: str
    back: str
    keys: Sequence[str] = ()

    def counted(self) -> str:
        """``alice``, or ``3 people``."""
        if len(self.names) == 1:
            return self.names[0]
        return f"{len(self.names):,} {self.nouns[1]}"


def addressed(
    page: str,
    actions: Mapping[str, Action],
    keys: Iterable[str] | None = None,
    *,
    above: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Some of `actions` (default: all) with the address of each, for the buttons of a list.

    `above` is what that address has before the action's key.
    """
    return [
        {
            "key": key,
            "action": actions[key],
            "url": reverse(f"admin_area:{page}", args=[*above, key]),
        }
        for key in (actions if keys is None else keys)
    ]


def chosen_names(request: HttpRequest) -> list[str]:
    """What was chosen, at most `bulk.MOST`, each once."""
    given = request.POST if request.method == "POST" else request.GET
    names = (name.replace("\0", "")[:255] for name in given.getlist("selected"))
    return list(dict.fromkeys(names))[: bulk.MOST]


def chosen_ids(request: HttpRequest) -> list[int]:
    """The same where rows are chosen by their ids; what is none is left out."""
    names = chosen_names(request)
    return [int(name) for name in names if name.isascii() and name.isdecimal() and len(name) < 19]


def act(request: HttpRequest, action: Action, chosen: Chosen) -> HttpResponse:
    """Ask; with ``confirmed`` do it, and go back."""
    if not chosen.rows:
        add_toast(request, f"Choose {chosen.nouns[1]} first.", tone="warn")
        return redirect(chosen.back)
    if request.method == "POST" and "confirmed" in request.POST:
        rows = zip(chosen.names, chosen.rows, strict=True)
        _tell(request, action, bulk.perform(person(request), action, rows))
        return redirect(chosen.back)
    what = chosen.counted()
    context = admin.site.each_context(request) | {
        "title": f"{action.of(what)}?",
        "crumbs": [(chosen.list_title, chosen.back)],
        "action": action,
        "verb": action.of(what),
        "named": named(chosen.names),
        "keys": chosen.keys or chosen.names,
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
