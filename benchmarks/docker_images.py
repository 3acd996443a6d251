"""``docker push`` and ``docker pull`` of an image of ten layers, by the wall clock."""

from __future__ import annotations

import os
import subprocess
import time

from benchmarks.servers import Bench, Server

LAYERS = 10
LAYER_SIZE = 12 * 1024 * 1024
_START_TIMEOUT = 60.0


class Docker:
    """A docker daemon of its own, with one image for each round."""

    def __init__(self, bench: Bench) -> None:
        self.folder = bench.folder / "dockerd"
        self.folder.mkdir()
        socket = self.folder / "socket"
        self.environment = {
            **os.environ,
            "DOCKER_HOST": f"unix://{socket}",
            "DOCKER_CONFIG": str(self.folder / "config"),
            "DOCKER_BUILDKIT": "0",
        }
        command = ["dockerd", "-H", f"unix://{socket}", "--iptables=false", "--bridge=none"]
        command += ["--data-root", str(self.folder / "data"), "--pidfile", str(self.folder / "pid")]
        command += ["--exec-root", str(self.folder / "exec")]
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + _START_TIMEOUT
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.round = 0

    def run(self, *arguments: str, given: str | None = None) -> str:
        """A command of the client; what it printed."""
        done = subprocess.run(
            ["docker", *arguments],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def login(self, server: Server, name: str, password: str) -> None:
        """Remember credentials for a registry."""
        self.run(
            "login", f"localhost:{server.port}", "-u", name, "--password-stdin", given=password
        )

    def build(self) -> str:
        """A new image that shares no layer with any before; its name."""
        self.round += 1
        context = self.folder / f"context-{self.round}"
        context.mkdir()
        lines = ["FROM scratch"]
        for number in range(LAYERS):
            (context / f"layer-{number}").write_bytes(os.urandom(LAYER_SIZE))
            lines.append(f"COPY layer-{number} /layer-{number}")
        (context / "Dockerfile").write_text("\n".join(lines))
        name = f"bench:{self.round}"
        self.run("build", "-q", "-t", name, str(context))
        return name

    def time_push(self, server: Server) -> float:
        """Seconds of the push of a new image."""
        image = self.build()
        target = f"localhost:{server.port}/root/bench/image:{self.round}"
        self.run("tag", image, target)
        started = time.perf_counter()
        self.run("push", "-q", target)
        seconds = time.perf_counter() - started
        self.run("rmi", "-f", target, image)
        return seconds

    def time_pull(self, server: Server) -> float:
        """Seconds of the pull of an image that the daemon does not have."""
        image = self.build()
        target = f"localhost:{server.port}/root/bench/image:{self.round}"
        self.run("tag", image, target)
        self.run("push", "-q", target)
        self.run("rmi", "-f", target, image)
        started = time.perf_counter()
        self.run("pull", "-q", target)
        seconds = time.perf_counter() - started
        self.run("rmi", "-f", target)
        return seconds

    def stop(self) -> None:
        """End the daemon."""
        self.process.terminate()
        self.process.wait(30)
