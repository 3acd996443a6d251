"""What administrators do to several rows of a list at once: each by its service, one by one.

What a service refuses stays as it was, and is told; the rest is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from gitlab.access_tokens import deploy_tokens, job_tokens
from gitlab.access_tokens import services as access_tokens
from gitlab.access_tokens.models import DeployToken, PersonalAccessToken, Runner, Token
from gitlab.accounts import login_waits, sessions
from gitlab.accounts import services as accounts
from gitlab.accounts.factors import services as factors
from gitlab.accounts.password_resets import services as password_resets
from gitlab.accounts.sign_ups import services as sign_ups
from gitlab.container_registry import deletion
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.models import Namespace, Visibility
from gitlab.principals import Person
from gitlab.refusals import Conflict

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


def perform(by: Person, action: Action, rows: Iterable[tuple[str, Any]]) -> Outcome:
    """Do it to each of the rows, which come with what each is called."""
    outcome = Outcome()
    for name, row in rows:
        try:
            action.perform(by, row)
        except ValidationError as error:
            outcome.refused.append((name, " ".join(error.messages)))
        except (PermissionDenied, Http404) as error:
            outcome.refused.append((name, str(error) or "It is not there any more."))
        else:
            outcome.done.append(name)
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
    "approve": Action(
        "Approve",
        "They have registered, and may sign in from now on. A mail tells them.",
        "approved",
        lambda by, user: sign_ups.approve(user, by=by),
        "circle-check",
        danger=False,
    ),
    "reject": Action(
        "Reject",
        "They have registered, and their account is deleted. A mail tells them.",
        "rejected",
        lambda by, user: sign_ups.reject(user, by=by),
        "x",
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


_VISIBILITIES = (
    (
        Visibility.PRIVATE,
        "Only members see them; who pulled without a login, or as a colleague, gets nothing.",
        "lock",
    ),
    (Visibility.INTERNAL, "Everybody who is signed in and not external sees them.", "shield"),
    (Visibility.PUBLIC, "The world sees them, and pulls their images without a login.", "globe"),
)


def _visibilities(change: Callable[..., object]) -> dict[str, Action]:
    """The visibilities that a group or project can have, by `change` of it."""
    return {
        f"make_{wanted.value}": Action(
            f"Make {wanted.value}",
            words,
            wanted.value,
            partial(change, visibility=wanted),
            icon,
            sentence=f"Make {{whom}} {wanted.value}",
        )
        for wanted, words, icon in _VISIBILITIES
    }


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
    **_visibilities(namespaces.update_project),
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


def _require_factors(by: Person, group: Namespace, *, wanted: bool) -> None:
    namespaces.update_group(by, group, require_two_factor_authentication=wanted)


GROUPS: Mapping[str, Action] = {
    "require_factors": Action(
        "Require two factors",
        "Whoever belongs to them, or to what is in them, has to set up a second factor within the"
        " hours that each group gives.",
        "require two factors",
        lambda by, group: _require_factors(by, group, wanted=True),
        "fingerprint",
        sentence="Require two factors in {whom}",
    ),
    "no_factors": Action(
        "Require one factor",
        "The password alone is enough again, unless something else asks for more.",
        "require one factor",
        lambda by, group: _require_factors(by, group, wanted=False),
        "lock-open",
        sentence="Require one factor in {whom}",
    ),
    **_visibilities(namespaces.update_group),
    "delete": Action(
        "Delete",
        "With the groups in them. Who still has projects is kept: those are deleted first.",
        "being deleted",
        namespaces.delete_group,
        "trash-2",
    ),
}
"""By the last part of each one's address."""


def _retry(by: Person, image: ContainerRepository) -> None:
    if not deletion.retry(by, ContainerRepository.objects.filter(pk=image.pk)):
        raise Conflict({"__all__": "Its deletion has not failed."})


def _keep(by: Person, image: ContainerRepository) -> None:
    if image.status is None:
        raise Conflict({"__all__": "Nobody wants it deleted."})
    if image.project.is_pending_delete:
        raise Conflict({"__all__": "Its project is being deleted."})
    deletion.take_back(by, image.project, image.pk)


IMAGES: Mapping[str, Action] = {
    "retry": Action(
        "Try again",
        "Deletions that have failed are queued once more.",
        "queued again",
        _retry,
        "refresh-cw",
        danger=False,
        sentence="Try the deletion of {whom} again",
    ),
    "keep": Action(
        "Keep",
        "What waits to be deleted, or could not be, stays with all that is still in it.",
        "kept",
        _keep,
        "undo-2",
        danger=False,
    ),
    "delete": Action(
        "Delete",
        "With all tags and manifests, as a job. Its project's page of what was deleted brings one"
        " back while the undo window lasts.",
        "deletion scheduled",
        deletion.schedule,
        "trash-2",
    ),
}
"""By the last part of each one's address."""

_REVOKES: Mapping[type[Token], Callable[[Person, Any], object]] = {
    PersonalAccessToken: access_tokens.revoke,
    DeployToken: deploy_tokens.revoke,
    Runner: job_tokens.revoke_runner,
}

TOKENS: Mapping[str, Action] = {
    "revoke": Action(
        "Revoke",
        "They are refused from the next request on, and registry tokens that came of them end. It"
        " can't be undone.",
        "revoked",
        lambda by, token: _REVOKES[type(token)](by, token),
        "ban",
    ),
}
"""By the last part of each one's address."""
