"""What one may not see answers as what is not there, and takes as long.

The ordinary run compares the answers. Times on a machine that does something else besides say
little, so ``make timing`` measures them: many pairs, a tenth or 0.1 ms in the best of five rounds,
and a table.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bad_inputs.attacks import Forge
from tests.bad_inputs.checks import PRIVATE
from tests.bad_inputs.server import Node
from tests.bad_inputs.timing import Line, Measured, Request, measure
from tokens.access import Access

pytestmark = pytest.mark.xdist_group("bad-inputs")

UNKNOWN = "sha256:" + "7" * 64
SECRET = "zeta/secret-app"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
ROUNDS = 5
Pair = tuple[tuple[str, int], Request, Request]


class Pairs:
    """Each method is a pair: what exists and may not be seen, what does not exist."""

    def __init__(self, node: Node, forge: Forge) -> None:
        self.node, self.forge = node, forge

    def _token(self, *access: Access) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.forge.mint(*access)}"}

    def _basic(self, name: str, password: str) -> dict[str, str]:
        text = base64.b64encode(f"{name}:{password}".encode()).decode()
        return {"Authorization": f"Basic {text}"}

    def _auth(self, name: str, headers: dict[str, str]) -> Request:
        path = f"/jwt/auth?service=container_registry&scope=repository:{name}:pull,push"
        return Request("GET", path, headers, named=(name,))

    def anonymous_token(self) -> Pair:
        """AUTH-022, AUTH-023."""
        return self.node.web, self._auth(PRIVATE, {}), self._auth("acme/private-nop", {})

    def token_of_a_private_group(self) -> Pair:
        """A group that one may not see, or none."""
        return self.node.web, self._auth(SECRET, {}), self._auth("nope/secret-app", {})

    def token_for_no_member(self) -> Pair:
        """AUTH-025, AUTH-026."""
        headers = self._basic("nonmember1", self.node.password)
        return self.node.web, self._auth(SECRET, headers), self._auth("zeta/secret-nop", headers)

    def wrong_password(self) -> Pair:
        """AUTH-005, AUTH-006. A password is checked slowly on purpose, also nobody's."""

        def login(name: str) -> Request:
            return Request(
                "GET",
                "/jwt/auth?service=container_registry",
                self._basic(name, "wrong"),
                before=self.node.forget_failed_logins,
            )

        return self.node.web, login("dev1"), login("nobody1")

    def _manifest(self, name: str, headers: dict[str, str]) -> Request:
        return Request("GET", f"/v2/{name}/manifests/v1", headers, named=(name,))

    def manifest_without_a_token(self) -> Pair:
        """No token."""
        missing = self._manifest("zeta/secret-nop", {})
        return self.node.registry, self._manifest(SECRET, {}), missing

    def manifest_with_another_token(self) -> Pair:
        """A token for something else."""
        headers = self._token(Access.repository(PRIVATE, "pull"))
        missing = self._manifest("zeta/secret-nop", headers)
        return self.node.registry, self._manifest(SECRET, headers), missing

    def blob_of_another_repository(self) -> Pair:
        """DIG-021: a digest that is known elsewhere."""
        headers = self._token(Access.repository(PRIVATE, "pull"))

        def head(digest: str) -> Request:
            return Request("GET", f"/v2/{PRIVATE}/blobs/{digest}", headers)

        known = self.node.fixtures["SECRET"]["digest"]
        return self.node.registry, head(known), head(UNKNOWN)

    def manifest_of_another_repository(self) -> Pair:
        """A manifest's digest that is known elsewhere."""
        headers = self._token(Access.repository(PRIVATE, "pull"))

        def get(digest: str) -> Request:
            return Request("GET", f"/v2/{PRIVATE}/manifests/{digest}", headers)

        known = self.node.fixtures["SECRET_M"]["digest"]
        return self.node.registry, get(known), get(UNKNOWN)

    def mount(self) -> Pair:
        """MNT-001, MNT-002: from where one may not pull, from nowhere."""
        headers = self._token(Access.repository(PRIVATE, "pull", "push"))
        known = self.node.fixtures["SECRET"]["digest"]

        def post(origin: str) -> Request:
            path = f"/v2/{PRIVATE}/blobs/uploads/?mount={known}&from={origin}"
            return Request("POST", path, {**headers, "Content-Length": "0"}, named=(origin,))

        return self.node.registry, post(SECRET), post("zeta/secret-nop")

    def layer_of_another_repository(self) -> Pair:
        """MAN-029, MAN-030: a manifest that refers to what one has no right to, or to nothing."""
        headers = {**self._token(Access.repository(PRIVATE, "pull", "push")), "Content-Type": IMAGE}
        config = self.node.fixtures["CFG"]
        size = self.node.fixtures["SECRET"]["size"]

        def put(digest: str) -> Request:
            layer = {"mediaType": "application/octet-stream", "digest": digest, "size": size}
            document = {
                "schemaVersion": 2,
                "mediaType": IMAGE,
                "config": {"mediaType": "application/json", **config},
                "layers": [layer],
            }
            body = json.dumps(document).encode()
            return Request("PUT", f"/v2/{PRIVATE}/manifests/timed", headers, body)

        known = self.node.fixtures["SECRET"]["digest"]
        return self.node.registry, put(known), put(UNKNOWN)

    def page_of_a_project(self) -> Pair:
        """UI-014, for somebody who has signed in."""
        headers = {"Cookie": self.node.session_of("nonmember1")}

        def get(name: str) -> Request:
            return Request("GET", f"/{name}", headers, named=(name,))

        return self.node.web, get(SECRET), get("zeta/secret-nop")

    def page_of_a_group(self) -> Pair:
        """The same one level up."""
        headers = {"Cookie": self.node.session_of("nonmember1")}

        def get(name: str) -> Request:
            return Request("GET", f"/{name}/-/members", headers, named=(name,))

        return self.node.web, get("zeta"), get("nope")

    def page_for_a_visitor(self) -> Pair:
        """Nobody has signed in."""

        def get(name: str) -> Request:
            return Request("GET", f"/{name}", named=(name, name.replace("/", "%2F")))

        return self.node.web, get(SECRET), get("zeta/secret-nop")


