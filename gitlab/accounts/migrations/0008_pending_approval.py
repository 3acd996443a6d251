from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_claimed_addresses"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="user", name="user_state_known"),
        migrations.AlterField(
            model_name="user",
            name="state",
            field=models.CharField(
                choices=[
                    ("active", "Active"),
                    ("blocked", "Blocked"),
                    ("deactivated", "Deactivated"),
                    ("blocked_pending_approval", "Pending approval"),
                ],
                default="active",
                max_length=32,
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                name="user_state_known",
                condition=models.Q(
                    state__in=["active", "blocked", "deactivated", "blocked_pending_approval"]
                ),
            ),
        ),
    ]
