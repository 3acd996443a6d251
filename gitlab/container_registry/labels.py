"""How pages name what a registry's records name by the subject of its token.

Of people that is the user name. A bot's says little; a deploy token's and a trust's are numbers.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from gitlab.access_tokens.models import DeployToken, default_username
from gitlab.accounts.models import User
from gitlab.trusted_issuers import checking
from gitlab.trusted_issuers.models import TrustedIssuer, username_of

Record = TypeVar("Record", bound=Any)

_BOT = re.compile(r"(?:project|group)_\d+_bot_[0-9a-f]{32}")
_DEPLOY_TOKEN = re.compile(r"gitlab\+deploy-token-(\d{1,18})")


def labels(subjects: Iterable[str]) -> dict[str, str]:
    """The label of each subject that has one. No query where all are people's, three at most."""
    asked = set(subjects)
    names = [subject for subject in asked if _BOT.fullmatch(subject)]
    ids = [int(m[1]) for subject in asked if (m := _DEPLOY_TOKEN.fullmatch(subject))]
    found: dict[str, str] = {}
    if names:
        bots = User.objects.filter(username__in=names, user_type=User.Type.PROJECT_BOT)
        found |= {bot.username: bot.label for bot in bots}
    if ids:
        tokens = DeployToken.objects.filter(pk__in=ids).values_list("pk", "name")
        found |= {default_username(pk): f"deploy token {name}" for pk, name in tokens}
    return found | _labels_of_trusts(asked)


def _labels_of_trusts(subjects: Iterable[str]) -> dict[str, str]:
    ids = [pk for subject in subjects if (pk := checking.named(subject)) is not None]
    if not ids:
        return {}
    trusts = TrustedIssuer.objects.filter(pk__in=ids).select_related("project", "namespace")
    return {username_of(one.pk): checking.row_of(one).label for one in trusts}


def labelled(records: Sequence[Record], *fields: str) -> list[Record]:
    """Copies of dataclasses whose `fields` are subjects, with the labels in their place."""
    known = labels(getattr(record, field) for record in records for field in fields)
    if not known:
        return list(records)
    return [
        dataclasses.replace(
            record,
            **{
                field: known.get(getattr(record, field), getattr(record, field)) for field in fields
            },
        )
        for record in records
    ]
