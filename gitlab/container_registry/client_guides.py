"""How each tool reaches a project's images, with the reader's own addresses: texts, without I/O.

Whoever reads copies: so nothing but the credential is left to fill in, and that never stands in a
command, where a shell would remember it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

PASSWORD = "$BERTH_TOKEN"  # noqa: S105  (the name of a variable)
_PLACEHOLDER = "TOKEN"


@dataclass(frozen=True)
class Place:
    """An image at `host`, for who signs in as `user`; `is_plain` where that is plain http."""

    host: str
    path: str
    user: str
    is_plain: bool = False
    tag: str = "latest"

    @property
    def image(self) -> str:
        """The whole name, without a tag."""
        return f"{self.host}/{self.path}"

    @property
    def reference(self) -> str:
        """The whole name with the tag."""
        return f"{self.image}:{self.tag}"

    @property
    def secret_name(self) -> str:
        """What a pull secret of Kubernetes may be called: a DNS label."""
        last = re.sub(r"[^a-z0-9]+", "-", self.path.rpartition("/")[2].lower()).strip("-")
        return f"pull-{last[:40] or 'image'}".rstrip("-")


@dataclass(frozen=True)
class Guide:
    """A tool, what to know of it, and its steps: (label, text to copy)."""

    name: str
    note: str
    steps: list[tuple[str, str]]


def guides(place: Place) -> list[Guide]:
    """All of them, those at a person's desk first."""
    return [*_desk(place), *_cluster(place), *_pipelines(place), *_artifacts(place)]


def _login(place: Place, tool: str, plain: str = "") -> str:
    options = f"{plain} " if plain and place.is_plain else ""
    return f"{tool} login {options}-u {place.user} {place.host}"


def _from_variable(place: Place, tool: str, plain: str = "") -> str:
    """The login of a machine: the token comes from its environment, by the input."""
    options = f"{plain} " if plain and place.is_plain else ""
    return (
        f'echo "{PASSWORD}" | {tool} login {options}-u "$BERTH_USER" --password-stdin {place.host}'
    )


def _desk(place: Place) -> Iterator[Guide]:
    plain = "--tls-verify=false " if place.is_plain else ""
    yield Guide(
        "docker",
        "Plain http works from this machine alone, unless the daemon is told of the registry."
        if place.is_plain
        else "",
        [
            ("Sign in", _login(place, "docker")),
            (
                "Build and push",
                f"docker build -t {place.reference} .\ndocker push {place.reference}",
            ),
            ("Pull", f"docker pull {place.reference}"),
        ],
    )
    yield Guide(
        "podman",
        "",
        [
            ("Sign in", _login(place, "podman", "--tls-verify=false")),
            (
                "Build and push",
                f"podman build -t {place.reference} .\npodman push {plain}{place.reference}",
            ),
            ("Pull", f"podman pull {plain}{place.reference}"),
        ],
    )
    insecure = "--insecure-registry " if place.is_plain else ""
    yield Guide(
        "containerd",
        "nerdctl keeps the login where docker does; ctr is given it each time, and asks.",
        [
            ("Sign in", f"nerdctl {insecure}login -u {place.user} {place.host}"),
            ("Pull", f"nerdctl {insecure}pull {place.reference}"),
            (
                "Pull with ctr",
                (
                    f"ctr images pull --user {place.user} "
                    f"{'--plain-http ' if place.is_plain else ''}{place.reference}"
                ),
            ),
        ],
    )


def _cluster(place: Place) -> Iterator[Guide]:
    yield Guide(
        "Kubernetes",
        "The nodes pull, so the secret holds the credential of a machine: a deploy token that may"
        " read. Fill its user name and text into the file, or let kubectl make the secret.",
        [
            (
                "Make the secret",
                (
                    f"kubectl create secret docker-registry {place.secret_name} \\\n"
                    f"  --docker-server={place.host} \\\n"
                    f'  --docker-username="$BERTH_USER" --docker-password="{PASSWORD}"'
                ),
            ),
            (
                "Use it in a pod",
                (
                    "spec:\n  imagePullSecrets:\n"
                    f"    - name: {place.secret_name}\n  containers:\n"
                    f"    - name: app\n      image: {place.reference}"
                ),
            ),
        ],
    )


