from django.db import migrations, models

import gitlab.accounts.models


class Migration(migrations.Migration):
    """Whoever is there counts as here today: nobody is deactivated for what was not kept."""

    dependencies = [
        ("accounts", "0008_pending_approval"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="last_activity_on",
            field=models.DateField(default=gitlab.accounts.models.today, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(fields=["state", "last_activity_on"], name="user_by_activity"),
        ),
    ]
