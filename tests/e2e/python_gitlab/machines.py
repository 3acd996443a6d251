"""Runners, the jobs that they begin, and whose jobs may pull."""

import os

import requests

import gitlab

URL = os.environ["GITLAB_URL"]
gl = gitlab.Gitlab(URL, private_token=os.environ["GITLAB_TOKEN"])
gl.auth()
group = gl.groups.create({"name": "Machines", "path": "machines"})
project = gl.projects.create({"name": "app", "namespace_id": group.id})
other = gl.projects.create({"name": "other", "namespace_id": group.id})

# Runners
made = gl.user.runners.create(
    {"runner_type": "project_type", "project_id": project.id, "description": "big one"}
)
assert made.token.startswith("glrt-")
gl.runners.verify(made.token)
assert [runner.id for runner in project.runners.list()] == [made.id]
assert made.id in {runner.id for runner in gl.runners.list(get_all=True)}
assert made.id in {runner.id for runner in gl.runners.all(get_all=True)}
assert made.id in {runner.id for runner in gl.runners_all.list(get_all=True)}
runner = gl.runners.get(made.id)
assert (runner.description, runner.status) == ("big one", "never_contacted")

# Jobs: a runner is no user of python-gitlab.
begun = requests.post(f"{URL}/api/v4/jobs/request", data={"token": made.token, "name": "build"})
assert begun.status_code == 201, begun.text
job = begun.json()
assert [each.id for each in runner.jobs.list()] == [job["id"]]
assert [each.id for each in project.jobs.list(scope=["running"])] == [job["id"]]
assert project.jobs.get(job["id"]).user["username"] == "root"
inside = gitlab.Gitlab(URL, job_token=job["token"])
assert inside.http_get("/job")["id"] == job["id"]
assert inside.projects.get(project.id, lazy=True).repositories.list() == []
done = requests.put(
    f"{URL}/api/v4/jobs/{job['id']}", json={"token": job["token"], "state": "success"}
)
assert done.json()["status"] == "success", done.text
assert project.jobs.get(job["id"]).status == "success"

# Whose jobs may pull
scope = project.job_token_scope.get()
assert scope.inbound_enabled
allowed = scope.allowlist.create({"target_project_id": other.id})
assert allowed.target_project_id == other.id
assert [each.id for each in scope.allowlist.list()] == [other.id]
scope.allowlist.delete(other.id)
assert scope.allowlist.list() == []

runner.delete()
try:
    gl.runners.verify(made.token)
except gitlab.exceptions.GitlabVerifyError as error:
    assert error.response_code == 403
else:
    raise AssertionError("the runner is still known")
print("done")
