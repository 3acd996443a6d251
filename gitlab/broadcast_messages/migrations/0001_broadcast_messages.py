import django.utils.timezone
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="BroadcastMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message", models.CharField(max_length=500)),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("info", "Information"),
                            ("good", "Good news"),
                            ("warn", "Warning"),
                            ("bad", "Trouble"),
                        ],
                        default="info",
                        max_length=8,
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("dismissable", models.BooleanField(default=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={
                "ordering": ["-starts_at", "-id"],
                "indexes": [models.Index(fields=["ends_at"], name="broadcast_message_by_end")],
                "constraints": [
                    models.CheckConstraint(
                        name="broadcast_message_level_known",
                        condition=Q(level__in=["info", "good", "warn", "bad"]),
                    ),
                    models.CheckConstraint(
                        name="broadcast_message_ends_later", condition=Q(ends_at__gt=F("starts_at"))
                    ),
                ],
            },
        ),
    ]
