"""The commands that pages show, filled in with this installation's registry."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse

from gitlab.principals import Anybody


def registry_host() -> str:
    """What stands before the path of an image: ``localhost:5000``."""
    return str(settings.CONTAINER_REGISTRY_HOST_PORT)


def tokens_url() -> str:
    """The whole address at which access tokens are made."""
    return f"{settings.EXTERNAL_URL}{reverse('access_tokens:index')}"


def login(user: Anybody) -> str:
    """``docker login``, with the person's name where they are known."""
    name = f" -u {user.username}" if user is not None and user.is_authenticated else ""
    return f"docker login {registry_host()}{name}"


def image_name(path: str) -> str:
    """The whole name of an image."""
    return f"{registry_host()}/{path}"


def build(path: str) -> str:
    """``docker build`` from the folder one is in."""
    return f"docker build -t {image_name(path)} ."


def tag(image: str, path: str) -> str:
    """``docker tag`` for an image that is there already."""
    return f"docker tag {image} {image_name(path)}"


def push(path: str) -> str:
    """``docker push``."""
    return f"docker push {image_name(path)}"


def pull(path: str, tag: str = "", digest: str = "") -> str:
    """``docker pull``, by tag or by digest where one is given."""
    end = f"@{digest}" if digest else f":{tag}" if tag else ""
    return f"docker pull {image_name(path)}{end}"


def sign(path: str) -> str:
    """``cosign sign``, by a digest that whoever copies it fills in."""
    return f"cosign sign --key cosign.key {image_name(path)}@sha256:…"


def pull_artifact(path: str, tag: str = "", digest: str = "") -> str:
    """``oras pull``, for what is no image: docker takes none of it."""
    end = f"@{digest}" if digest else f":{tag}"
    return f"oras pull{_plain_http()} {image_name(path)}{end}"


def pull_chart(path: str, tag: str) -> str:
    """``helm pull`` of a chart, whose version its tag is."""
    return f"helm pull{_plain_http()} oci://{image_name(path)} --version {tag.replace('_', '+')}"


def fetch_blob(path: str, digest: str, name: str) -> str:
    """``oras blob fetch`` of a file."""
    return f"oras blob fetch{_plain_http()} --output {name} {image_name(path)}@{digest}"


def _plain_http() -> str:
    return " --plain-http" if settings.CONTAINER_REGISTRY_PLAIN_HTTP else ""


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
    host, name, plain = registry_host(), image_name(path), _insecure()
    there = plain.replace("--", "--dest-")
    return [
        Tool(
            "docker",
            [
                ("1. Sign in", login(user)),
                ("2. Build, in a folder with a Dockerfile", build(path)),
                ("3. Push", push(path)),
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
