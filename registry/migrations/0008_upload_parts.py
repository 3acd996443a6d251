"""A row for each part of an upload; those of uploads that are under way come along."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def move(apps: Any, schema_editor: Any) -> None:
    """Make rows of the lists in which sessions have kept their parts."""
    alias = schema_editor.connection.alias
    sessions = apps.get_model("registry", "UploadSession").objects.using(alias)
    part_of = apps.get_model("registry", "UploadPart")
    for session in sessions.filter(committed_digest="", offset__gt=0).iterator(chunk_size=100):
        rows, offset = [], 0
        for part in session.parts:
            rows.append(part_of(session_id=session.pk, offset=offset, **part))
            offset += part["size"]
        part_of.objects.using(alias).bulk_create(rows, batch_size=200)


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0007_upload_algorithm"),
    ]

    operations = [
        migrations.CreateModel(
            name="UploadPart",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("offset", models.BigIntegerField()),
                ("name", models.CharField(max_length=64)),
                ("size", models.BigIntegerField()),
                ("digest", models.CharField(max_length=135)),
                (
                    "session",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="registry.uploadsession",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("session", "offset"), name="uploadpart_once")
                ],
            },
        ),
        migrations.RunPython(move, migrations.RunPython.noop),
    ]
