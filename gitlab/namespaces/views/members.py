"""Members of a project or group: who, with which role, from where. One set of views for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from gitlab.namespaces import group_links, loaders, members, user_access
from gitlab.namespaces.forms import MemberForm, NewMemberForm
from gitlab.namespaces.members import Membership
from gitlab.namespaces.models import AccessLevel, Member, Namespace, Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import Crumb, group_frame, project_frame, url_of
from gitlab.namespaces.views.listing import Orders, around, page_of, search_of, sort_of
from gitlab.principals import Person
from gitlab.refusals import Forbidden, NotFound
from gitlab.ui import form_errors
from gitlab.ui.decorators import or_sign_in, person, signed_in
from gitlab.ui.toasts import add_toast

_SHOWN = 50
_ORDERS: Orders = {"username": ("username",), "level": ("level", "username")}
_FORM = require_http_methods(["GET", "HEAD", "POST"])


@dataclass(frozen=True)
class Line:
    """A row of the table of members."""

    member: Membership
    source_url: str
    edit_url: str = ""
    remove_url: str = ""
    is_oneself: bool = False


def load(request: HttpRequest, kind: str, path: str, ability: Ability) -> Project | Namespace:
    """The project or group, for somebody who may do `ability`. Raises `NotFound`, `Forbidden`."""
    if kind == "project":
        return loaders.get_project_for(request.user, path, ability)
    return loaders.get_group_for(request.user, path, ability)


def address(routable: Routable, page: str = "", user: Person | None = None) -> str:
    kind = "project" if isinstance(routable, Project) else "group"
    name = f"namespaces:{kind}_member_{page}" if page else f"namespaces:{kind}_members"
    kwargs = {"path": routable.full_path} | ({"username": user.username} if user else {})
    return reverse(name, kwargs=kwargs)


def frame(request: HttpRequest, routable: Routable, *more: Crumb) -> dict[str, Any]:
    members_crumb = ("Members", address(routable) if more else "")
    if isinstance(routable, Project):
        return project_frame(routable, request.user, "members", members_crumb, *more)
    return group_frame(routable, request.user, "members", members_crumb, *more)


def highest_role(user: Person, routable: Routable) -> int:
    """The highest role that somebody may give here."""
    if user.is_superuser:
        return AccessLevel.OWNER
    if isinstance(routable, Project):
        return user_access.in_project(user, routable).level
    return user_access.in_namespace(user, routable).level


@or_sign_in
@_FORM
def index(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """Everybody who belongs here, by pages; those who may manage members add one above."""
    adding = request.method == "POST"
    needed = Ability.ADMIN_MEMBERS if adding else Ability.READ_MEMBERS
    routable = load(request, kind, path, needed)
    manages = Ability.ADMIN_MEMBERS in routable.abilities
    context = frame(request, routable)
    if manages:
        form = NewMemberForm(
            person(request),
            highest_role(person(request), routable),
            request.POST or None,
            initial={"access_level": AccessLevel.DEVELOPER},
        )
        if adding and form.is_valid() and _add(request, routable, form):
            return redirect(address(routable))
        context["form"] = form
    people = members.people_of(routable, search=search_of(request))
    by_level = sort_of(request, _ORDERS).endswith("level")
    rows = members.with_levels(people, routable) if by_level else people
    page = page_of(request, rows, _ORDERS, limit=_SHOWN)
    places = {user.pk: place for place, user in enumerate(page.rows)}
    shown = members.members_of(routable, among=places)
    shown.sort(key=lambda one: places[one.user.pk])
    context |= {
        "lines": [_line(request, routable, one, manages) for one in shown],
        "invited": _invited_groups(request, routable, manages),
        "invite_url": reverse(f"namespaces:{kind}_link_new", kwargs={"path": path}),
        **around(request, people, page, "member", _ORDERS),
        "noun": kind,
        "manages": manages,
    }
    return render(request, "namespaces/members.html", context)


def _add(request: HttpRequest, routable: Routable, form: NewMemberForm) -> bool:
    try:
        member = members.add_member(person(request), routable, **form.cleaned_data)
    except ValidationError as error:
        form_errors.show(form, error)
        return False
    role = AccessLevel(member.access_level).label
    add_toast(request, f"{member.user.name} is now {role} of {routable.full_path}.")
    return True


def _invited_groups(
    request: HttpRequest, routable: Routable, manages: bool
) -> list[dict[str, Any]]:
    """The groups that are invited here, as far as the reader may see them."""
    kind = "project" if isinstance(routable, Project) else "group"
    return [
        {
            "link": link,
            "url": url_of(link.group),
            "remove_url": manages
            and reverse(
                f"namespaces:{kind}_link_remove",
                kwargs={"path": routable.full_path, "pk": link.pk},
            ),
        }
        for link in group_links.links_of(request.user, routable)
    ]


def _line(request: HttpRequest, routable: Routable, one: Membership, manages: bool) -> Line:
    oneself = one.user == request.user
    direct = one.member is not None and not one.is_inherited and not one.user.is_bot
    return Line(
        one,
        url_of(one.source),
        address(routable, "edit", one.user) if direct and manages else "",
        address(routable, "remove", one.user) if direct and (manages or oneself) else "",
        oneself,
    )


def _member(routable: Routable, username: str) -> Member:
    """The direct membership of a name. Raises `NotFound`."""
    found = routable.members.select_related("user").filter(user__username=username).first()
    if found is None:
        raise NotFound("not a member")
    return found


@signed_in
@_FORM
def edit(request: HttpRequest, kind: str, path: str, username: str) -> HttpResponse:
    """Another role, another last day."""
    user = person(request)
    routable = load(request, kind, path, Ability.ADMIN_MEMBERS)
    member = _member(routable, username)
    highest = highest_role(user, routable)
    if member.access_level > highest:
        raise Forbidden("You can't change somebody above you.")
    initial = {"access_level": member.access_level, "expires_at": member.expires_at}
    form = MemberForm(highest, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            members.update_member(user, routable, member.user, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            role = AccessLevel(form.cleaned_data["access_level"]).label
            add_toast(request, f"{member.user.name} is now {role} of {routable.full_path}.")
            return redirect(address(routable))
    context = frame(request, routable, (member.user.username, "")) | {
        "form": form,
        "member": member,
        "full_path": routable.full_path,
        "noun": kind,
        "here": request.path,
        "back": address(routable),
    }
    return render(request, "namespaces/member_edit.html", context)


@signed_in
@_FORM
def remove(request: HttpRequest, kind: str, path: str, username: str) -> HttpResponse:
    """Asks, then ends a membership: somebody's, or one's own."""
    user = person(request)
    leaving = username == user.username
    needed = Ability.READ_MEMBERS if leaving else Ability.ADMIN_MEMBERS
    routable = load(request, kind, path, needed)
    member = _member(routable, username)
    trouble = ""
    if request.method == "POST":
        try:
            members.remove_member(user, routable, member.user)
        except ValidationError as error:
            trouble = " ".join(error.messages)
        else:
            return _gone(request, routable, member.user, leaving)
    verb = "Leave" if leaving else "Remove"
    name = routable.full_path if leaving else member.user.name
    context = frame(request, routable, (verb, "")) | {
        "member": member,
        "leaving": leaving,
        "trouble": trouble,
        "title": f"Leave {name}?" if leaving else f"Remove {name} from {routable.full_path}?",
        "verb": f"{verb} {routable.path if leaving else name}",
        "full_path": routable.full_path,
        "noun": kind,
        "here": request.path,
        "back": address(routable),
    }
    return render(request, "namespaces/member_remove.html", context)


def _gone(request: HttpRequest, routable: Routable, user: Person, leaving: bool) -> HttpResponse:
    if not leaving:
        add_toast(request, f"{user.name} is no longer a member of {routable.full_path}.")
        return redirect(address(routable))
    add_toast(request, f"You have left {routable.full_path}.")
    return redirect("home")
