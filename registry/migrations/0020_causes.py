"""What is reviewed and removed says whose job was the cause."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0019_tags_in_order"),
    ]

    operations = [
        migrations.AddField(
            model_name="review",
            name="cause",
            field=models.CharField(db_default="", default="", max_length=64),
        ),
        migrations.AddField(
            model_name="receipt",
            name="cause",
            field=models.CharField(db_default="", default="", max_length=64),
        ),
        migrations.AddIndex(
            model_name="review",
            index=models.Index(
                condition=models.Q(("cause__gt", "")), fields=["cause"], name="review_cause"
            ),
        ),
        migrations.AddIndex(
            model_name="receipt",
            index=models.Index(
                condition=models.Q(("cause__gt", "")), fields=["cause"], name="receipt_cause"
            ),
        ),
    ]
