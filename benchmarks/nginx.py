"""nginx in front of Berth, and beside it the same file served by nginx alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks import loads
from benchmarks.servers import Bench, Server, free_port, wait_for
from benchmarks.works import Work

PREFIX = "/-/blobs"
_CONFIG = """
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log error;
user root;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    upstream berth {{ server 127.0.0.1:{berth}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{front};
        client_max_body_size 0;
        location / {{
            proxy_pass http://berth;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
        }}
        location {prefix}/ {{
            internal;
            alias {store}/;
            add_header Docker-Content-Digest $upstream_http_docker_content_digest;
        }}
    }}
    server {{ listen 127.0.0.1:{plain}; location / {{ root {store}; }} }}
}}
"""


def start(bench: Bench, berth: Server) -> tuple[Server, Server]:
    """nginx as two servers in one process: in front of `berth`, and with the store's files."""
    front, plain = free_port(), free_port()
    config = bench.folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=bench.folder,
            berth=berth.port,
            front=front,
            plain=plain,
            prefix=PREFIX,
            store=bench.home / "registry",
        )
    )
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nginx"
    process = subprocess.Popen([program, "-c", str(config), "-p", str(bench.folder)])
    wait_for(front)
    return Server("berth behind nginx", front, process), Server("nginx alone", plain, process)


def work(token: str, digest: str, seconds: float) -> Work:
    """A large blob through both."""
    encoded = digest.partition(":")[2]
    file = Path("blobs/sha256") / encoded[:2] / encoded[2:4] / encoded

    def measure(server: Server) -> float:
        path = f"/{file}" if server.name == "nginx alone" else f"/v2/bench/app/blobs/{digest}"
        moved = loads.volume(server, path, f"Bearer {token}", connections=4, seconds=seconds)
        return moved / 1024**2

    return Work("blob GET 64 MB by nginx, against nginx alone", 0.8, "MiB/s", measure)
