"""Finding events: by who, what, to what, from where, by which credential, when."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from gitlab.audit.models import AuditEvent

ORDER = ("-at", "-id")
"""The newest first, as indexes have them."""


@dataclass(frozen=True)
class Filter:
    """What is looked for; "" and None are everything.

    `action` is a whole one, or a noun and a point for all of its (``tag.``). `target` is a path,
    with what is below it. `after` and `before` are moments.
    """

    actor: str = ""
    action: str = ""
    target: str = ""
    address: str = ""
    credential: str = ""
    request_id: str = ""
    after: dt.datetime | None = None
    before: dt.datetime | None = None

    @property
    def by_origin(self) -> bool:
        """Whether it looks for where something was done from."""
        return bool(self.address or self.credential or self.request_id)

    def of(self, rows: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        """Those of `rows` that fit."""
        exact = {
            "actor_name": self.actor,
            "address": self.address,
            "credential": self.credential,
            "request_id": self.request_id,
        }
        rows = rows.filter(**{column: value for column, value in exact.items() if value})
        if self.action:
            how = "action__startswith" if self.action.endswith(".") else "action"
            rows = rows.filter(**{how: self.action})
        if self.target:
            path = self.target.rstrip("/")
            rows = rows.filter(Q(target_path=path) | Q(target_path__startswith=f"{path}/"))
        times = {"at__gte": self.after, "at__lt": self.before}
        return rows.filter(**{column: value for column, value in times.items() if value})
