"""Lists of platforms end where pushes now cut them, and referrers of a type have an index."""

from typing import Any

from django.db import migrations, models

MAX_PLATFORMS = 64
_LONG = {
    "sqlite": "SELECT id FROM registry_manifest WHERE json_array_length(platforms) > %s",
    "postgresql": "SELECT id FROM registry_manifest WHERE jsonb_array_length(platforms) > %s",
}


def cut(apps: Any, schema_editor: Any) -> None:
    """Keep the first of each list's different platforms."""
    connection = schema_editor.connection
    manifests = apps.get_model("registry", "Manifest").objects.using(connection.alias)
    with connection.cursor() as cursor:
        cursor.execute(_LONG[connection.vendor], [MAX_PLATFORMS])
        ids = [pk for (pk,) in cursor.fetchall()]
    for pk in ids:
        found = manifests.only("platforms").get(pk=pk).platforms
        different = {tuple(platform.items()): platform for platform in found}
        manifests.filter(pk=pk).update(platforms=list(different.values())[:MAX_PLATFORMS])


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0009_no_list_of_parts"),
    ]

    operations = [
        migrations.RunPython(cut, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                condition=models.Q(("subject_digest__isnull", False)),
                fields=["repository", "subject_digest", "artifact_type", "digest"],
                name="manifest_referrers_by_type",
            ),
        ),
    ]
