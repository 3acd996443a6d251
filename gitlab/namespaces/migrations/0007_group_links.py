import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    dependencies = [
        ("namespaces", "0006_two_factors"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="GroupLink",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "group_access",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (10, "Guest"),
                            (20, "Reporter"),
                            (30, "Developer"),
                            (40, "Maintainer"),
                            (50, "Owner"),
                        ]
                    ),
                ),
                (
                    "expires_at",
                    models.DateField(
                        blank=True,
                        help_text="The first day on which it no longer holds.",
                        null=True,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="links_elsewhere",
                        to="namespaces.namespace",
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="group_links",
                        to="namespaces.namespace",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="group_links",
                        to="namespaces.project",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.CheckConstraint(
                        name="group_link_to_exactly_one",
                        condition=Q(namespace__isnull=False, project__isnull=True)
                        | Q(namespace__isnull=True, project__isnull=False),
                    ),
                    models.CheckConstraint(
                        name="group_link_to_another",
                        condition=Q(namespace__isnull=True) | ~Q(namespace=F("group")),
                    ),
                    models.UniqueConstraint(
                        fields=["namespace", "group"],
                        condition=Q(namespace__isnull=False),
                        name="group_link_once_to_namespace",
                    ),
                    models.UniqueConstraint(
                        fields=["project", "group"],
                        condition=Q(project__isnull=False),
                        name="group_link_once_to_project",
                    ),
                    models.CheckConstraint(
                        name="group_link_level_known",
                        condition=Q(group_access__in=[10, 20, 30, 40, 50]),
                    ),
                ],
            },
        ),
    ]
