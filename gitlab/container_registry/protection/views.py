"""The rules of a project or group: see, make, change, delete. One set of views for both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from gitlab.container_registry.protection import preview, services
from gitlab.container_registry.protection.forms import RepositoryRuleForm, TagRuleForm
from gitlab.container_registry.protection.models import Level, RepositoryRule, TagRule
from gitlab.container_registry.protection.preview import Matches
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import Crumb, group_frame, project_frame, url_of
from gitlab.principals import Anybody
from gitlab.refusals import NotFound
from gitlab.ui import form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_TITLE = "Protection"
_FORM = require_http_methods(["GET", "HEAD", "POST"])


class _Kind(NamedTuple):
    """What the pages of one kind of rules differ in; `of` is its word in addresses."""

    of: str
    model: Any
    form: type[TagRuleForm] | type[RepositoryRuleForm]
    create: Callable[..., Any]
    matching: Callable[[Anybody, Routable, str], Matches]
    new: str


_KINDS = {
    "tags": _Kind(
        "tags",
        TagRule,
        TagRuleForm,
        services.create_tag_rule,
        preview.tags_matching,
        "Protect tags",
    ),
    "images": _Kind(
        "images",
        RepositoryRule,
        RepositoryRuleForm,
        services.create_repository_rule,
        preview.images_matching,
        "Protect images",
    ),
}


def _kind(of: str) -> _Kind:
    if of not in _KINDS:
        raise NotFound("no such kind of rule")
    return _KINDS[of]


def _load(request: HttpRequest, kind: str, path: str) -> Routable:
    owner: Routable
    if kind == "project":
        owner = loaders.get_project_for(request.user, path, Ability.ADMIN_PROJECT)
    else:
        owner = loaders.get_group_for(request.user, path, Ability.ADMIN_GROUP)
    return owner


def _url(owner: Routable, page: str, **more: Any) -> str:
    noun = "project" if isinstance(owner, Project) else "group"
    return reverse(f"protection:{noun}_{page}", kwargs={"path": owner.full_path, **more})


def _frame(request: HttpRequest, owner: Routable, *more: Crumb) -> dict[str, Any]:
    crumbs: list[Crumb] = [(_TITLE, _url(owner, "index") if more else ""), *more]
    about: dict[str, Any]
    if isinstance(owner, Project):
        about = project_frame(owner, request.user, "protection", *crumbs)
    else:
        about = group_frame(owner, request.user, "protection", *crumbs)
    noun = "project" if isinstance(owner, Project) else "group"
    return {**about, "full_path": owner.full_path, "noun": noun}


@require_safe
@signed_in
def index(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """The rules of both kinds, with those of the groups above, which hold here too."""
    owner = _load(request, kind, path)
    context = _frame(request, owner)
    for each in _KINDS.values():
        own = services.rules_of(request.user, owner, each.model)
        above = services.inherited_by(request.user, owner, each.model)
        context[each.of] = {
            "rows": [*_rows(owner, each, own), *_rows(owner, each, above)],
            "new_url": _url(owner, "new", of=each.of),
            "new": each.new,
        }
    return render(request, "protection/index.html", context)


def _rows(
    owner: Routable, kind: _Kind, rules: Iterable[TagRule | RepositoryRule]
) -> list[dict[str, Any]]:
    rows = []
    for rule in rules:
        is_own = rule.owner == owner
        urls = (
            {page: _url(owner, page, of=kind.of, pk=rule.pk) for page in ("edit", "delete")}
            if is_own
            else {}
        )
        rows.append(
            {
                "pattern": str(rule),
                "immutable": isinstance(rule, TagRule) and rule.is_immutable,
                "push": _who(rule.minimum_access_level_for_push),
                "delete": _who(rule.minimum_access_level_for_delete),
                "from": "" if is_own else rule.owner.full_path,
                "from_url": "" if is_own else url_of(rule.owner),
                "urls": urls,
            }
        )
    return rows


def _who(level: int | None) -> str:
    return Level(level).label if level else ""


@signed_in
@_FORM
def new(request: HttpRequest, kind: str, path: str, of: str) -> HttpResponse:
    """A new rule."""
    owner, about = _load(request, kind, path), _kind(of)

    def save(**chosen: Any) -> Any:
        return about.create(person(request), owner, **chosen)

    initial = {RepositoryRuleForm.pattern: f"{owner.full_path}/*"} if of == "images" else {}
    return _edit(request, owner, about, about.new, initial, save)


@signed_in
@_FORM
def edit(request: HttpRequest, kind: str, path: str, of: str, pk: int) -> HttpResponse:
    """A rule as it is, to be changed."""
    owner, about = _load(request, kind, path), _kind(of)
    rule = services.get_for(request.user, owner, about.model, pk)

    def save(**chosen: Any) -> Any:
        return services.update(person(request), rule, **chosen)

    return _edit(request, owner, about, str(rule), about.form.initial_of(rule), save)


def _edit(
    request: HttpRequest,
    owner: Routable,
    about: _Kind,
    title: str,
    initial: dict[str, Any],
    save: Callable[..., Any],
) -> HttpResponse:
    """The form of a rule; with ``preview`` a POST shows what it matches and saves nothing."""
    back = _url(owner, "index")
    form = about.form(request.POST or None, initial=initial)
    is_preview = "preview" in request.POST
    if request.method == "POST" and not is_preview and form.is_valid():
        try:
            rule = save(**form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, f"The rule {rule} holds from now on.")
            return redirect(back)
    name = about.form.pattern
    pattern = str((request.POST or initial).get(name, "")).strip()
    matches = about.matching(request.user, owner, pattern[:255]) if pattern else None
    context = _frame(request, owner, (title, "")) | {
        "form": form,
        "pattern": form[name],
        "kind": about,
        "title": title,
        "back": back,
        "matches": matches,
        "matches_url": _url(owner, "matches", of=about.of),
    }
    return render(request, "protection/edit.html", context)


@require_safe
@signed_in
def matches(request: HttpRequest, kind: str, path: str, of: str) -> HttpResponse:
    """What a pattern matches now, as a part of the form, while somebody types it."""
    owner, about = _load(request, kind, path), _kind(of)
    pattern = request.GET.get(about.form.pattern, "").strip()[:255]
    found = about.matching(request.user, owner, pattern) if pattern else None
    return render(request, "protection/_matches.html", {"matches": found})


@signed_in
@_FORM
def delete(request: HttpRequest, kind: str, path: str, of: str, pk: int) -> HttpResponse:
    """Asks first; then the rule holds no longer."""
    owner, about = _load(request, kind, path), _kind(of)
    rule = services.get_for(request.user, owner, about.model, pk)
    back = _url(owner, "index")
    if request.method == "POST":
        services.delete(person(request), rule)
        add_toast(request, f"The rule {rule} is deleted.")
        return redirect(back)
    context = _frame(request, owner, ("Delete", "")) | {
        "rule": str(rule),
        "what": about.of,
        "here": request.path,
        "back": back,
    }
    return render(request, "protection/delete.html", context)
