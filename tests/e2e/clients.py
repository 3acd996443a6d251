"""docker, podman, skopeo and buildah, each with its own storage and its own file of logins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.e2e import images
from tests.e2e.components import find
from tests.e2e.images import Image
from tests.e2e.installation import Installation


class Refused(AssertionError):
    """A client ended with an exit code other than 0. The text is what it printed."""


def run(
    arguments: list[Any], *, env: dict[str, str], given: str | None = None, timeout: float = 300
) -> str:
    """What a program prints on stdout. Raises `Refused`."""
    ran = subprocess.run(
        [str(argument) for argument in arguments],
        env=env,
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if ran.returncode:
        raise Refused(f"{' '.join(map(str, arguments))}\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def trust(installation: Installation, side: str = "") -> str:
    """The option that podman, skopeo and buildah need; `side` is ``src-`` or ``dest-``."""
    if installation.authority is None:
        return f"--{side}tls-verify=false"
    return f"--{side}cert-dir={installation.authority.parent}"


class Docker:
    """A docker client and the daemon that it talks to."""

    def __init__(
        self, folder: Path, prefix: Sequence[str] = (), *, has_networks: bool = False
    ) -> None:
        """`prefix` stands before both programs: ``ip netns exec …``.

        Only a machine of its own (tests.e2e.nodes) may have networks: they change its firewall.
        """
        self.folder = folder
        self._prefix = prefix
        self._networks = [] if has_networks else ["--iptables=false", "--bridge=none"]
        self._config = folder / "config"
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon, with nothing of the machine's own docker."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "daemon.json").write_text("{}")
        env = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        with (self.folder / "log").open("wb") as log:
            self._popen = subprocess.Popen(
                [*self._prefix, find("dockerd") or "dockerd", "--config-file", self.folder / "daemon.json",
                 "--data-root", self.folder / "data", "--exec-root", self.folder / "exec",
                 "-p", self.folder / "pid", "-H", self.address, *self._networks],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                self("version")
            except Refused:
                if self._popen.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.2)
            else:
                return

    def stop(self, *, keep: bool = False) -> None:
        """End the daemon, and remove what it had unless that is kept for the next one."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(self._popen.pid, 9)
                self._popen.wait()
        # A build on the machine's network leaves a mount of its namespace.
        for line in Path("/proc/self/mounts").read_text().splitlines():
            place = line.split()[1]
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", place], capture_output=True)
        # What a daemon that was killed has left there is taken for running by the next one.
        shutil.rmtree(self.folder / "exec" if keep else self.folder, ignore_errors=True)

    @property
    def address(self) -> str:
        """Where the daemon listens, for `DOCKER_HOST`."""
        return f"unix://{self.folder}/socket"

    def __call__(self, *arguments: Any, given: str | None = None) -> str:
        """``docker …``"""
        env = {
            **os.environ,
            "DOCKER_HOST": self.address,
            "DOCKER_CONFIG": str(self._config),
            "DOCKER_BUILDKIT": "0",
        }
        return run([*self._prefix, find("docker") or "docker", *arguments], env=env, given=given)

    def use_config(self, folder: Path) -> None:
        """Keep logins in `folder` from now on."""
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder

    def login(self, registry: str, username: str, password: str) -> str:
        """``docker login``"""
        return self("login", "--username", username, "--password-stdin", registry, given=password)

    def load(self, image: Image, name: str) -> None:
        """Bring `image` into the daemon under `name`."""
        archive = images.write_docker_archive(image, self.folder / "image.tar", name)
        try:
            self("load", "--quiet", "--input", archive)
        finally:
            archive.unlink()

    def inspect(self, name: str) -> dict[str, Any]:
        """``docker image inspect``"""
        found: dict[str, Any] = json.loads(self("image", "inspect", name))[0]
        return found

    def remove_images(self) -> None:
        """Forget every image, so that a pull has to fetch it."""
        # Without --all: an image's parents go with it.
        while ids := set(self("images", "--quiet", "--no-trunc").split()):
            self("image", "rm", "--force", *ids)


class _Containers:
    """What podman, skopeo and buildah share."""

    program: str

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        """`prefix` stands before the program: ``ip netns exec …``."""
        self.folder = folder
        self._prefix = prefix
        for name in ("run", "tmp", "home"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "auth.json").write_text("{}")
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def __call__(self, *arguments: Any, given: str | None = None) -> str:
        env = {
            **os.environ,
            "HOME": str(self.folder / "home"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "TMPDIR": str(self.folder / "tmp"),
            "REGISTRY_AUTH_FILE": str(self.folder / "auth.json"),
        }
        env.pop("XDG_CONFIG_HOME", None)
        return run(
            [*self._prefix, find(self.program) or self.program, *self._options(), *arguments],
            env=env, given=given,
        )  # fmt: skip

    def _options(self) -> list[Any]:
        return []

    def login(
        self, registry: str, username: str, password: str, trust: str = "--tls-verify=false"
    ) -> str:
        """Log in to a registry, on plain http unless `trust` says how to verify it."""
        return self("login", trust, "--username", username, "--password-stdin", registry, given=password)  # fmt: skip


class _WithStorage(_Containers):
    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        super().__init__(folder, prefix)
        # podman refuses a path of more than 50 characters here.
        self._runroot = Path(tempfile.mkdtemp(prefix="berth-run-"))

    def _options(self) -> list[Any]:
        return [
            "--root", self.folder / "storage", "--runroot", self._runroot,
            "--storage-driver", "vfs",
        ]  # fmt: skip

    def remove(self) -> None:
        """Remove the storage."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self._runroot, ignore_errors=True)


class Podman(_WithStorage):
    """``podman …``"""

    program = "podman"

    def _options(self) -> list[Any]:
        return [*super()._options(), "--cgroup-manager", "cgroupfs"]


class Buildah(_WithStorage):
    """``buildah …``"""

    program = "buildah"


class Skopeo(_Containers):
    """``skopeo …``"""

    program = "skopeo"

    def _options(self) -> list[Any]:
        return ["--policy", self.folder / "policy.json"]
