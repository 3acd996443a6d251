"""Receipts say what the collector has freed. Of the runs of before nobody knows."""

from django.db import migrations, models
from django.db.models import F


def close_those_of_before(apps, schema_editor):
    """The registry was not told which job it was."""
    runs = apps.get_model("cleanup", "CleanupRun").objects.filter(deleted_count__gt=0)
    runs.update(collected_at=F("finished_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0002_chosen"),
    ]

    operations = [
        migrations.AddField(
            model_name="cleanuprun",
            name="collected_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="cleanuprun",
            name="collected_bytes",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.RunPython(close_those_of_before, migrations.RunPython.noop, elidable=True),
        migrations.AddIndex(
            model_name="cleanuprun",
            index=models.Index(
                condition=models.Q(
                    ("collected_at", None),
                    ("deleted_count__gt", 0),
                    ("status__in", ["finished", "failed", "cancelled"]),
                ),
                fields=["finished_at"],
                name="cleanup_run_uncollected",
            ),
        ),
    ]
