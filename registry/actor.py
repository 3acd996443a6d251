"""Who does something, as far as the registry knows: what the token says and nothing more."""

from __future__ import annotations

from dataclasses import dataclass

from registry.quotas import NO_QUOTAS, Quotas
from registry.services.protection import NO_RULES, TagRules


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is the token's subject, empty for GitLab's own jobs and for nobody.

    `user` is what GitLab put into the token for itself; it goes back with the events, unread.
    `since` is when the token was issued, in seconds since the epoch: what the token says was right
    then. None where nobody's token is behind it.
    `project_id` is GitLab's id of the project for whose image the token is; None where it does not
    say. See `Caller.acting_in`.
    `rules` are those of the token about the tags of that image, `quotas` what it limits.
    `cause` is what GitLab's side calls the job that acts, "" where it says none: what is collected
    because of it is told by that word.
    """

    name: str = ""
    user: str = ""
    since: float | None = None
    project_id: int | None = None
    rules: TagRules = NO_RULES
    quotas: Quotas = NO_QUOTAS
    cause: str = ""
