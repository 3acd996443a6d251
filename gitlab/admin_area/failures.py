"""What somebody should look at: counts with the pages that say more, each on an index."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils import timezone

from gitlab.accounts.models import LoginWait, User
from gitlab.audit.models import Denial
from gitlab.container_registry.cleanup.models import CleanupRun
from gitlab.container_registry.models import BulkTagDeletion, ContainerRepository
from gitlab.mail.models import Message
from gitlab.namespaces.models import PathChange

RECENT = dt.timedelta(days=7)
_STUCK = dt.timedelta(minutes=15)
"""After which a rename or transfer under way is worth a look."""


@dataclass(frozen=True)
class Failure:
    """A kind of trouble: how many of it, in words, and where they are listed."""

    count: int
    text: str
    url: str
    tone: str = "bad"


def _listed(model: str, query: str = "") -> str:
    return reverse(f"admin:{model}_changelist") + query


def questions() -> dict[str, QuerySet[Any]]:
    """What is counted for `failures`, by name."""
    now = timezone.now()
    since = now - RECENT
    runs, bulk, mails = CleanupRun.Status, BulkTagDeletion.Status, Message.Status
    waits = LoginWait.objects.filter(user_id=OuterRef("pk"), until__gt=now)
    return {
        "approvals": User.objects.filter(state=User.State.PENDING),
        "images": ContainerRepository.objects.filter(
            status=ContainerRepository.Status.DELETE_FAILED
        ),
        "cleanups": CleanupRun.objects.filter(finished_at__gte=since, status=runs.FAILED),
        "bulk": BulkTagDeletion.objects.filter(finished_at__gte=since, status=bulk.FAILED),
        "renames": PathChange.objects.filter(started_at__lt=now - _STUCK),
        "mails": Message.objects.filter(done_at__gte=since, status=mails.FAILED),
        "waits": User.objects.filter(Exists(waits)),
        "denials": Denial.objects.filter(last_at__gte=now - dt.timedelta(days=1)),
    }


def failures(counts: Mapping[str, int]) -> list[Failure]:
    """Those there are, of the counts of `questions`; an empty list where nobody needs to look."""
    failed = "?status__exact=failed"
    found = [
        Failure(
            counts["approvals"],
            "account{s} waiting for approval: nobody can sign in with one before",
            f"{reverse('admin_area:people')}?state={User.State.PENDING}",
            "warn",
        ),
        Failure(
            counts["images"],
            "image{s} could not be deleted; nobody tries again until somebody says so",
            f"{reverse('admin_area:images')}?state={ContainerRepository.Status.DELETE_FAILED}",
        ),
        Failure(
            counts["cleanups"],
            "cleanup{s} failed within a week",
            _listed("cleanup_cleanuprun", failed),
        ),
        Failure(
            counts["bulk"],
            "deletion{s} of tags failed within a week",
            _listed("container_registry_bulktagdeletion", failed),
        ),
        Failure(
            counts["renames"],
            "rename{s} or transfer{s} under way for more than a quarter of an hour",
            "",
        ),
        Failure(
            counts["mails"],
            "mail{s} could not be sent within a week",
            reverse("admin_area:mail"),
            "warn",
        ),
        Failure(
            counts["waits"],
            "{people} to wait after failed logins",
            f"{reverse('admin_area:people')}?state=waiting",
            "warn",
        ),
        Failure(
            counts["denials"],
            "denial{s} of logins and pushes within a day",
            reverse("record:denials"),
            "info",
        ),
    ]
    return [_in_words(failure) for failure in found if failure.count]


def _in_words(failure: Failure) -> Failure:
    """With nouns and verbs in the number that there are."""
    one = failure.count == 1
    people = "person has" if one else "people have"
    text = failure.text.format(s="" if one else "s", people=people)
    return Failure(failure.count, f"{failure.count:,} {text}", failure.url, failure.tone)
