"""The log of a real installation at debug level: one id from the door to the worker, no secret."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e import images
from tests.e2e.installation import Installation, wait_until
from tests.e2e.wire import Wire

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("logs")]

CANARIES = {
    name: f"canary-{name}-{secrets.token_hex(8)}"
    for name in ("http_secret", "secret_key", "events_secret", "metrics_token", "root_password")
}
Line = dict[str, Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(
        tmp_path_factory.mktemp("logs"),
        BERTH__LOG_FORMAT="json",
        BERTH__LOG_LEVEL="debug",
        BERTH__ACCESS_LOG="all",
        BERTH__RATE_LIMITS__FAILED_LOGINS="0",
        REGISTRY__HTTP_SECRET=CANARIES["http_secret"],
        BERTH__SECRET_KEY=CANARIES["secret_key"],
        BERTH__EVENTS_SECRET=CANARIES["events_secret"],
        BERTH__METRICS_TOKEN=CANARIES["metrics_token"],
        GITLAB_ROOT_PASSWORD=CANARIES["root_password"],
    )
    installation.root_password = CANARIES["root_password"]
    installation.start()
    yield installation
    installation.discard()


def lines(site: Installation, **wanted: object) -> list[Line]:
    """The events with these values."""
    found = [json.loads(line) for line in site.log().splitlines() if line.startswith("{")]
    return [line for line in found if wanted.items() <= line.items()]


def test_each_line_is_an_event(site: Installation) -> None:
    """What the processes print after the start is JSON, whoever prints it: gunicorn, Celery, we."""
    wait_until(lambda: lines(site, process="worker"), timeout=60)
    _, _, after = site.log().partition("\nReady.")
    printed = [line for line in after.splitlines() if line.strip() and not line.startswith(" ")]
    assert [line for line in printed if not line.startswith("{")] == []
    seen = {line["process"] for line in lines(site)}
    assert {"web", "registry", "worker"} <= seen
    for line in lines(site):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] in {"debug", "info", "warning", "error", "critical"}
        assert line["logger"]


def test_a_line_of_a_request(site: Installation) -> None:
    given = "from-the-proxy.0001"
    answer = httpx.get(f"{site.registry_url}/v2/?x=1", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given
    (line,) = wait_until(lambda: lines(site, logger="access", request_id=given), timeout=60)
    assert line["process"] == "registry"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v2/", 401)
    assert line["client"] == "127.0.0.1"
    assert line["route"] == "v2/"
    assert line["bytes_out"] == len(answer.content)
    assert 0 <= line["seconds"] < 60
    forged = httpx.get(f"{site.registry_url}/v2/", headers={"X-Request-Id": "no good"})
    assert re.fullmatch("[0-9a-f]{32}", forged.headers["X-Request-Id"])


def test_one_id_through_page_worker_and_registry(site: Installation) -> None:
    """A page rings the worker, the worker calls the registry: all with the id of the page."""
    with Wire(site, "root/traced") as wire:
        wire.push(images.tiny("traced"), "1")
    with httpx.Client(base_url=site.url, follow_redirects=True, timeout=60) as browser:
        sign_in(site, browser, site.root_password)
        page = browser.get("/root/traced/container_registry")
        assert page.status_code == 200
        asked = page.headers["X-Request-Id"]
        # What the page asks the registry for carries its id.
        wait_until(lambda: lines(site, process="registry", request_id=asked), timeout=60)
        web = {"process": "web", "logger": "access"}
        wait_until(lambda: lines(site, **web, request_id=asked), timeout=60)
        address = "/root/traced/container_registry"
        targets = re.findall(r'(?:href|action)="([^"]*/delete)"', page.text)
        assert targets, address
        confirm = browser.get(targets[0].replace("&amp;", "&"))
        answer = browser.post(
            str(confirm.url),
            data=hidden_fields(confirm.text),
            headers={"X-Request-Id": "the-one-that-deletes", "Referer": str(confirm.url)},
            follow_redirects=False,
        )
        assert answer.status_code == 302, answer.text

    def whole_way() -> bool:
        found = lines(site, request_id="the-one-that-deletes")
        said = {(line["process"], line["logger"]) for line in found}
        return said >= {("web", "access"), ("registry", "access"), ("worker", "workers.tasks")}

    wait_until(whole_way, timeout=60)


def hidden_fields(html: str) -> dict[str, str]:
    """What a browser would send of a form besides what is typed."""
    fields = {}
    for tag in re.findall(r"<input[^>]*>", html):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attributes.get("type") == "hidden" and "name" in attributes:
            fields[attributes["name"]] = attributes.get("value", "")
    return fields


def sign_in(site: Installation, browser: httpx.Client, password: str) -> httpx.Response:
    page = browser.get("/users/sign_in")
    fields = hidden_fields(page.text) | {"login": "root", "password": password}
    return browser.post("/users/sign_in", data=fields, headers={"Referer": str(page.url)})


def test_no_secret_in_any_line(site: Installation) -> None:
    """Each is used where it belongs and where it does not, also where that fails."""
    planted = dict(CANARIES)
    mark = secrets.token_hex(6)
    wrong = {name: f"{name}-{mark}-wrong" for name in ("password", "token", "cookie", "basic")}
    token = site.run_python(
        "from gitlab.accounts.models import User\n"
        "from gitlab.access_tokens import services\n"
        "root = User.objects.get(username='root')\n"
        "_, answer = services.create(root, name='canary', scopes=['read_registry'])"
    )
    planted["personal access token"] = token
    address = f"{site.url}/jwt/auth?service=container_registry"
    planted["JWT"] = httpx.get(address, auth=("root", token)).json()["token"]
    assert httpx.get(address, auth=("root", wrong["password"])).status_code == 401
    assert httpx.get(address, auth=("root", f"glpat-{wrong['token']}")).status_code == 401
    httpx.get(f"{address}&password={wrong['password']}&access_token={wrong['token']}")
    httpx.post(
        f"{site.url}/jwt/auth",
        data={
            "service": "container_registry", "grant_type": "password",
            "username": "root", "password": wrong["password"],
        },
    )  # fmt: skip
    with httpx.Client(base_url=site.url, follow_redirects=True, timeout=60) as browser:
        sign_in(site, browser, wrong["password"])
        sign_in(site, browser, site.root_password)
        assert any(name.startswith("berth_session") for name in browser.cookies)
        planted |= {f"cookie {name}": value or "" for name, value in browser.cookies.items()}
    httpx.get(f"{site.url}/", headers={"Cookie": f"berth_session_={wrong['cookie']}"})

    headers = {"Authorization": f"Bearer {planted['JWT']}"}
    httpx.get(f"{site.registry_url}/v2/", headers=headers)
    for field in (f"Bearer {wrong['token']}", f"Basic {wrong['basic']}", wrong["token"]):
        httpx.get(f"{site.registry_url}/v2/", headers={"Authorization": field})
    scope = "repository:root/canary:pull,push"
    begun = site.request("POST", "/v2/root/canary/blobs/uploads/", scope)
    location = begun.headers["Location"]
    planted["_state"] = location.partition("_state=")[2]
    assert len(planted["_state"]) > 64
    # An error of ours: the part's folder is gone when the next part comes.
    for method, content in (("PATCH", b"x"), ("GET", None), ("PUT", b"")):
        site.request(method, location, scope, content=content)
    provoke_an_error(site, location, scope)
    wait_until(lambda: lines(site, status=503), timeout=60)
    failed = lines(site, status=503)[0]["request_id"]
    assert any(line["level"] == "error" for line in lines(site, request_id=failed))

    planted |= {f"wrong {name}": value for name, value in wrong.items()}
    for folder in ("keys", "secrets"):
        for path in (site.home / folder).iterdir():
            if path.suffix == ".crt":
                continue
            whole = path.read_text().strip()
            planted[path.name] = "".join(whole.splitlines()[1:2]) or whole
    log = site.log()
    found = [name for name, value in planted.items() if value and value in log]
    assert found == []
    # And the same in pieces that somebody could put together again.
    for name in ("JWT", "_state"):
        assert planted[name][-40:] not in log


def provoke_an_error(site: Installation, location: str, scope: str) -> None:
    """Let the store refuse a part: its folder is a file for a moment."""
    uploads = next(path for path in (site.home / "registry").iterdir() if "upload" in path.name)
    aside = uploads.with_name("aside")
    uploads.rename(aside)
    uploads.write_text("in the way")
    try:
        answer = site.request("PATCH", location, scope, content=b"more")
        assert answer.status_code == 503, answer.text
    finally:
        uploads.unlink()
        aside.rename(uploads)
