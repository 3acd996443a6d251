from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("storage", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="measure",
            name="pulled_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="measure",
            index=models.Index(
                condition=Q(("project__isnull", False)),
                fields=["size_bytes", "id"],
                name="measure_of_project_by_size",
            ),
        ),
        migrations.AddIndex(
            model_name="measure",
            index=models.Index(
                condition=Q(("repository__isnull", False)),
                fields=["size_bytes", "id"],
                name="measure_of_image_by_size",
            ),
        ),
    ]
