from django.db import migrations, models

_INDEXES = (
    "('application/vnd.oci.image.index.v1+json',"
    " 'application/vnd.docker.distribution.manifest.list.v2+json')"
)
# Each blob once. An index that lists indexes is left: a push of it counts it anew.
_COUNT = f"""
UPDATE registry_manifest SET content_size = (
    SELECT COALESCE(SUM(size), 0) FROM (
        SELECT b.id, b.size FROM registry_manifestchild c
        JOIN registry_manifest m ON m.repository_id = c.repository_id AND m.digest = c.digest
            AND m.deleted_at IS NULL
        JOIN registry_manifestblob r ON r.manifest_id = m.id
        JOIN registry_repositoryblob l ON l.id = r.link_id
        JOIN registry_blob b ON b.id = l.blob_id
        WHERE c.parent_id = registry_manifest.id
        UNION
        SELECT b.id, b.size FROM registry_manifestchild c
        JOIN registry_blob b ON b.digest = c.digest
        JOIN registry_repositoryblob l ON l.blob_id = b.id AND l.repository_id = c.repository_id
            AND l.deleted_at IS NULL
        WHERE c.parent_id = registry_manifest.id
    ) counted
) WHERE media_type IN {_INDEXES} AND NOT EXISTS (
    SELECT 1 FROM registry_manifestchild c JOIN registry_manifest m
        ON m.repository_id = c.repository_id AND m.digest = c.digest
    WHERE c.parent_id = registry_manifest.id AND m.media_type IN {_INDEXES}
)
"""
_SIZE_OF_TAGS = f"""
UPDATE registry_tag SET size = (
    SELECT content_size FROM registry_manifest m WHERE m.id = registry_tag.manifest_id
) WHERE ended_at IS NULL AND manifest_id IN (
    SELECT id FROM registry_manifest WHERE media_type IN {_INDEXES}
)
"""


class Migration(migrations.Migration):
    """Keep the time of a push past undo; count what platforms share once."""

    dependencies = [
        ("registry", "0015_uploads_under_way"),
    ]

    operations = [
        migrations.AddField(
            model_name="tag", name="restored_at", field=models.DateTimeField(null=True)
        ),
        migrations.AddField(
            model_name="tag",
            name="restored_by",
            field=models.CharField(max_length=255, null=True),
        ),
        migrations.RunSQL(_COUNT, migrations.RunSQL.noop),
        migrations.RunSQL(_SIZE_OF_TAGS, migrations.RunSQL.noop),
    ]