SLOW = {"wrong_password"}
"""A third of a second each."""

NAMES = [name for name in vars(Pairs) if not name.startswith("_")]


@pytest.fixture
def pairs(node: Node, forge: Forge) -> Pairs:
    return Pairs(node, forge)


def best(make: Callable[[], Pair], count: int, slack: float) -> Measured:
    """The round in which the two are closest; the first that is close enough."""
    found: list[Measured] = []
    for number in range(ROUNDS):
        address, existing, missing = make()
        found.append(measure(address, existing, missing, count, seed=number))
        if found[-1].is_alike(slack):
            break
    return min(found, key=lambda each: each.apart)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SLOW])
def test_the_answers_are_alike(pairs: Pairs, name: str) -> None:
    address, existing, missing = getattr(pairs, name)()
    measure(address, existing, missing, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_alike_in_many(pairs: Pairs, name: str) -> None:
    count = 20 if name in SLOW else 500
    found = best(getattr(pairs, name), count, slack=0.0001)
    line = (
        f"{name:34} {found.existing * 1000:9.3f} ms there {found.missing * 1000:9.3f} ms not there"
        f" {found.apart:7.1%} of {found.pairs} pairs\n"
    )
    artifacts = Path(__file__).resolve().parent.parent / ".artifacts"
    artifacts.mkdir(exist_ok=True)
    with (artifacts / "timing.txt").open("a") as file:
        file.write(line)
    print(line)
    assert found.is_alike(0.0001), found


@pytest.mark.slow
def test_a_difference_is_seen(node: Node, pairs: Pairs) -> None:
    """A wrong password is hashed, a right one remembered: a fifth of a second and more apart."""
    line = Line(node.web)
    seconds = []
    for password in (node.password, node.password, "wrong"):
        headers = pairs._basic("rep1", password)
        path = "/jwt/auth?service=container_registry"
        seconds.append(line.send(Request("GET", path, headers))[0])
    line.close()
    node.forget_failed_logins()
    assert not Measured(seconds[2], seconds[1], 1).is_alike(0.003)
