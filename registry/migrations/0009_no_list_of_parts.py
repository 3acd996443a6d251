"""The lists that have become rows. By itself: PostgreSQL alters no table that rows wait for."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0008_upload_parts"),
    ]

    operations = [
        migrations.RemoveField(model_name="uploadsession", name="parts"),
    ]
