import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("namespaces", "0004_archived_and_orders"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("signatures", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="SigningIdentity",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("identity", models.CharField(max_length=500)),
                ("issuer", models.CharField(max_length=500)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="namespaces.namespace",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="namespaces.project",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("namespace__isnull", True), ("project__isnull", False)),
                            models.Q(("namespace__isnull", False), ("project__isnull", True)),
                            _connector="OR",
                        ),
                        name="signing_identity_of_one",
                    ),
                    models.UniqueConstraint(
                        fields=("project", "name"), name="signing_identity_name_in_project"
                    ),
                    models.UniqueConstraint(
                        fields=("namespace", "name"), name="signing_identity_name_in_group"
                    ),
                ],
            },
        ),
    ]
