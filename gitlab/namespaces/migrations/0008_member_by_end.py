from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("namespaces", "0007_group_links"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="member",
            index=models.Index(
                condition=Q(expires_at__isnull=False), fields=["expires_at"], name="member_by_end"
            ),
        ),
    ]
