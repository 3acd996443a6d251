"""Who has not been here for long: noted once a day, deactivated by a job where the settings say so.

Deactivated people come back by signing in to the pages: see `sign_in`.
"""

from __future__ import annotations

import datetime as dt
import logging

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from gitlab.accounts import services
from gitlab.accounts.models import User, today
from gitlab.refusals import Invalid

log = logging.getLogger(__name__)

MOST = 500
"""People at a time. Who is left is for the next time."""


def note(pk: int) -> None:
    """Somebody is here. Costs a question at most where it is noted already; call it seldom."""
    day = today()
    User.objects.filter(pk=pk).exclude(last_activity_on__gte=day).update(last_activity_on=day)


def _silent() -> Q | None:
    """Who has been silent for too long; None where that is no matter."""
    period: dt.timedelta = settings.DEACTIVATE_DORMANT_AFTER
    if not period:
        return None
    before = timezone.now() - period
    return Q(state=User.State.ACTIVE, user_type=User.Type.HUMAN, created_at__lt=before) & (
        Q(last_activity_on__lt=before.date()) | Q(last_activity_on__isnull=True)
    )


def sweep() -> int:
    """Deactivate who has been silent for too long; how many. May run at any time and twice."""
    silent = _silent()
    if silent is None:
        return 0
    rows = User.objects.filter(silent).order_by("last_activity_on", "pk")
    return sum(_rest(pk, silent) for pk in list(rows.values_list("pk", flat=True)[:MOST]))


@transaction.atomic
def _rest(pk: int, silent: Q) -> bool:
    """Whether they were still silent, and rest now."""
    user = User.objects.select_for_update().filter(silent, pk=pk).first()
    if user is None:
        return False
    since = user.last_activity_on
    try:
        services.deactivate(user, by=None, reason=f"no activity since {since or 'they came'}")
    except Invalid:
        log.info("%s stays active: the last administrator", user.username)
        return False
    return True
