"""The images of others that docker-compose.yml and deploy/Dockerfile name, made of Debian's
packages.

No image registry is asked. Each keeps the contract that the file relies on: the names of programs,
the user ids, and of postgres the entrypoint's documented variables and folders. They take over this
machine's certificates and the package settings of pip, and nothing of them is in the files tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.e2e.clients import Docker
from tests.e2e.components import find

BASE = "berth-test/debian"

_POSTGRES = r"""#!/bin/bash
# What https://hub.docker.com/_/postgres promises, as far as docker-compose.yml uses it.
set -euo pipefail
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) psql --username "$POSTGRES_USER" --file "$file" ;;
        esac
    done
    pg_ctl --wait --mode=fast stop
fi
exec "$@"
"""

_INSTALL = "RUN apt-get update && apt-get install --yes --no-install-recommends"
_CLEAN = "&& rm -rf /var/lib/apt/lists/* /var/cache/apt"

FILES = {
    "python:3.11-slim-bookworm": f"""
        {_INSTALL} python3 python3-venv ca-certificates {_CLEAN}
        RUN ln -s /usr/bin/python3 /usr/local/bin/python3 && ln -s python3 /usr/local/bin/python
        COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
        COPY pip.conf /etc/pip.conf
    """,
    "postgres:15-bookworm": f"""
        RUN groupadd --system --gid 999 postgres && useradd --system --uid 999 --gid 999 postgres
        {_INSTALL} postgresql-15 {_CLEAN}
        ENV PATH=/usr/local/bin:/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin
        RUN mkdir /docker-entrypoint-initdb.d
        COPY postgres /usr/local/bin/docker-entrypoint.sh
        ENTRYPOINT ["docker-entrypoint.sh"]
        CMD ["postgres", "-c", "listen_addresses=*"]
    """,
    "redis:7-bookworm": f"""
        RUN groupadd --system --gid 999 redis && useradd --system --uid 999 --gid 999 redis
        {_INSTALL} redis-server {_CLEAN}
    """,
    "nginx:1.28-bookworm": f"""
        RUN groupadd --system --gid 101 nginx && useradd --system --uid 101 --gid 101 nginx
        {_INSTALL} nginx-light curl {_CLEAN}
    """,
    "chrislusf/seaweedfs:4.48": f"""
        {_INSTALL} wget {_CLEAN}
        COPY weed /usr/bin/weed
    """,
}


def build(docker: Docker, folder: Path) -> None:
    """Make those that the daemon does not have yet. It needs the host's network."""
    present = set(docker("images", "--format", "{{.Repository}}:{{.Tag}}").split())
    if f"{BASE}:latest" not in present:
        _make_base(docker, folder)
    for name, lines in FILES.items():
        if name not in present:
            _make(docker, folder / name.replace("/", "-").replace(":", "-"), name, lines)


def _make_base(docker: Docker, folder: Path) -> None:
    root = folder / "debian"
    program = find("debootstrap")
    assert program
    subprocess.run(
        [program, "--variant=minbase", "bookworm", root, "http://deb.debian.org/debian"],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )  # fmt: skip
    shutil.rmtree(root / "var" / "cache" / "apt" / "archives")
    for path in (root / "var" / "lib" / "apt" / "lists").glob("*_*"):
        path.unlink()
    # Packages start nothing while they are installed.
    policy = root / "usr" / "sbin" / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    archive = folder / "debian.tar"
    subprocess.run(["tar", "--create", "--file", archive, "--directory", root, "."], check=True)
    docker("import", archive, f"{BASE}:latest")
    archive.unlink()
    shutil.rmtree(root)


def _make(docker: Docker, folder: Path, name: str, lines: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join([f"FROM {BASE}:latest", *(line.strip() for line in lines.splitlines())])
    (folder / "Dockerfile").write_text(f"{text}\n")
    (folder / "postgres").write_text(_POSTGRES)
    (folder / "postgres").chmod(0o755)
    bundle = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    shutil.copy(bundle, folder / "ca-certificates.crt")
    settings = Path("/etc/pip.conf")
    (folder / "pip.conf").write_text(settings.read_text() if settings.exists() else "")
    if "COPY weed" in text:
        weed = find("weed")
        assert weed
        shutil.copy(weed, folder / "weed")
    docker("build", "--quiet", "--network", "host", "--tag", name, folder)
    shutil.rmtree(folder)