def _pipelines(place: Place) -> Iterator[Guide]:
    yield Guide(
        "GitHub Actions",
        "BERTH_USER and BERTH_TOKEN are secrets of the repository.",
        [
            (
                "Steps of a job",
                (
                    "- uses: docker/login-action@v3\n  with:\n"
                    f"    registry: {place.host}\n"
                    "    username: ${{ secrets.BERTH_USER }}\n"
                    "    password: ${{ secrets.BERTH_TOKEN }}\n"
                    "- uses: docker/build-push-action@v6\n  with:\n    push: true\n"
                    f"    tags: {place.image}:${{{{ github.sha }}}}"
                ),
            ),
        ],
    )
    yield Guide(
        "GitLab CI",
        "BERTH_USER and BERTH_TOKEN are masked variables of the project.",
        [
            (
                ".gitlab-ci.yml",
                (
                    "push:\n  image: docker:28\n  services: [docker:28-dind]\n  script:\n"
                    f"    - {_from_variable(place, 'docker')}\n"
                    f"    - docker build -t {place.image}:$CI_COMMIT_SHORT_SHA .\n"
                    f"    - docker push {place.image}:$CI_COMMIT_SHORT_SHA"
                ),
            ),
        ],
    )
    scheme = "http" if place.is_plain else "https"
    yield Guide(
        "Jenkins",
        "A credential of the kind user name and password, with the id berth.",
        [
            (
                "Jenkinsfile",
                (
                    f"docker.withRegistry('{scheme}://{place.host}', 'berth') {{\n"
                    f'  docker.build("{place.image}:${{env.BUILD_NUMBER}}").push()\n}}'
                ),
            ),
        ],
    )


def _artifacts(place: Place) -> Iterator[Guide]:
    plain = "--plain-http " if place.is_plain else ""
    above = place.path.rpartition("/")[0] or place.path
    yield Guide(
        "Helm",
        "A chart is pushed below a path and gets its own name there.",
        [
            ("Sign in", _login(place, "helm registry", "--plain-http")),
            ("Push", f"helm push {plain}chart-1.0.0.tgz oci://{place.host}/{above}"),
            ("Install", f"helm install {plain}app oci://{place.image} --version 1.0.0"),
        ],
    )
    yield Guide(
        "oras",
        "",
        [
            ("Sign in", _login(place, "oras", "--plain-http")),
            ("Push a file", f"oras push {plain}{place.image}:notes notes.txt:text/plain"),
            ("What refers to it", f"oras discover {plain}{place.reference}"),
        ],
    )
    http = "--allow-http-registry " if place.is_plain else ""
    yield Guide(
        "cosign",
        "Sign by digest: a tag may point elsewhere a moment later.",
        [
            ("Sign in", f"cosign login -u {place.user} {place.host}"),
            ("Sign", f"cosign sign {http}--key cosign.key {place.image}@sha256:…"),
            ("Verify", f"cosign verify {http}--key cosign.pub {place.reference}"),
        ],
    )


def pull_secret(place: Place) -> str:
    """The pull secret as YAML, ready but for the credential.

    Source: https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/.
    """
    known = {"username": "USER", "password": _PLACEHOLDER}
    document = json.dumps({"auths": {place.host: known}}, indent=2)
    indented = "\n".join(f"    {line}" for line in document.splitlines())
    return (
        f"# Pulls {place.image}. Put the user name and the text of a deploy token that may read in\n"
        "# the place of USER and TOKEN, then: kubectl apply -f THIS-FILE\n"
        "apiVersion: v1\nkind: Secret\nmetadata:\n"
        f"  name: {place.secret_name}\n"
        "type: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: |\n"
        f"{indented}\n"
    )
