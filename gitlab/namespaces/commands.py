"""The commands that pages show, filled in with this installation's registry."""

from __future__ import annotations

from django.conf import settings

from gitlab.namespaces.standings import Anybody


def registry_host() -> str:
    """What stands before the path of an image: ``localhost:5000``."""
    return str(settings.CONTAINER_REGISTRY_HOST_PORT)


def login(user: Anybody) -> str:
    """``docker login``, with the person's name where they are known."""
    name = f" -u {user.username}" if user is not None and user.is_authenticated else ""
    return f"docker login {registry_host()}{name}"


def address(path: str) -> str:
    """The whole name of an image."""
    return f"{registry_host()}/{path}"


def build(path: str) -> str:
    """``docker build`` from the folder one is in."""
    return f"docker build -t {address(path)} ."


def tag(image: str, path: str) -> str:
    """``docker tag`` for an image that is there already."""
    return f"docker tag {image} {address(path)}"


def push(path: str) -> str:
    """``docker push``."""
    return f"docker push {address(path)}"


def pull(path: str) -> str:
    """``docker pull``."""
    return f"docker pull {address(path)}"
