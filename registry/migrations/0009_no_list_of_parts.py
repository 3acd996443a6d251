"""The lists that have become rows. By itself: PostgreSQL alters no table that rows wait for.

The column stays, with a default of the database's own: nodes of the version before, which go on
while others are replaced, still write it.
"""

from django.db import migrations, models
from django.db.models import Value


class Migration(migrations.Migration):
    dependencies = [("registry", "0008_upload_parts")]

    operations = [
        migrations.AlterField(
            model_name="uploadsession",
            name="parts",
            field=models.JSONField(
                default=list, db_default=Value([], output_field=models.JSONField())
            ),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name="uploadsession", name="parts")]
        ),
    ]
