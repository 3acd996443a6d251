"""docker-compose.yml as it stands: up, docker's push and pull through nginx and TLS, and
operation.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.compose.conftest import GITLAB, REGISTRY, Composition
from tests.e2e import images
from tests.e2e.clients import Docker, Refused
from tests.e2e.installation import wait_until

pytestmark = [
    pytest.mark.compose,
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.engineless,
    pytest.mark.xdist_group("compose"),
]

NAME = f"{REGISTRY}/root/app"


def push(client: Docker, name: str, image: images.Image) -> None:
    client.load(image, name)
    client("push", "--quiet", name)


def pull(client: Docker, name: str) -> str:
    """The id of an image that was fetched anew."""
    client.remove_images()
    client("pull", "--quiet", name)
    identity: str = client.inspect(name)["Id"]
    return identity


def test_two_minutes_later_a_push_works(site: Composition, client: Docker) -> None:
    image = images.large(8)
    push(client, f"{NAME}:first", image)
    assert pull(client, f"{NAME}:first") == image.id
    print(f"up, well and logged in after {site.seconds:.0f} s")
    assert site.seconds < 120


def test_the_image_is_small(site: Composition) -> None:
    """What it adds to Python's own, of which the official one has some 130 MB."""
    sizes = [
        site.docker.inspect(name)["Size"] for name in ("berth:latest", "python:3.11-slim-bookworm")
    ]
    added = (sizes[0] - sizes[1]) / 10**6
    print(f"the image adds {added:.0f} MB")
    assert added < 150


def test_nobody_is_root_and_nothing_is_written_outside(site: Composition) -> None:
    for container in site.containers():
        name = container["Config"]["Labels"]["com.docker.compose.service"]
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert [drop.upper() for drop in host["CapDrop"]] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert not host["Privileged"], name
        user = container["Config"]["User"].partition(":")[0]
        # `setup` gives files away, then it is gone; it has no network meanwhile.
        assert (user not in ("", "0", "root")) or (name, host["NetworkMode"]) == ("setup", "none")
    for service in ("web", "registry", "worker", "beat"):
        assert site.inside(service, "id", "--user").strip() == "10001"
        with pytest.raises(Refused, match="Read-only file system"):
            site.inside(service, "touch", "/opt/berth/here")


def test_each_has_its_own_secrets_and_only_those(site: Composition) -> None:
    holds_key = "grep -rlE 'BEGIN [A-Z ]*PRIVATE KEY' /run/secrets /var/lib/berth || true"
    for service in ("web", "registry", "worker", "beat", "nginx", "postgres", "redis"):
        script = "find /run/secrets -type f ! -name ca.crt ! -perm 0600; find /run/secrets -type f | wc -l"
        *open_to_others, count = site.inside(service, "sh", "-c", script).split()
        assert (open_to_others, int(count) > 0) == ([], True), service
    assert site.inside("registry", "sh", "-c", holds_key) == ""
    assert site.inside("web", "sh", "-c", holds_key).split() == ["/run/secrets/web/token.key"]
    secrets = site.inside(
        "web", "sh", "-c", "cd /run/secrets/web; cat root_password; echo; cat secret_key; echo"
    ).split()
    secrets += re.findall(
        r"://[a-z]*:([^@]+)@", site.inside("web", "cat", "/run/secrets/web/database_url")
    )
    assert len(secrets) == 3
    said = json.dumps(site.containers()) + site("logs", "--no-color")
    for secret in secrets:
        assert secret not in said
    # One role can't enter the database of the other.
    code = (
        "import psycopg, sys\n"
        "url = open('/run/secrets/registry/database_url').read()\n"
        "psycopg.connect(url.rpartition('/')[0] + '/gitlab')\n"
    )
    with pytest.raises(Refused, match="permission denied for database"):
        site.inside("registry", "python", "-c", code)


