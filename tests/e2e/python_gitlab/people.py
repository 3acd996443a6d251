"""People, groups, projects, members: made, found, changed, removed."""

import os

import gitlab

gl = gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=os.environ["GITLAB_TOKEN"])
gl.auth()
assert gl.user.username == "root"
assert gl.version()[0].startswith("18.")
assert gl.get_license is not None
PASSWORD = "correct-horse-battery"


def refused(status, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except gitlab.exceptions.GitlabError as error:
        assert error.response_code == status, (error.response_code, error)
        return str(error.error_message)
    raise AssertionError(f"not refused: {call}")


# People
people = {}
for name in ("alice", "bob", "carol", "mallory"):
    people[name] = gl.users.create(
        {
            "username": name,
            "name": name.title(),
            "email": f"{name}@example.com",
            "password": PASSWORD,
            "skip_confirmation": True,
        }
    )
alice, bob, carol, mallory = people.values()
assert "has already been taken" in refused(
    409,
    gl.users.create,
    {"username": "alice", "name": "A", "email": "other@example.com", "password": PASSWORD},
)
assert gl.users.list(username="alice")[0].id == alice.id
assert {user.username for user in gl.users.list(search="a", get_all=True)} >= {"alice", "carol"}
assert gl.users.get(bob.id).state == "active"
bob.name = "Robert"
bob.save()
assert gl.users.get(bob.id).name == "Robert"
assert bob.block()
assert gl.users.get(bob.id).state == "blocked"
assert bob.unblock()
assert bob.ban()
assert gl.users.get(bob.id).state == "blocked"
assert bob.unban()
assert bob.deactivate()
assert gl.users.get(bob.id).state == "deactivated"
assert bob.activate()
refused(404, gl.users.get, 10**9)
everybody = gl.users.list(get_all=True)
assert len(gl.users.list(iterator=True, per_page=2)) == len(everybody) >= 5
assert [user.id for user in gl.users.list(iterator=True, per_page=2)] == [u.id for u in everybody]
eve = gl.users.create(
    {"username": "eve", "name": "E", "email": "e@x.example", "reset_password": True}
)
eve.delete()
refused(404, gl.users.get, eve.id)


def as_person(user, *scopes):
    token = user.personal_access_tokens.create({"name": "script", "scopes": scopes or ["api"]})
    return gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=token.token)


as_alice, as_bob = as_person(alice), as_person(bob)
as_alice.auth()
assert as_alice.user.username == "alice"
oauth = gitlab.Gitlab(
    os.environ["GITLAB_URL"],
    oauth_token=alice.personal_access_tokens.create({"name": "o", "scopes": ["read_user"]}).token,
)
oauth.auth()
assert oauth.user.username == "alice"
assert "privileges" in refused(403, oauth.projects.create, {"name": "no"}) or True
refused(401, gitlab.Gitlab(os.environ["GITLAB_URL"], private_token="glpat-wrong").auth)
refused(401, gitlab.Gitlab(os.environ["GITLAB_URL"], job_token="glcbt-wrong").auth)

# Groups
acme = as_alice.groups.create({"name": "ACME", "path": "acme", "visibility": "private"})
tools = as_alice.groups.create({"name": "Tools", "path": "tools", "parent_id": acme.id})
deep = as_alice.groups.create({"name": "Deep", "path": "deep", "parent_id": tools.id})
assert as_alice.groups.get("acme/tools/deep").full_name == "ACME / Tools / Deep"
assert [group.id for group in acme.subgroups.list()] == [tools.id]
assert [group.id for group in acme.descendant_groups.list(order_by="path")] == [tools.id, deep.id]
assert {group.full_path for group in as_alice.groups.list(get_all=True)} == {
    "acme",
    "acme/tools",
    "acme/tools/deep",
}
assert as_alice.groups.list(search="deep", top_level_only=False)[0].id == deep.id
assert as_alice.groups.list(skip_groups=[acme.id, tools.id])[0].id == deep.id
refused(404, as_bob.groups.get, "acme")
acme.description = "We"
acme.save()
assert as_alice.groups.get(acme.id).description == "We"
deep.path = "deeper"
deep.save()
assert as_alice.groups.get("acme/tools/deeper").id == deep.id
deep.delete()

# Namespaces
assert {space.full_path for space in as_alice.namespaces.list(get_all=True)} >= {"alice", "acme"}
assert as_alice.namespaces.get("acme/tools").id == tools.id
assert as_alice.namespaces.get(acme.id).kind == "group"
assert as_alice.namespaces.exists("acme").exists
assert not as_alice.namespaces.exists("nothing").exists
assert as_alice.namespaces.exists("tools", parent_id=acme.id).suggests

# Projects
app = as_alice.projects.create({"name": "App", "namespace_id": acme.id, "visibility": "private"})
own = as_alice.projects.create({"name": "own"})
given = gl.users.get(alice.id).projects.create({"name": "gift"})
assert as_alice.projects.get("acme/app").id == app.id
assert as_alice.projects.get("acme%2Fapp", lazy=True).encoded_id
assert {project.path_with_namespace for project in as_alice.projects.list(get_all=True)} == {
    "acme/app",
    "alice/own",
    "alice/gift",
}
assert as_alice.projects.list(search="app", owned=True)[0].id == app.id
assert [each.id for each in gl.users.get(alice.id).projects.list(search="own")] == [own.id]
assert [each.id for each in as_alice.groups.get("acme").projects.list()] == [app.id]
keyset = as_alice.projects.list(
    iterator=True, pagination="keyset", order_by="id", sort="asc", per_page=1
)
assert [project.id for project in keyset] == [app.id, own.id, given.id]
app.description = "Does things"
app.container_registry_access_level = "private"
app.save()
assert as_alice.projects.get(app.id).container_registry_access_level == "private"

