"""Failed logins are counted by the limiter.

The table stays: nodes of the version before, which go on while others are replaced, still ask it.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.DeleteModel(name="FailedLogin")]
        ),
    ]
