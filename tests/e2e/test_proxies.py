"""nginx and haproxy with the files of ``deploy/`` before an installation, over TLS."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import certificates, components, images
from tests.e2e.clients import Docker, Skopeo
from tests.e2e.components import free_port
from tests.e2e.conftest import Person
from tests.e2e.images import digest_of
from tests.e2e.installation import PROJECT, Installation, wait_until
from tests.e2e.proxies import GITLAB, REGISTRY, Machine, Proxy, settings_behind
from tests.e2e.wire import Wire

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """An installation of its own behind each of the two."""
    components.require(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    made = certificates.make(folder / "certificates", GITLAB, REGISTRY)
    port = free_port()
    accelerated = {"REGISTRY__STORAGE__ACCEL_PREFIX": "/-/blobs"}
    installation = Installation(
        folder / "installation",
        BERTH__PROCESSES="1",
        **settings_behind(port, free_port(), free_port()),
        **(accelerated if request.param == "nginx" else {}),
        # The tests' own client believes the proxy's authority by it; nobody else needs it here.
        BERTH__REGISTRY_CA_BUNDLE=str(made.authority),
    )
    running = Proxy(request.param, folder / "proxy", port, made, installation)
    try:
        installation.start()
        running.start()
        yield running
    finally:
        running.stop()
        installation.discard()


@pytest.fixture
def berth(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The installation, whose names this process can look up as well."""
    real = socket.getaddrinfo

    def found(host: Any, *arguments: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host in (GITLAB, REGISTRY) else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    if proxy.program == "haproxy":  # It asks the servers first whether they are well.
        wait_until(
            lambda: (
                httpx.get(f"{proxy.behind.url}/-/liveness", verify=proxy.behind.verify).is_success
            )
        )
    return proxy.behind


@pytest.fixture
def machine(proxy: Proxy, tmp_path: Path) -> Machine:
    components.require("own-names")
    return Machine(tmp_path / "machine", proxy.certificates.authority, proxy.behind.registry)


def test_docker(machine: Machine, berth: Installation, alice: Person, proxy: Proxy) -> None:
    """Login, push and pull with nobody told to be insecure."""
    components.require("docker")
    docker = Docker(Path(tempfile.mkdtemp(prefix="berth-docker-")), machine.prefix)
    try:
        docker.start()
        docker.use_config(docker.folder / "config")
        assert "Login Succeeded" in docker.login(berth.registry, alice.username, alice.password)
        name = f"{berth.registry}/alice/app:docker"
        image = images.large(8)
        docker.load(image, name)
        docker("push", "--quiet", name)
        docker.remove_images()
        docker("pull", "--quiet", name)
        assert docker.inspect(name)["Id"] == image.id
    finally:
        docker.stop()


def test_skopeo(
    machine: Machine, berth: Installation, alice: Person, proxy: Proxy, tmp_path: Path
) -> None:
    components.require("skopeo")
    skopeo = Skopeo(tmp_path / "skopeo", machine.prefix)
    trusted = f"cert-dir={proxy.certificates.authority.parent}"
    skopeo.login(berth.registry, alice.username, alice.password, f"--{trusted}")
    there = images.write_layout(tmp_path / "there", images.large(20))
    name = f"docker://{berth.registry}/alice/app:skopeo"
    skopeo("copy", f"--dest-{trusted}", f"oci:{there}", name)
    skopeo("copy", f"--src-{trusted}", name, f"oci:{tmp_path}/back")
    assert images.layout_blobs(tmp_path / "back") == images.layout_blobs(there)


def test_every_address_is_the_one_outside(berth: Installation, proxy: Proxy) -> None:
    """Location, the realm, the page after signing in: scheme, host and port of the proxy."""
    asked = httpx.get(f"{berth.registry_url}/v2/", verify=berth.verify)
    assert asked.status_code == 401
    assert f'realm="{berth.url}/jwt/auth"' in asked.headers["WWW-Authenticate"]
    begun = berth.request("POST", "/v2/root/app/blobs/uploads/", "repository:root/app:pull,push")
    assert begun.status_code == 202
    location = begun.url.join(begun.headers["Location"])
    assert (location.scheme, location.host, location.port) == ("https", REGISTRY, proxy.port)
    page = httpx.get(f"{berth.url}/dashboard", verify=berth.verify)
    moved = page.url.join(page.headers.get("Location", ""))
    assert (moved.scheme, moved.host, moved.port) == ("https", GITLAB, proxy.port)
    assert (
        "Secure"
        in httpx.get(f"{berth.url}/users/sign_in", verify=berth.verify).headers["Set-Cookie"]
    )


def test_an_encoded_path_reaches_the_api(berth: Installation, proxy: Proxy) -> None:
    """A slash inside of ``:id`` is no other; the links of a page are the proxy's."""
    with Wire(berth, "root/app") as wire:
        wire.push_blob(b"so that there is a project")
    token = {"PRIVATE-TOKEN": berth.api_token("root")}
    for path in ("projects/root%2Fapp", "projects/root%2fapp/members/all?per_page=1"):
        answer = httpx.get(f"{berth.url}/api/v4/{path}", headers=token, verify=berth.verify)
        assert answer.status_code == 200, answer.text
    assert answer.links["first"]["url"].startswith(f"{berth.url}/api/v4/projects/root%2Fapp/")
    plain = httpx.get(f"{berth.url}/api/v4/projects/root/app", headers=token, verify=berth.verify)
    assert plain.status_code == 404
    chunked = httpx.put(
        f"{berth.url}/api/v4/projects/root%2Fapp",
        headers={**token, "Content-Type": "application/json"},
        content=iter([b'{"descrip', b'tion": "in pieces"}']),
        verify=berth.verify,
    )
    assert chunked.json()["description"] == "in pieces", chunked.text


def test_a_chunked_body_larger_than_any_limit_of_a_proxy(berth: Installation, proxy: Proxy) -> None:
    """It arrives while it is being sent: nothing of it lies on the proxy's disk."""
    piece, scope = bytes(2**20), "repository:root/app:pull,push"
    begun = berth.request("POST", "/v2/root/app/blobs/uploads/", scope)

    def pieces() -> Iterator[bytes]:
        for _ in range(48):
            yield piece

    sent = berth.request("PATCH", begun.headers["Location"], scope, content=pieces())
    assert sent.status_code == 202, sent.text
    assert sent.headers["Range"] == f"0-{48 * 2**20 - 1}"
    assert sum(path.stat().st_size for path in proxy.folder.rglob("*") if path.is_file()) < 2**20


def test_a_blob(berth: Installation, proxy: Proxy) -> None:
    """Whoever sends the bytes, what names them is the same; ranges and conditions hold."""
    content = images.layer({"file": b"something to read\n" * 500})
    digest = digest_of(content)
    with Wire(berth, "root/app") as wire:
        wire.push_blob(content)
        whole = wire.get(f"blobs/{digest}")
        assert whole.content == content
        part = wire.http.get(f"blobs/{digest}", headers={"Range": "bytes=5-14"})
        other = wire.http.get(
            f"blobs/{digest}", headers={"Range": "bytes=5-14", "If-Range": '"other"'}
        )
        head = wire.http.head(f"blobs/{digest}")
    for answer in (whole, part, head):
        assert answer.headers["Docker-Content-Digest"] == digest
        assert answer.headers["ETag"] == f'"{digest}"'
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        # nginx leaves it out of a 206; it must not stand there twice.
        assert answer.headers.get("Accept-Ranges") in ("bytes", None if answer is part else "bytes")
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Request-Id"]
        assert "Last-Modified" not in answer.headers
        assert "X-Accel-Redirect" not in answer.headers
    assert (part.status_code, part.content) == (206, content[5:15])
    assert (other.status_code, other.content) == (200, content)
    assert head.headers["Content-Length"] == str(len(content))


def test_files_are_reached_through_the_registry_only(berth: Installation, proxy: Proxy) -> None:
    content = b"not for everybody"
    with Wire(berth, "root/app") as wire:
        wire.push_blob(content)
    encoded = digest_of(content).partition(":")[2]
    file = f"/-/blobs/blobs/sha256/{encoded[:2]}/{encoded[2:4]}/{encoded}"
    for path in (file, "/-/blobs/", "/-/metrics"):
        assert httpx.get(f"{berth.registry_url}{path}", verify=berth.verify).status_code == 404


def test_a_forged_host_is_refused(berth: Installation, proxy: Proxy) -> None:
    for url in (berth.url, berth.registry_url):
        for forged in ("evil.example", f"evil.example:{proxy.port}", f"{REGISTRY}.evil.example"):
            answer = httpx.get(f"{url}/v2/", headers={"Host": forged}, verify=berth.verify)
            assert answer.status_code == 421, (url, forged)
            assert "evil" not in answer.text


def test_what_a_client_forwards_counts_for_nothing(berth: Installation, proxy: Proxy) -> None:
    """Neither its scheme, nor a request id of its own, nor a name that the proxy did not see."""
    forged = {
        "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example",
        "X-Request-Id": "chosen-by-the-client", "X-Accel-Redirect": "/-/blobs/",
    }  # fmt: skip
    answer = httpx.get(f"{berth.url}/users/sign_in", headers=forged, verify=berth.verify)
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "evil.example" not in answer.text
    given = answer.headers["X-Request-Id"]
    assert given != "chosen-by-the-client"
    # One id in the proxy's log and in the answer of the process behind it.
    wait_until(lambda: proxy.program == "haproxy" or given in proxy.log(), timeout=60)


def test_the_log_of_requests_holds_no_secret(berth: Installation, proxy: Proxy) -> None:
    scope = "repository:root/app:pull,push"
    begun = berth.request("POST", "/v2/root/app/blobs/uploads/", scope)
    location = begun.headers["Location"]
    berth.request("PATCH", location, scope, content=b"x")
    path, _, query = location.partition("?")
    wait_until(lambda: path in proxy.log(), timeout=60)
    log = proxy.log()
    assert query
    assert query not in log
    assert "eyJ" not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(line["path"] == path and line["status"] == 202 for line in lines)


def test_another_name_gets_no_certificate(berth: Installation, proxy: Proxy) -> None:
    if proxy.program != "nginx":
        pytest.skip("haproxy presents its only certificate; the name is refused a step later")
    context = ssl.create_default_context(cafile=proxy.certificates.authority)
    with (
        socket.create_connection(("127.0.0.1", proxy.port)) as line,
        pytest.raises(ssl.SSLError, match="unrecognized name"),
    ):
        context.wrap_socket(line, server_hostname="localhost")


def doctor(machine: Machine, berth: Installation, **settings: str) -> dict[str, str]:
    """What the doctor finds from behind the proxy, by check, with the settings it names."""
    ran = subprocess.run(
        [*machine.prefix, sys.executable, "manage.py", "doctor", "--format", "json"],
        cwd=PROJECT, env={**berth.environment, **settings}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.stdout, ran.stderr
    return {one["check"]: one["setting"] for one in json.loads(ran.stdout) if not one["ok"]}


def test_the_doctor_finds_nothing(machine: Machine, berth: Installation) -> None:
    assert doctor(machine, berth) == {}


@pytest.mark.parametrize(
    ("line", "spoiled", "check"),
    [
        ("client_max_body_size 0;", "client_max_body_size 1m;", "large_bodies"),
        ("proxy_request_buffering off;", "proxy_redirect / http://$host/;", "location"),
    ],
)
def test_the_doctor_finds_what_nginx_spoils(
    machine: Machine,
    berth: Installation,
    proxy: Proxy,
    tmp_path: Path,
    line: str,
    spoiled: str,
    check: str,
) -> None:
    if proxy.program != "nginx":
        pytest.skip("nginx's own lines")
    worse = replace(proxy, folder=tmp_path / "worse", port=free_port(), changed={line: spoiled})
    worse.start()
    try:
        found = doctor(machine, berth, REGISTRY_EXTERNAL_URL=f"https://{REGISTRY}:{worse.port}")
    finally:
        worse.stop()
    assert set(found) == {check}
    assert "proxy" in found[check]
