"""The limiter's rows where nodes share a PostgreSQL database and no Redis.

Elsewhere the table stays empty: see `tokens.limiter_stores`.
"""

from __future__ import annotations

from django.db import models


class Arrival(models.Model):
    """When a key has been quiet again. `limiter_stores.DatabaseStore` reads and writes it."""

    key = models.CharField(max_length=250, primary_key=True)
    kind = models.CharField(max_length=50)
    at = models.FloatField(help_text="Seconds since the epoch.")
    step = models.FloatField(help_text="Seconds by which one more moves it.")
    period = models.FloatField(help_text="Seconds by which it may lie ahead.")

    class Meta:
        indexes = [models.Index(fields=["kind", "at"], name="arrival_by_time")]

    def __str__(self) -> str:
        return self.key
