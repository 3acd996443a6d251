"""What tags are sorted by: their names as versions, and the age of their images."""

import django.utils.timezone
from django.db import migrations, models
from django.db.models.functions import Now

import registry.fields


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0017_replaced_tags"),
    ]

    operations = [
        migrations.AddField(
            model_name="tag",
            name="sort_key",
            field=registry.fields.ByteOrderedCharField(db_default="", default="", max_length=256),
        ),
        migrations.AddField(
            model_name="tag",
            name="dated_at",
            field=models.DateTimeField(db_default=Now(), default=django.utils.timezone.now),
        ),
    ]
