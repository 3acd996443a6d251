"""The tags that are there get what they are sorted by, in batches, and then the indexes."""

import re
from typing import Any

from django.db import migrations, models, transaction

_BATCH = 1000
_NUMBER = re.compile(r"[0-9]+")
_NEXT = """
SELECT id, name FROM registry_tag WHERE id > %s AND ended_at IS NULL ORDER BY id LIMIT %s
"""
_FILL = """
UPDATE registry_tag SET sort_key = %s, dated_at = COALESCE(
    (SELECT m.image_created_at FROM registry_manifest m WHERE m.id = registry_tag.manifest_id),
    started_at
) WHERE id = %s
"""


def _sort_key(name: str) -> str:
    """As `registry.tag_order` had it when this was written."""

    def with_length(number: re.Match[str]) -> str:
        digits = number[0].lstrip("0") or "0"
        return f"{len(digits):02x}{digits}"

    return _NUMBER.sub(with_length, name)


def fill(apps: Any, schema_editor: Any) -> None:
    """Each batch is a transaction of its own, so that nobody waits long; twice is once."""
    connection, last = schema_editor.connection, 0
    while True:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(_NEXT, [last, _BATCH])
            rows = cursor.fetchall()
            if not rows:
                return
            cursor.executemany(_FILL, [(_sort_key(name), pk) for pk, name in rows])
            last = rows[-1][0]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("registry", "0018_tag_orders"),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="tag",
            index=models.Index(
                condition=models.Q(("ended_at", None)),
                fields=["repository", "sort_key", "name"],
                name="tag_version",
            ),
        ),
        migrations.AddIndex(
            model_name="tag",
            index=models.Index(
                condition=models.Q(("ended_at", None)),
                fields=["repository", "dated_at", "id"],
                name="tag_dated",
            ),
        ),
    ]
