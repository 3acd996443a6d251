from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("identity_providers", "0001_initial"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="identity",
            options={"ordering": ["pk"], "verbose_name_plural": "identities"},
        ),
    ]