app.container_expiration_policy_attributes = {
    "cadence": "1month", "enabled": True, "keep_n": 1, "older_than": "14d", "name_regex": ".*",
    "name_regex_delete": ".*", "name_regex_keep": ".*-main",
}  # fmt: skip
app.save()
policy = as_alice.projects.get(app.id).container_expiration_policy
assert policy["next_run_at"]
assert {name: policy[name] for name in ("cadence", "enabled", "keep_n", "older_than")} == {
    "cadence": "1month", "enabled": True, "keep_n": 1, "older_than": "14d",
}  # fmt: skip
where = f"/projects/{app.id}/registry/cleanup"
assert as_alice.http_get(f"{where}/policy")["rules"][0]["name_regex_keep"] == ".*-main"
planned = as_alice.http_post(f"{where}/runs")
assert as_alice.http_list(f"{where}/runs", get_all=True)[0]["id"] == planned["id"]
refused(404, as_bob.projects.get, app.id)
refused(400, as_alice.projects.create, {"name": "app", "namespace_id": acme.id})
refused(400, as_alice.projects.create, {})
app.archive()
assert as_alice.projects.get(app.id).archived
app.unarchive()
own.transfer("acme")
assert as_alice.projects.get(own.id).path_with_namespace == "acme/own"
assert acme.id not in {each["id"] for each in as_alice.http_list(
    f"/projects/{own.id}/transfer_locations", get_all=True
)}  # fmt: skip
harbour = as_alice.groups.create({"name": "Harbour", "path": "harbour", "visibility": "private"})
harbour.transfer_project(own.id)
assert as_alice.projects.get(own.id).path_with_namespace == "harbour/own"
acme.transfer_project(own.id)
tools = as_alice.groups.get("acme/tools")
where = as_alice.http_list(f"/groups/{tools.id}/transfer_locations", get_all=True)
assert [each["full_path"] for each in where] == ["harbour"]
tools.transfer(harbour.id)
assert as_alice.groups.get(tools.id).full_path == "harbour/tools"
tools.transfer()
assert as_alice.groups.get(tools.id).full_path == "tools"
tools.transfer(acme.id)
as_alice.projects.delete(given.id)
refused(404, as_alice.projects.get, given.id)

# Members
app = as_alice.projects.get(app.id)
member = app.members.create({"user_id": bob.id, "access_level": gitlab.const.AccessLevel.DEVELOPER})
app.members.create({"username": "carol", "access_level": 20, "expires_at": "2099-01-01"})
assert "already exists" in refused(409, app.members.create, {"user_id": bob.id, "access_level": 30})
assert {one.username: one.access_level for one in app.members.list()} == {"bob": 30, "carol": 20}
assert {one.username for one in app.members_all.list()} == {"alice", "bob", "carol"}
assert app.members_all.get(alice.id).access_level == 50
assert app.members.get(carol.id).expires_at == "2099-01-01"
assert app.members.list(query="car")[0].id == carol.id
member.access_level = 40
member.save()
assert app.members.get(bob.id).access_level == 40
refused(
    403, as_bob.projects.get(app.id).members.create, {"user_id": mallory.id, "access_level": 50}
)
assert {each.username for each in app.users.list()} == {"alice", "bob", "carol"}
assert [each.full_path for each in app.groups.list()] == ["acme"]
assert [each.source_id for each in gl.users.get(bob.id).memberships.list(type="Project")] == [
    app.id
]
app.members.delete(carol.id)
refused(404, app.members.get, carol.id)
acme.members.create({"user_id": bob.id, "access_level": 30})
assert acme.members.get(bob.id).access_level == 30
assert [one.username for one in acme.members_all.list(user_ids=[bob.id])] == ["bob"]
acme.members.delete(bob.id)
app.invitations.create({"user_id": mallory.id, "access_level": 10})
assert app.members.get(mallory.id).access_level == 10
assert app.invitations.list() == []
assert acme.invitations.list() == []

# The installation
refused(403, as_alice.settings.get)
assert gl.settings.get().container_registry_token_expire_delay == 10
assert gl.statistics.get().users
assert gl.audit_events.list(per_page=5)
assert gl.audit_events.get(gl.audit_events.list(per_page=1)[0].id).id
assert app.audit_events.list()
assert acme.audit_events.list()[0].entity_type == "Group"
refused(409, gl.users.delete, alice.id)

# Announcements
told = gl.broadcastmessages.create({"message": "Down on Sunday", "theme": "red"})
assert gl.broadcastmessages.get(told.id).active
told.message = "Down on Monday"
told.save()
assert [one.message for one in gl.broadcastmessages.list(get_all=True)] == ["Down on Monday"]
told.delete()
refused(404, gl.broadcastmessages.get, told.id)
print("done")
