"""Deploy tokens, and access tokens of projects and groups."""

import datetime as dt
import os

import gitlab

gl = gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=os.environ["GITLAB_TOKEN"])
gl.auth()
soon = (dt.date.today() + dt.timedelta(days=30)).isoformat()
group = gl.groups.create({"name": "Tokens", "path": "tokens"})
project = gl.projects.create({"name": "app", "namespace_id": group.id})

for owner in (project, group):
    made = owner.deploytokens.create(
        {"name": "ci", "scopes": ["read_registry", "write_registry"], "expires_at": soon}
    )
    assert made.token.startswith("gldt-")
    assert made.username == f"gitlab+deploy-token-{made.id}"
    assert owner.deploytokens.get(made.id).name == "ci"
    assert [token.id for token in owner.deploytokens.list()] == [made.id]
    assert made.id in {token.id for token in gl.deploytokens.list(get_all=True)}
    made.delete()
    assert owner.deploytokens.get(made.id).revoked

    token = owner.access_tokens.create(
        {"name": "robot", "scopes": ["api"], "access_level": 30, "expires_at": soon}
    )
    robot = gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=token.token)
    robot.auth()
    assert robot.user.id == token.user_id
    assert robot.projects.get(project.id).path == "app"
    assert owner.access_tokens.get(token.id).access_level == 30
    new = owner.access_tokens.get(token.id).rotate(expires_at=soon)
    robot = gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=new["token"])
    robot.auth()
    assert [each.id for each in owner.access_tokens.list(state="active")] == [new["id"]]
    owner.access_tokens.delete(new["id"])
    try:
        robot.auth()
    except gitlab.exceptions.GitlabAuthenticationError:
        pass
    else:
        raise AssertionError("the token still works")
print("done")