def test_a_blob_comes_from_the_store_by_nginx(site: Composition, client: Docker) -> None:
    image = images.large(3, seed=5)
    push(client, f"{NAME}:blob", image)
    password = site.password
    found = site.ask(
        f"token = client.get('https://{GITLAB}/jwt/auth', auth=('root', {password!r}),"
        " params={'service': 'container_registry', 'scope': 'repository:root/app:pull'})"
        ".json()['token']\n"
        "held = {'Authorization': f'Bearer {token}', 'Accept': '*/*'}\n"
        f"at = 'https://{REGISTRY}/v2/root/app/'\n"
        "layer = client.get(at + 'manifests/blob', headers=held).json()['layers'][0]\n"
        "address = at + 'blobs/' + layer['digest']\n"
        "whole = client.get(address, headers=held)\n"
        "import hashlib\n"
        "answer = {'digest': layer['digest'], 'size': layer['size'],"
        " 'hash': 'sha256:' + hashlib.sha256(whole.content).hexdigest(),"
        " 'headers': sorted(whole.headers.multi_items()),"
        " 'part': [client.get(address, headers={**held, 'Range': 'bytes=5-9'}).status_code,"
        " client.get(address, headers={**held, 'Range': 'bytes=5-9'}).text == whole.text[5:10]],"
        f" 'direct': client.get('https://{REGISTRY}/-/store/registry/').status_code,"
        f" 'metrics': client.get('https://{REGISTRY}/-/metrics').status_code}}\n"
    )
    assert found["hash"] == found["digest"]
    headers = dict(found["headers"])
    assert len(headers) == len(found["headers"]), found["headers"]
    assert headers["docker-content-digest"] == found["digest"]
    assert headers["etag"] == f'"{found["digest"]}"'
    assert headers["content-type"] == "application/octet-stream"
    assert "immutable" in headers["cache-control"]
    assert not any(name.startswith("x-amz") for name in headers)
    assert (found["direct"], found["metrics"]) == (404, 404)
    lines = [line for line in site("logs", "--no-color", "nginx").splitlines() if "{" in line]
    entries = [json.loads(line[line.index("{") :]) for line in lines]
    path = f"/v2/root/app/blobs/{found['digest']}"
    fetched = [e for e in entries if e["path"] == path and e["method"] == "GET"]
    # Two upstreams for one request: the registry, then the store.
    assert fetched
    assert all(":" in entry["upstream_seconds"] for entry in fetched)
    assert password not in str(entries)


def test_the_worker_deletes_and_the_bytes_go(site: Composition, client: Docker) -> None:
    before = stored(site)
    push(client, f"{REGISTRY}/root/gone:1", images.large(6, seed=23))
    assert stored(site) > before + 6 * 2**20
    site.python(
        "from gitlab.accounts.models import User\n"
        "from gitlab.container_registry import deletion\n"
        "from gitlab.container_registry.models import ContainerRepository\n"
        "image = ContainerRepository.objects.get(project__full_path='root/gone')\n"
        "deletion.schedule(User.objects.get(username='root'), image)\n"
    )
    wait_until(lambda: stored(site) < before + 2**20, timeout=240, interval=2)
    client.remove_images()
    with pytest.raises(Refused, match=r"not found|unknown"):
        client("pull", f"{REGISTRY}/root/gone:1")


def stored(site: Composition) -> int:
    """The bytes of all objects in the store, as the registry sees them."""
    code = (
        "from registry.storage import chosen\n"
        "print(sum(blob.size for blob in chosen.current().blobs()))"
    )
    said = site.inside(
        "registry", "env", "BERTH__ROLES=registry",
        "python", "manage.py", "shell", "--no-imports", "-c", code,
    )  # fmt: skip
    return int(said.split()[-1])


def test_the_doctor_finds_nothing(site: Composition) -> None:
    """Seen from beside the processes, which have no way to the names outside: those are
    left out.
    """
    try:
        said = site.manage("doctor", "--format", "json")
    except Refused as refused:
        said = str(refused)
    found = json.loads(said[said.index("[") : said.rindex("]") + 1])
    assert {check["check"] for check in found if not check["ok"]} <= {"realm", "route"}
    assert {"key_pair", "migrations", "issuer", "token_accepted", "http_secret", "store"} <= {
        check["check"] for check in found if check["ok"]
    }


