"""Personal access tokens: made, found, rotated, revoked."""

import datetime as dt
import os

import gitlab

gl = gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=os.environ["GITLAB_TOKEN"])
gl.auth()
dora = gl.users.create(
    {"username": "dora", "name": "Dora", "email": "dora@example.com", "reset_password": True}
)
soon = (dt.date.today() + dt.timedelta(days=30)).isoformat()
made = dora.personal_access_tokens.create(
    {"name": "ci", "scopes": ["api", "read_registry"], "expires_at": soon}
)
assert made.token.startswith("glpat-")
as_dora = gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=made.token)
as_dora.auth()
assert as_dora.user.username == "dora"


def refused(status, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except gitlab.exceptions.GitlabError as error:
        assert error.response_code == status, (error.response_code, error)
        return
    raise AssertionError(f"not refused: {call}")


here = as_dora.personal_access_tokens.get("self")
assert (here.name, here.scopes, here.expires_at) == ("ci", ["api", "read_registry"], soon)
assert [token.id for token in as_dora.personal_access_tokens.list(state="active")] == [made.id]
assert [token.id for token in gl.personal_access_tokens.list(user_id=dora.id)] == [made.id]
refused(401, as_dora.personal_access_tokens.list, user_id=gl.user.id)
refused(401, as_dora.personal_access_tokens.get, 10**9)
refused(404, gl.personal_access_tokens.get, 10**9)
reached = as_dora.http_get("/personal_access_tokens/self/associations")
assert reached == {"groups": [], "projects": []}
own = as_dora.http_post(
    "/user/personal_access_tokens",
    post_data={"name": "small", "scopes": ["read_registry"], "expires_at": soon},
)
small = as_dora.personal_access_tokens.get(own["id"])
rotated = small.rotate(expires_at=soon)
assert rotated["token"].startswith("glpat-")
assert rotated["id"] != own["id"]
assert as_dora.personal_access_tokens.get(own["id"]).revoked
as_dora.personal_access_tokens.delete(rotated["id"])
assert not as_dora.personal_access_tokens.get(rotated["id"]).active
assert len(as_dora.personal_access_tokens.list(state="inactive")) == 2
# Rotating takes the old one's place; to use that again ends the whole family.
new = as_dora.personal_access_tokens.rotate("self", expires_at=soon)
as_new = gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=new["token"])
as_new.auth()
refused(401, as_dora.auth)
refused(401, as_new.auth)
last = dora.personal_access_tokens.create({"name": "last", "scopes": ["read_registry"]})
as_dora = gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=last.token)
assert as_dora.personal_access_tokens.get("self").id == last.id
as_dora.personal_access_tokens.delete("self")
refused(401, as_dora.personal_access_tokens.get, "self")
print("done")
