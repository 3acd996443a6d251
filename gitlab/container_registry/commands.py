"""The commands that the pages of images show, filled in with this installation's registry."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from gitlab.namespaces import commands
from gitlab.namespaces.standings import Anybody


@dataclass(frozen=True)
class Tool:
    """A client with its commands: (label, text)."""

    name: str
    steps: list[tuple[str, str]]


def _insecure() -> str:
    """What podman, buildah and skopeo want to be told where the registry speaks plain http."""
    return "--tls-verify=false " if settings.CONTAINER_REGISTRY_PLAIN_HTTP else ""


def _user(user: Anybody) -> str:
    return f"-u {user.username} " if user is not None and user.is_authenticated else ""


def tools(path: str, user: Anybody) -> list[Tool]:
    """How each client pushes an image to `path`."""
    host, name, plain = commands.registry_host(), commands.address(path), _insecure()
    there = plain.replace("--", "--dest-")
    return [
        Tool(
            "docker",
            [
                ("1. Sign in", commands.login(user)),
                ("2. Build, in a folder with a Dockerfile", commands.build(path)),
                ("3. Push", commands.push(path)),
            ],
        ),
        Tool(
            "podman",
            [
                ("1. Sign in", f"podman login {plain}{_user(user)}{host}"),
                ("2. Build, in a folder with a Dockerfile", f"podman build -t {name} ."),
                ("3. Push", f"podman push {plain}{name}"),
            ],
        ),
        Tool(
            "skopeo",
            [
                ("1. Sign in", f"skopeo login {plain}{_user(user)}{host}"),
                ("2. Copy from elsewhere", f"skopeo copy {there}docker://alpine docker://{name}"),
            ],
        ),
    ]


def pull(path: str, tag: str = "", digest: str = "") -> str:
    """``docker pull`` by tag, or by digest."""
    end = f"@{digest}" if digest else f":{tag}" if tag else ""
    return commands.pull(f"{path}{end}")
