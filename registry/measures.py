"""What the registry's database says of its queues, for those who watch over them."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone

from registry.models import Review, UploadSession

Measure = tuple[str, str, dict[str, str], float]


def measures() -> Iterator[Measure]:
    """Reviews that wait and that are due, the age of the longest due, uploads that are open."""
    now = timezone.now()
    waiting = Review.objects.aggregate(n=Count("id"))["n"]
    due = Review.objects.filter(due_at__lte=now).aggregate(n=Count("id"), first=Min("due_at"))
    late = (now - due["first"]).total_seconds() if due["first"] else 0.0
    yield "berth_reviews_waiting", "Reviews of possible garbage in the queue.", {}, waiting
    yield "berth_reviews_due", "Reviews whose time has come.", {}, due["n"]
    yield "berth_reviews_late_seconds", "For how long the first has been due.", {}, late
    open_uploads = UploadSession.objects.filter(committed_digest="", expires_at__gt=now).count()
    yield "berth_uploads_open", "Upload sessions that are not finished.", {}, open_uploads