def test_it_survives_a_restart_of_each_part(site: Composition, client: Docker) -> None:
    image = images.large(2, seed=31)
    push(client, f"{NAME}:kept", image)
    # Stopped and started, all get other addresses; nginx asks for them anew.
    site("restart", "--timeout", "60", timeout=900)
    site.wait()
    assert pull(client, f"{NAME}:kept") == image.id
    site("kill", "registry", "store", "postgres", "redis")
    site.up()
    assert pull(client, f"{NAME}:kept") == image.id
    again = images.large(2, seed=32)
    push(client, f"{NAME}:again", again)
    assert pull(client, f"{NAME}:again") == again.id


def test_down_and_up_keep_everything(site: Composition, client: Docker) -> None:
    image = images.tiny("down and up")
    push(client, f"{NAME}:tiny", image)
    password = site.password
    site("down", "--timeout", "60", timeout=900)
    site.up()
    assert site.password == password
    assert pull(client, f"{NAME}:tiny") == image.id


def test_a_second_registry_and_a_second_web(site: Composition, client: Docker) -> None:
    site(
        "up", "--detach", "--no-build", "--no-recreate", "--scale", "registry=2", "--scale", "web=2"
    )
    wait_until(lambda: len(site.containers()) >= 12 and site.is_well(), timeout=180, interval=1)
    for number in range(4):
        image = images.large(2, seed=40 + number)
        push(client, f"{NAME}:scaled{number}", image)
        assert pull(client, f"{NAME}:scaled{number}") == image.id
    site(
        "up", "--detach", "--no-build", "--no-recreate", "--scale", "registry=1", "--scale", "web=1"
    )


def test_a_new_key_without_a_restart(site: Composition, client: Docker) -> None:
    name = f"{NAME}:key"
    image = images.tiny("a new key")
    push(client, name, image)
    before = site.inside("web", "cat", "/run/secrets/web/token.crt")
    for step in ("trust-new-key", "use-new-key", "forget-old-keys"):
        site("run", "--rm", "-T", "setup", step)
        assert pull(client, name) == image.id, step
    after = site.inside("web", "cat", "/run/secrets/web/token.crt")
    assert after != before
    assert after.count("BEGIN CERTIFICATE") == 1
    assert site.inside("registry", "cat", "/run/secrets/registry/token.crt") == after
    assert site.states()["registry"] == "healthy"


def test_everything_is_lost_and_comes_back(
    site: Composition, client: Docker, tmp_path: Path
) -> None:
    """Backup while it runs, no volume left, restore, everything verified, pull and push."""
    image = images.large(4, seed=77)
    push(client, f"{NAME}:precious", image)
    folder = tmp_path / "backup"
    folder.mkdir()
    os.chown(folder, 10001, 10001)
    secrets = ("web", "registry", "postgres", "redis", "store", "nginx")
    archive = tmp_path / "secrets.tar"
    site("run", "--rm", "-T", "--volume", f"{folder}:/backup", "manage", "backup", "/backup/one")
    site(
        "run", "--rm", "-T", "--no-deps", "--volume", f"{tmp_path}:/backup", "--entrypoint", "tar",
        "setup", "-cf", f"/backup/{archive.name}", "-C", "/volumes", *secrets,
    )  # fmt: skip
    password = site.password
    site("down", "--volumes", "--timeout", "10", timeout=900)

    site(
        "run", "--rm", "-T", "--no-deps", "--volume", f"{tmp_path}:/backup", "--entrypoint", "tar",
        "setup", "-xf", f"/backup/{archive.name}", "-C", "/volumes",
    )  # fmt: skip
    site("run", "--rm", "-T", "--volume", f"{folder}:/backup", "manage", "restore", "/backup/one")
    verified = json.loads(site.manage("registry_verify", "--read-data", "--format", "json"))
    assert verified["findings"] == []
    site.up()
    assert site.password == password
    assert pull(client, f"{NAME}:precious") == image.id
    again = images.large(2, seed=78)
    push(client, f"{NAME}:again", again)
    assert pull(client, f"{NAME}:again") == again.id
