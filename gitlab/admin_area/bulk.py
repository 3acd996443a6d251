"""What administrators do to several people or projects at once: each by its service, one by one.

What a service refuses stays as it was, and is told; the rest is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from gitlab.accounts import login_waits, sessions
from gitlab.accounts import services as accounts
from gitlab.accounts.factors import services as factors
from gitlab.accounts.password_resets import services as password_resets
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.models import Visibility
from gitlab.principals import Person

MOST = 100
"""Rows of one go."""


@dataclass(frozen=True)
class Action:
    """Something to do to a row: its button, what it means for whom, and what is said after it.

    `sentence` says it with ``{whom}`` where the verb alone does not lead there.
    `perform` takes the administrator and the row, and raises what its service refuses.
    """

    verb: str
    about: str
    done: str
    perform: Callable[[Person, Any], object]
    icon: str = ""
    danger: bool = True
    sentence: str = ""

    def of(self, whom: str) -> str:
        """What is done to whom: ``Block alice``, ``End all sessions of alice``."""
        return (self.sentence or f"{self.verb} {{whom}}").format(whom=whom)


@dataclass
class Outcome:
    """The names of those to which it was done, and of the others why it was not."""

    done: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def perform(by: Person, action: Action, rows: Iterable[Any]) -> Outcome:
    """Do it to each of the rows."""
    outcome = Outcome()
    for row in rows:
        try:
            action.perform(by, row)
        except ValidationError as error:
            outcome.refused.append((str(row), " ".join(error.messages)))
        except (PermissionDenied, Http404) as error:
            outcome.refused.append((str(row), str(error) or "It is not there any more."))
        else:
            outcome.done.append(str(row))
    return outcome


PEOPLE: Mapping[str, Action] = {
    "block": Action(
        "Block",
        "No sign-in, and none of their tokens works from the next request on. It can be taken back.",
        "blocked",
        lambda by, user: accounts.block(user, by=by),
        "ban",
    ),
    "unblock": Action(
        "Unblock",
        "They come in again, with the tokens that they had.",
        "unblocked",
        lambda by, user: accounts.unblock(user, by=by),
        "circle-check",
        danger=False,
    ),
    "deactivate": Action(
        "Deactivate",
        "Nothing of theirs works until they sign in to the pages again.",
        "deactivated",
        lambda by, user: accounts.deactivate(user, by=by),
        "moon",
    ),
    "activate": Action(
        "Activate",
        "What they have works again.",
        "active again",
        lambda by, user: accounts.activate(user, by=by),
        "circle-check",
        danger=False,
    ),
    "unlock": Action(
        "Lift the wait",
        "Failed logins count no more, at any address: they may try again at once.",
        "may try again",
        lambda by, user: login_waits.lift(user, by=by),
        "lock-open",
        danger=False,
        sentence="Lift the wait of {whom}",
    ),
    "reset": Action(
        "Send a reset link",
        "A mail with a link by which they set another password. It counts once, for an hour.",
        "get a link by mail",
        lambda by, user: password_resets.send_to(user, by=by),
        "key-round",
        danger=False,
        sentence="Send a reset link to {whom}",
    ),
    "end_sessions": Action(
        "End all sessions",
        "They are signed out everywhere. Access tokens go on working.",
        "signed out",
        lambda by, user: sessions.end_all(user, by=by),
        "log-out",
        sentence="End all sessions of {whom}",
    ),
    "remove_factors": Action(
        "Take all factors away",
        "For who has lost the device and the codes: the password alone signs in until they set up"
        " new ones. Their sessions end.",
        "without a second factor",
        lambda by, user: factors.remove_all(user, by=by),
        "shield",
        sentence="Take all factors away from {whom}",
    ),
    "delete": Action(
        "Delete",
        "With their tokens and memberships. What they did stays in the record. Who still has"
        " projects, or is the only owner of a group, is kept. It can't be undone.",
        "deleted",
        lambda by, user: accounts.delete_user(user, by=by),
        "trash-2",
    ),
}
"""By the last part of each one's address."""

PROJECTS: Mapping[str, Action] = {
    "archive": Action(
        "Archive",
        "Images are pulled, and neither pushed nor deleted. It can be taken back.",
        "archived",
        lambda by, project: namespaces.set_archived(by, project, archived=True),
        "box",
    ),
    "unarchive": Action(
        "Unarchive",
        "Images are pushed and deleted again by those who may.",
        "no longer archived",
        lambda by, project: namespaces.set_archived(by, project, archived=False),
        "package",
        danger=False,
    ),
    "make_private": Action(
        "Make private",
        "Only members see them; who pulled without a login, or as a colleague, gets nothing.",
        "private",
        lambda by, row: namespaces.update_project(by, row, visibility=Visibility.PRIVATE),
        "lock",
        sentence="Make {whom} private",
    ),
    "make_internal": Action(
        "Make internal",
        "Everybody who is signed in and not external sees them.",
        "internal",
        lambda by, row: namespaces.update_project(by, row, visibility=Visibility.INTERNAL),
        "shield",
        sentence="Make {whom} internal",
    ),
    "make_public": Action(
        "Make public",
        "The world sees them, and pulls their images without a login.",
        "public",
        lambda by, row: namespaces.update_project(by, row, visibility=Visibility.PUBLIC),
        "globe",
        sentence="Make {whom} public",
    ),
    "delete": Action(
        "Delete",
        "With all their images. They are hidden at once, and gone when the registry has deleted"
        " what is in them.",
        "being deleted",
        namespaces.delete_project,
        "trash-2",
    ),
}
"""By the last part of each one's address."""
