"""Images: pushed with a token, listed, shown, deleted one by one and in bulk."""

import hashlib
import json
import os
import time

import requests

import gitlab

URL, REGISTRY = os.environ["GITLAB_URL"], os.environ["REGISTRY"]
gl = gitlab.Gitlab(URL, private_token=os.environ["GITLAB_TOKEN"])
gl.auth()
group = gl.groups.create({"name": "Images", "path": "images"})
project = gl.projects.create({"name": "app", "namespace_id": group.id})
writer = gl.http_post(
    "/user/personal_access_tokens",
    post_data={"name": "push", "scopes": ["read_registry", "write_registry"]},
)["token"]


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push(name, tag, created):
    """As docker does it, in few requests."""
    scope = f"repository:{name}:pull,push"
    asked = requests.get(
        f"{URL}/jwt/auth",
        params={"service": "container_registry", "scope": scope},
        auth=("root", writer),
    )
    at = f"http://{REGISTRY}/v2/{name}"
    headers = {"Authorization": f"Bearer {asked.json()['token']}"}
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "created": created, "config": {},
         "rootfs": {"type": "layers", "diff_ids": []}}
    ).encode()  # fmt: skip
    digest = digest_of(config)
    sent = requests.post(
        f"{at}/blobs/uploads/", params={"digest": digest}, data=config, headers=headers
    )
    assert sent.status_code == 201, sent.text
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest,
                "size": len(config),
            },
            "layers": [],
        }
    )
    sent = requests.put(
        f"{at}/manifests/{tag}", data=manifest, headers={**headers, "Content-Type": kind}
    )
    assert sent.status_code == 201, sent.text


def wait_until(question):
    end = time.monotonic() + 60
    while not question():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.2)


for number in range(1, 8):
    push("images/app/web", f"v{number}", f"2026-01-0{number}T00:00:00Z")
push("images/app/web", "latest", "2025-01-01T00:00:00Z")
push("images/app", "root", "2026-01-01T00:00:00Z")

# Found
found = {one.path: one for one in project.repositories.list(tags=True, tags_count=True)}
assert set(found) == {"images/app", "images/app/web"}
web = found["images/app/web"]
assert (web.name, web.tags_count, web.status) == ("web", 8, None)
assert web.location == f"{REGISTRY}/images/app/web"
# `tags` of an object is the way to them; what the list said is in its attributes.
assert {tag["name"] for tag in web.asdict()["tags"]} == {
    "latest",
    *(f"v{number}" for number in range(1, 8)),
}
assert {one.id for one in group.registry_repositories.list()} == {one.id for one in found.values()}
one = gl.registry_repositories.get(web.id, tags=True, tags_count=True, size=True)
assert (one.tags_count, len(one.asdict()["tags"])) == (8, 8)
assert one.size > 0
repository = next(each for each in project.repositories.list() if each.id == web.id)
tag = repository.tags.get("v1")
assert tag.digest.startswith("sha256:")
assert len(tag.revision) == 64
assert tag.short_revision == tag.revision[:9]
assert tag.created_at.startswith("2026-01-01T00:00:00")
assert tag.total_size > 0
assert tag.location == f"{REGISTRY}/images/app/web:v1"
names = [each.name for each in repository.tags.list(iterator=True, per_page=3)]
assert names == ["latest", *(f"v{number}" for number in range(1, 8))]
keyset = repository.tags.list(iterator=True, pagination="keyset", per_page=3)
assert [each.name for each in keyset] == names
assert project.asdict()["container_registry_image_prefix"] == f"{REGISTRY}/images/app"
sized = gl.projects.get(project.id, statistics=True)
assert sized.statistics["container_registry_size"] > 0
assert gl.groups.get(group.id, statistics=True).statistics["storage_size"] > 0

# Protected. Rules of tags have no class in python-gitlab.
for rules in (project.registry_protection_repository_rules, project.registry_protection_rules):
    rule = rules.create(
        {
            "repository_path_pattern": "images/app/web*",
            "minimum_access_level_for_push": "maintainer",
            "minimum_access_level_for_delete": "owner",
        }
    )
    assert (rule.project_id, rule.minimum_access_level_for_delete) == (project.id, "owner")
    (listed,) = rules.list()
    assert listed.repository_path_pattern == "images/app/web*"
    changed = rules.update(rule.id, {"minimum_access_level_for_delete": ""})
    assert changed["minimum_access_level_for_delete"] is None
    project.registry_protection_repository_rules.delete(rule.id)
    assert rules.list() == []
at = f"/projects/{project.id}/registry/protection/tag/rules"
levels = ("minimum_access_level_for_push", "minimum_access_level_for_delete")
made = gl.http_post(at, post_data={"tag_name_pattern": "^v1$", **dict.fromkeys(levels, "")})
assert [each["id"] for each in gl.http_list(at)] == [made["id"]]
try:
    repository.tags.delete("v1")
except gitlab.exceptions.GitlabDeleteError as error:
    assert error.response_code == 403
    assert 'ag v1 is immutable by rule "^v1$"' in str(error)
else:
    raise AssertionError("an immutable tag was deleted")
changed = gl.http_patch(f"{at}/{made['id']}", post_data=dict.fromkeys(levels, "owner"))
assert [changed[level] for level in levels] == ["owner", "owner"]
gl.http_delete(f"{at}/{made['id']}")

# Deleted
repository.tags.delete("v1")
try:
    repository.tags.get("v1")
except gitlab.exceptions.GitlabGetError as error:
    assert error.response_code == 404
else:
    raise AssertionError("the tag is still there")
repository.tags.delete_in_bulk(name_regex_delete="v.*", name_regex_keep="v2", keep_n=2)
wait_until(lambda: len(repository.tags.list(get_all=True)) == 4)
assert {each.name for each in repository.tags.list(get_all=True)} == {"latest", "v2", "v6", "v7"}
try:
    repository.tags.delete_in_bulk(name_regex_delete=".*")
except gitlab.exceptions.GitlabDeleteError as error:
    assert error.response_code == 400
    assert "at most once an hour" in str(error)
else:
    raise AssertionError("twice in an hour")
repository.delete()
wait_until(lambda: repository.id not in {each.id for each in project.repositories.list()})
project.delete()
print("done")
