"""One case on the bench: set up, sent, and everything looked at afterwards."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from tests.bad_inputs import attacks, checks, exceptions, slow_clients
from tests.bad_inputs.client import Answer, exchange, request
from tests.bad_inputs.server import Node
from tests.refusals import DENIAL
from tokens.access import Access

_CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN",
    "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
    "RANGE_INVALID", "TAG_INVALID", "PAGINATION_NUMBER_INVALID", "MANIFEST_REFERENCED",
    "MANIFEST_REFERENCE_LIMIT", "TAG_UNKNOWN", "PROTECTED_MANIFEST", "UNAVAILABLE",
}  # fmt: skip
_LEAK = re.compile(
    rb'Traceback|File "|\.py\b|SELECT |INSERT |registry_[a-z]+|django|gunicorn|psycopg|sqlite|/home/|/tmp/',
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NAME = re.compile(r"/v2/(.*?)/(?:manifests|blobs|tags|referrers)(?:/|$)", re.DOTALL)
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_SEEDED = ("link SHARED in acme/private-app and zeta/secret-app", "IDX references M1")
_OUR_HEADERS = {"x-request-id", "date", "connection"}


def _many_layers(body: dict[str, Any]) -> str:
    one = {"mediaType": _LAYER, "digest": "{{L1}}", "size": "{{L1.size}}"}
    return json.dumps({"schemaVersion": 2, "config": one, "layers": [one] * body["count"]})


_TEXTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "none": lambda body: "",
    "raw": lambda body: "",
    "raw_short": lambda body: "",
    "raw_chunked_cut": lambda body: "",
    "text": lambda body: body["text"],
    "json": lambda body: json.dumps(body["json"]),
    "nested": lambda body: body["open"] * body["depth"] + body["close"] * body["depth"],
    "text_template": lambda body: body["text"].replace("<9x100000>", "9" * 100_000),
    "repeat_layers": _many_layers,
}


class Bench:
    """What the steps and checks of one case share."""

    def __init__(self, node: Node, forge: attacks.Forge, cases: dict[str, Any], name: str) -> None:
        self.node, self.forge, self.cases = node, forge, cases
        self.case: dict[str, Any] = cases[name]
        self.host = f"localhost:{node.registry[1]}"
        self.registry = node.registry
        self.names: dict[str, str] = {}
        self.sent = b""
        self.path = ""
        self.authorization = ""
        self.before: Any = None
        self.known_files: set[str] = set()
        self.known_to_gitlab: Any = None
        self.rss = self.descriptors = 0

    # Running

    def run(self) -> None:
        """Set up, send, check."""
        self.node.forget_failed_logins()
        for step in self.case["setup"]:
            self._step(step)
        self.known_files = {path.name for path in self.node.folder.iterdir()}
        self.before = self.node.state()
        self.known_to_gitlab = self.node.images_known_to_gitlab()
        self.rss, self.descriptors = self.node.rss("registry"), self.node.descriptors("registry")
        parts = self.node.parts()
        answer = self.perform()
        self._check_status(answer)
        self._check_everything(answer)
        if answer.status >= 400:
            assert self.node.state() == self.before, "a refusal has changed something"
            assert self.node.parts() == parts, "a refusal has left a part of an upload"
        expected = self._expected()
        for name, value in expected["headers"].items():
            checks.headers(self, answer, name, value)
        for check in expected["checks"]:
            if check.startswith("answer_under_ms:"):
                assert answer.seconds * 1000 < int(check.partition(":")[2])
            else:
                checks.CHECKS[check](self, answer)
        self._check_log()

    def _expected(self) -> dict[str, Any]:
        _, changes = exceptions.OTHERWISE.get(self.case["id"], ("", {}))
        return {**self.case["expect"], **changes}

    def perform(self, name: str = "") -> Answer:
        """Send the request of this case, or of another one."""
        case = self.cases[name] if name else self.case
        asked = case["request"]
        if asked["body"]["kind"] == "raw_request":
            return self._raw(asked["body"]["raw"])
        sent = self._body(asked["body"])
        path = self.filled(asked["path"].replace("{{M_NEW}}", self.digest(sent)))
        is_web = path.startswith("/jwt/")
        headers = [
            (name, self.filled(value))
            for name, value in asked["headers"].items()
            if value != "<random>"
        ]
        authorization = self._authorization(asked["auth"], path)
        if authorization is not None:
            headers.append(("Authorization", authorization))
        if case is self.case:
            self.sent, self.path, self.authorization = sent, path, authorization or ""
        if asked["auth"].startswith("cookie:") or asked["auth"] == "attack:cookie only":
            headers.append(("Cookie", self._session(asked["auth"])))
        kind = asked["body"]["kind"]
        if kind in ("raw_short", "raw_chunked_cut", "raw"):
            return self._broken(kind, asked, path, headers)
        chunked = asked["headers"].get("Transfer-Encoding") == "chunked"
        content = request(asked["method"], path, self._host(is_web), headers, sent, chunked=chunked)
        address = self.node.web if is_web else self.registry
        is_head = asked["method"] == "HEAD"
        if asked["auth"].endswith(" x31"):
            return self._many_failures(address, content, asked)
        answer = exchange(address, content, head=is_head)
        assert answer.rest == b"", "there is more than one response"
        return answer

    def _host(self, is_web: bool) -> str:
        return f"localhost:{self.node.web[1] if is_web else self.node.registry[1]}"

    def _raw(self, text: str) -> Answer:
        if text == "<slow body>":
            return self._slow_bodies()
        if text == "<slow read>":
            return self._slow_readers()
        content = text.replace("{{HOST}}", self.host).encode("latin-1")
        return exchange(self.registry, content)

    def _many_failures(
        self, address: tuple[str, int], content: bytes, asked: dict[str, Any]
    ) -> Answer:
        """31 failures from one address; the last answer."""
        answer = Answer(0)
        for number in range(31):
            # Guesses: the same password again is none.
            guessed = self._basic(asked["auth"].partition(":")[2].replace(" x31", str(number)))
            each = content.replace(self.authorization.encode(), guessed.encode())
            if "X-Forwarded-For" in asked["headers"]:
                forged = f"\r\nX-Forwarded-For: 203.0.113.{number}\r\n".encode()
                each = each.replace(b"\r\n", forged, 1)
            answer = exchange(address, each, source="127.0.0.31")
        return answer

    def _broken(
        self, kind: str, asked: dict[str, Any], path: str, headers: list[tuple[str, str]]
    ) -> Answer:
        body = asked["body"]
        head = request(asked["method"], path, self._host(False), headers, b"", chunked=False)
        if kind == "raw":
            sent = body["raw"].encode("latin-1")
        elif kind == "raw_short":
            sent = b"x" * body["sent"]
        else:
            sent = b"%x\r\n" % body["declared"] + b"x" * body["sent"]
        return exchange(self.registry, head + sent)

    def _slow_bodies(self) -> Answer:
        """200 uploads that hardly move. Pulls are answered as before."""
        up = self._start_upload()
        token = self.forge.mint(Access.repository(checks.PRIVATE, "pull", "push"))
        head = (
            f"PATCH {up} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Length: 1000\r\n\r\nx"
        )
        return self._while_waiting(head.encode(), drop=b"x")

    def _slow_readers(self) -> Answer:
        """200 pulls of a large blob that nobody reads. Other pulls are answered as before."""
        body = bytes(8 * 1024 * 1024)
        digest = self.digest(body)
        address = f"{self._start_upload()}&digest={digest}"
        assert self.ask("PUT", address, ("pull", "push"), body).status == 201
        token = self.forge.mint(Access.repository(checks.PRIVATE, "pull"))
        head = (
            f"GET /v2/{checks.PRIVATE}/blobs/{digest} HTTP/1.1\r\nHost: {self.host}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        )
        return self._while_waiting(head.encode())

    def _while_waiting(self, slow: bytes, drop: bytes = b"") -> Answer:
        token = self.forge.mint(Access.repository(checks.PRIVATE, "pull"))
        for address in (self.node.registry, self.node.behind_nginx()):
            good = slow_clients.get(f"/v2/{checks.PRIVATE}/manifests/v1", address, token)
            before, during = slow_clients.serve_others(address, good, slow, drop)
            assert during < 2 * before + slow_clients.SLACK, (address, before, during)
        return Answer(0)

    # The parts of a request

    def filled(self, text: str) -> str:
        """`text` with the names of the catalogue replaced."""
        for name, value in self.names.items():
            text = text.replace(f"{{{{{name}}}}}", value)
        unknown = f"sha256:{secrets.token_hex(32)}"
        text = text.replace("{{UNKNOWN}}", unknown)
        for name, value in self.node.fixtures.items():
            if isinstance(value, dict):
                text = text.replace(f'"{{{{{name}.size}}}}"', str(value["size"]))
                text = text.replace(f"{{{{{name}.size}}}}", str(value["size"]))
                text = text.replace(f"{{{{{name}}}}}", value["digest"])
        assert "{{" not in text.replace("{{7*7}}", ""), text
        return text

    @staticmethod
    def digest(body: bytes) -> str:
        """The digest of a body."""
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    def _body(self, body: dict[str, Any]) -> bytes:
        kind = body["kind"]
        if kind == "b64":
            return base64.b64decode(body["b64"])
        return self.filled(_TEXTS[kind](body)).encode()

    def _authorization(self, auth: str, path: str) -> str | None:
        kind, _, rest = auth.partition(":")
        match kind:
            case "none" | "cookie":
                return None
            case "raw":
                return rest
            case "basic":
                return self._basic(rest)
            case "attack":
                pull = Access.repository(checks.PRIVATE, "pull")
                return None if rest == "cookie only" else self.forge.attack(rest, pull)
            case "gc-token-aged":
                past = int(time.time()) - int(rest)
                access = Access.repository("acme/*", "pull", "delete")
                times = {"iat": past, "nbf": past, "exp": past + 600}
                return f"Bearer {self.forge.mint(access, subject=None, **times)}"
        return f"Bearer {self._minted(kind, rest, path)}"

    def _minted(self, kind: str, rest: str, path: str) -> str:
        first, _, second = rest.partition(" + ")
        extra = [Access.parse(f"repository:{second}")] if second else []
        if kind in ("bearer", "mint-access"):
            return self.forge.mint(Access.parse(rest))
        if kind == "gc-token":
            return self.forge.mint(Access.parse(f"repository:{rest}"), subject=None)
        matched = _NAME.match(unquote(path.partition("?")[0]))
        access = Access.repository(matched[1] if matched else "", *first.split(","))
        if kind == "mint-expired":
            past = int(time.time()) - 700
            times = {"iat": past, "nbf": past, "exp": past + 600}
            return self.forge.mint(access, **times)
        assert kind in ("mint", "mint-as-decoded"), kind
        return self.forge.mint(access, *extra)

    def _basic(self, rest: str) -> str:
        name, _, password = rest.removesuffix(" x31").partition(":")
        password = {
            "": self.node.password,
            "<1MB>": "x" * 1_000_000,
            "PAT_read_user": self.node.fixtures["PAT_read_user"],
        }.get(password, password)
        return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"

    def _session(self, auth: str) -> str:
        """The cookie of somebody who has signed in in a browser."""
        name = auth.removeprefix("cookie:") if auth.startswith("cookie:") else "admin1"
        return self.node.session_of(name)

    # Steps

    def ask(
        self,
        method: str,
        path: str,
        actions: tuple[str, ...] | None = ("pull",),
        body: bytes = b"",
        address: tuple[str, int] | None = None,
    ) -> Answer:
        """A good request with a good token, or without any where `actions` is None."""
        matched = _NAME.match(path.partition("?")[0])
        headers = []
        if actions is not None:
            access = Access.repository(matched[1] if matched else "", *actions)
            headers.append(("Authorization", f"Bearer {self.forge.mint(access)}"))
        content = request(method, path, self.host, headers, body, chunked=False)
        return exchange(address or self.node.registry, content, head=method == "HEAD")

    def login(self, name: str, password: str) -> Answer:
        """A request for a token with a name and a password."""
        authorization = base64.b64encode(f"{name}:{password}".encode()).decode()
        content = request(
            "GET",
            "/jwt/auth?service=container_registry",
            self._host(True),
            [("Authorization", f"Basic {authorization}")],
            b"",
            chunked=False,
        )
        return exchange(self.node.web, content, source="127.0.0.77")

    def comparable(self, answer: Answer) -> list[Any]:
        """What two answers that must look alike are compared by."""
        if answer.status == 200 and answer.body.startswith(b'{"token"'):
            claims = checks.decoded(answer)
            return [200, sorted(answer.headers.keys()), sorted(claims), claims["access"]]
        hide = [
            (DENIAL.pattern, ""),
            (r"sha256:[0-9a-f]{64}", "DIGEST"),
            (r"_state=[0-9a-z.]+", "STATE"),
            (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "SESSION"),
        ]
        text = answer.body.decode()
        headers = {n: v for n, v in answer.headers.items() if n not in _OUR_HEADERS}
        for pattern, word in hide:
            text = re.sub(pattern, word, text)
            headers = {n: re.sub(pattern, word, v) for n, v in headers.items()}
        return [answer.status, headers, text]

    def _start_upload(self) -> str:
        answer = self.ask("POST", f"/v2/{checks.PRIVATE}/blobs/uploads/", ("pull", "push"))
        assert answer.status == 202
        return answer.header("Location")

    def _step(self, step: str) -> None:
        push = ("pull", "push")
        shared = self.node.fixtures["SHARED"]["digest"]
        if step == "POST /v2/acme/private-app/blobs/uploads/ -> 202, save Location as UP":
            self.names["UP"] = self._start_upload()
        elif step == "open 100 sessions":
            for _ in range(100):
                self._start_upload()
        elif step == "registry delete.enabled = false":
            self.registry = self.node.serve_without_deletion()
        elif step == 'PATCH 0-4 "hello" -> 202, save Location as UP2':
            answer = self.ask("PATCH", self.names["UP"], push, b"hello")
            self.names["UP2"] = answer.header("Location")
        elif step == 'complete it with "hello"':
            address = f"{self.names['UP']}&digest={self.digest(b'hello')}"
            assert self.ask("PUT", address, push, b"hello").status == 201
            self.names["UP_DONE"] = self.names["UP"]
        elif step not in _SEEDED:
            method, path, actions, status = {
                "DELETE UP -> 204": ("DELETE", self.names.get("UP", ""), push, 204),
                "DELETE it from acme/private-app": (
                    "DELETE", f"/v2/{checks.PRIVATE}/blobs/{shared}", ("delete",), 202,
                ),
                "GET it once from zeta/secret-app (repopulates caches)": (
                    "GET", f"/v2/zeta/secret-app/blobs/{shared}", ("pull",), 200,
                ),
            }[step]  # fmt: skip
            assert self.ask(method, path, actions).status == status

    # What every case has to pass

    def _check_status(self, answer: Answer) -> None:
        expected = self._expected()
        allowed = [(expected["status"], expected["code"])]
        allowed += [(other["status"], other["code"]) for other in expected["also"]]
        found = (answer.status, answer.codes[0] if answer.codes else None)
        assert any(status == found[0] and code in (None, found[1]) for status, code in allowed), (
            f"{found} is not one of {allowed}: {answer.body[:300]!r}"
        )

    def _check_everything(self, answer: Answer) -> None:
        assert self.node.calls() == []
        assert answer.status < 500 or answer.status == 501
        assert answer.seconds < 30 or "x31" in self.case["request"]["auth"]
        assert not _LEAK.search(answer.body), answer.body
        is_raw = self.case["request"]["method"] == "RAW"
        is_ours = bool(answer.header("X-Request-Id"))
        if answer.status < 400:
            return
        if self.case["request"]["method"] == "HEAD":
            assert answer.body == answer.rest == b""
        elif is_ours:
            assert answer.header("Content-Type").startswith("application/json")
            assert answer.codes
            assert set(answer.codes) <= _CODES
            for error in answer.json()["errors"]:
                assert set(error) <= {"code", "message", "detail"}
        else:
            # Refused by gunicorn before the application sees it.
            assert is_raw or answer.status in (0, 400, 414, 431), answer

    def _check_log(self) -> None:
        text = self.node.log_since()
        assert "Traceback" not in text, text
        assert not _CONTROL.search(text), text
        assert self.node.password not in text
        credential = self.authorization.partition(" ")[2]
        assert len(credential) < 12 or credential[:2000] not in text
