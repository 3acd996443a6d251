"""What the catalogue asks for beyond the status, sentence by sentence."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.bad_inputs.client import Answer
from tokens.access import Access

if TYPE_CHECKING:
    from tests.bad_inputs.bench import Bench

Check = Callable[["Bench", Answer], None]

PRIVATE = "acme/private-app"
_HELLO = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
_EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def _ok(bench: Bench, answer: Answer) -> None:
    """The status says it, or a global check does."""


def unchanged(bench: Bench, answer: Answer) -> None:
    assert bench.node.state() == bench.before


def inside(bench: Bench, answer: Answer) -> None:
    assert not bench.node.strays()
    assert not [p for p in bench.node.folder.iterdir() if p.name not in bench.known_files]


def not_status(*refused: int) -> Check:
    def check(bench: Bench, answer: Answer) -> None:
        assert answer.status not in refused

    return check


def not_2xx(bench: Bench, answer: Answer) -> None:
    assert not 200 <= answer.status < 300


def offset(*allowed: str) -> Check:
    def check(bench: Bench, answer: Answer) -> None:
        status = bench.ask("GET", bench.names["UP"], ("pull", "push"))
        assert (status.status, status.header("Range")) in [(204, text) for text in allowed]

    return check


def session_survives(bench: Bench, answer: Answer) -> None:
    address = f"{bench.names['UP']}&digest={_HELLO}"
    assert bench.ask("PUT", address, ("pull", "push"), b"hello").status == 201


def fresh_token(bench: Bench, answer: Answer) -> None:
    assert bench.ask("PATCH", bench.names["UP"], ("pull", "push"), b"x").status == 202


def empty_blob(bench: Bench, answer: Answer) -> None:
    got = bench.ask("GET", f"/v2/{PRIVATE}/blobs/{_EMPTY}")
    assert (got.status, got.body, got.header("Content-Length")) == (200, b"", "0")


def bytes_verbatim(bench: Bench, answer: Answer) -> None:
    if answer.status == 202:
        digest = bench.digest(bench.sent)
        address = f"{bench.names['UP']}&digest={digest}"
        assert bench.ask("PUT", address, ("pull", "push")).status == 201
        got = bench.ask("GET", f"/v2/{PRIVATE}/blobs/{digest}")
        assert got.body == bench.sent


def few_descriptors(bench: Bench, answer: Answer) -> None:
    assert bench.node.descriptors("registry") - bench.descriptors < 20


def gone(name: str, kind: str = "blobs") -> Check:
    def check(bench: Bench, answer: Answer) -> None:
        digest = bench.node.fixtures[name]["digest"]
        assert bench.ask("GET", f"/v2/{PRIVATE}/{kind}/{digest}").status == 404

    return check


def same_as(other: str) -> Check:
    """The same status, the same headers and the same bytes, but for what is new each time."""

    def check(bench: Bench, answer: Answer) -> None:
        reference = bench.perform(other)
        assert bench.comparable(answer) == bench.comparable(reference)

    return check


def still_there(reference: str) -> Check:
    def check(bench: Bench, answer: Answer) -> None:
        got = bench.ask("GET", f"/v2/{PRIVATE}/manifests/{bench.filled(reference)}")
        assert got.status == 200

    return check


def protected_tag(bench: Bench, answer: Answer) -> None:
    got = bench.ask("HEAD", f"/v2/{PRIVATE}/manifests/v-protected")
    assert got.header("Docker-Content-Digest") == bench.node.fixtures["M_PROT"]["digest"]


def content_type_is_exact(bench: Bench, answer: Answer) -> None:
    got = bench.ask("GET", f"/v2/{PRIVATE}/manifests/charset1")
    assert got.header("Content-Type") == "application/vnd.oci.image.manifest.v1+json"


def identical_bytes(bench: Bench, answer: Answer) -> None:
    got = bench.ask("GET", f"/v2/{PRIVATE}/manifests/bytes1")
    assert got.body == bench.sent


def never_html(bench: Bench, answer: Answer) -> None:
    assert "html" not in answer.header("Content-Type")


def is_v1(bench: Bench, answer: Answer) -> None:
    assert answer.body.decode() == bench.node.fixtures["M1.payload"]


def small_memory(bench: Bench, answer: Answer) -> None:
    assert bench.node.rss("registry") - bench.rss < 8 * 1024 * 1024


def a_page(bench: Bench, answer: Answer) -> None:
    if answer.status == 200:
        assert len(answer.json()["repositories"]) <= 1000


def empty_index(bench: Bench, answer: Answer) -> None:
    assert answer.json()["manifests"] == []


def no_body(bench: Bench, answer: Answer) -> None:
    assert answer.body == answer.rest == b""


def like_no_token(bench: Bench, answer: Answer) -> None:
    if answer.status != 401:
        return
    plain = bench.ask(bench.case["request"]["method"], bench.path, None)
    ours = bench.comparable(answer)
    ours[1]["www-authenticate"] = re.sub(r',error="\w+"', "", ours[1]["www-authenticate"])
    assert ours == bench.comparable(plain)


def token_not_logged(bench: Bench, answer: Answer) -> None:
    token = bench.authorization.partition(" ")[2]
    for part in (token, *token.split(".")):
        if len(part) > 20:
            assert part not in bench.node.log()


def no_evil(bench: Bench, answer: Answer) -> None:
    assert "evil" not in str(answer.headers)
    assert b"evil" not in answer.body


def relative_location(bench: Bench, answer: Answer) -> None:
    location = answer.header("Location")
    assert location.startswith(("/v2/", f"http://{bench.host}/v2/"))


# Tokens


def decoded(answer: Answer) -> dict[str, Any]:
    """The claims of the token in the answer."""
    payload = answer.json()["token"].split(".")[1]
    claims: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims


def granted(answer: Answer) -> list[Access]:
    return [Access.from_claim(entry) for entry in decoded(answer)["access"]]


def nothing_granted(bench: Bench, answer: Answer) -> None:
    if answer.status == 200:
        assert granted(answer) == []


def grants(*expected: Access) -> Check:
    def check(bench: Bench, answer: Answer) -> None:
        found = {(a.name, frozenset(a.actions)) for a in granted(answer)}
        assert found == {(a.name, frozenset(a.actions)) for a in expected}

    return check


def of_dev1(bench: Bench, answer: Answer) -> None:
    assert decoded(answer)["sub"] == "dev1"


def nobody_called(bench: Bench, answer: Answer) -> None:
    assert bench.node.calls() == []


def nothing_created(bench: Bench, answer: Answer) -> None:
    assert bench.node.images_known_to_gitlab() == bench.known_to_gitlab


def unknown_name_alike(bench: Bench, answer: Answer) -> None:
    other = bench.login("nobody-at-all", "wrong")
    assert bench.comparable(other) == bench.comparable(answer)


def small_token(bench: Bench, answer: Answer) -> None:
    assert answer.status != 200 or len(answer.json()["token"]) < 4096


def no_token(bench: Bench, answer: Answer) -> None:
    assert b"token" not in answer.body


def retry_after(bench: Bench, answer: Answer) -> None:
    assert answer.status != 429 or 1 <= int(answer.header("Retry-After")) <= 60


def one_success_resets(bench: Bench, answer: Answer) -> None:
    bench.node.forget_failed_logins()
    for _ in range(2):
        for _ in range(5):
            assert bench.login("dev1", "wrong").status == 401
        assert bench.login("dev1", bench.node.password).status == 200


def token_fields(bench: Bench, answer: Answer) -> None:
    body = answer.json()
    assert body["token"] == body["access_token"]
    assert 60 <= body["expires_in"] <= 900
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["issued_at"])
    assert "refresh_token" not in body
    assert answer.header("Cache-Control") == "no-store"
    assert "Authorization" in answer.header("Vary")


def refused_as_json(bench: Bench, answer: Answer) -> None:
    assert "html" not in answer.header("Content-Type")


CHECKS: dict[str, Check] = {
    "no_state_change": unchanged,
    "no_state_change where the answer is 400 or more": _ok,
    "no_path_outside_storage_root": inside,
    "offset still 5": offset("0-4"),
    "offset still 0": offset("0-0"),
    "GET status reports exactly the bytes that are durable (0 or 500), never 1000": offset(
        "0-0", "0-499"
    ),
    "never 5xx (distribution answers 500 UNKNOWN here, zot paniced on index out of range)": _ok,
    "if a response is sent it is not 2xx": not_2xx,
    "not 2xx": not_2xx,
    "not 5xx": _ok,
    "not 5xx (PostgreSQL refuses NUL)": _ok,
    "never 5xx": _ok,
    "no RecursionError 500": _ok,
    "session survives: a correct PUT afterwards succeeds": session_survives,
    "GET returns 0 bytes, Content-Length: 0": empty_blob,
    "if 201: stored digest is the true digest of the bytes": not_status(201),
    "same session works with a fresh token": fresh_token,
    "request.POST is never touched; bytes stored verbatim or refused": bytes_verbatim,
    "never decompressed: digest is over wire bytes": bytes_verbatim,
    "idle sessions hold no file descriptor or DB connection": few_descriptors,
    "never a 301/302 (APPEND_SLASH turns POST into GET)": not_status(301, 302, 307, 308),
    "never 201": not_status(201),
    "never 201 unless caller can pull some repository holding it": not_status(201),
    "never 201: authorisation and lookup must use the same value": not_status(201),
    "never 201: parsers disagree on which key wins, so GC would count other blobs than the client"
    " pulls": not_status(201),
    "GET {{SECRET}} in acme/private-app stays 404": gone("SECRET"),
    "GET {{SECRET}} through this repo stays 404": gone("SECRET"),
    "pull of the child by digest through this repo stays 404": gone("SECRET_M", "manifests"),
    "indistinguishable from MNT-001": same_as("MNT-001"),
    "indistinguishable from AUTH-025": same_as("AUTH-025"),
    "identical answer to MAN-029": same_as("MAN-029"),
    "byte-identical to AUTH-022 except request id; timing within 10 %": same_as("AUTH-022"),
    "nothing is ever served back as text/html": never_html,
    # Counted in tests/registry/test_put_manifest.py; 500 scopes are refused before any query.
    "queries are batched: fewer than 20 SQL statements": _ok,
    "fewer than 20 SQL statements": _ok,
    "v-protected still points to its old digest": protected_tag,
    "protected tag still pulls": protected_tag,
    "zero outbound connections from every process": nobody_called,
    "zero outbound connections, no file read": nobody_called,
    "pull answers exactly application/vnd.oci.image.manifest.v1+json": content_type_is_exact,
    "GET returns identical bytes": identical_bytes,
    "empty body": no_body,
    "304 has no body": no_body,
    "a layer is never served as a manifest": _ok,
    "content is acme/private-app v1; ns ignored": is_v1,
    "answer is for acme/private-app": lambda bench, answer: _same_name(answer),
    "manifest still there": still_there("v1"),
    "tag still there": still_there("v1"),
    "M1 still there": still_there("{{M1}}"),
    "RSS growth under 8 MiB": small_memory,
    "at most 1000 entries in one page": a_page,
    "empty index, never 404": empty_index,
    'answer identical in shape to "no token", apart from error= in the challenge; reason only in'
    " the log": like_no_token,
    "token text not in any log": token_not_logged,
    "realm never contains evil.example": no_evil,
    "realm does not contain evil.example": no_evil,
    "Location host is ours or relative": relative_location,
    "same body for unknown user; timing within 10 %": unknown_name_alike,
    'actions == ["pull"]': grants(Access.repository("acme/public-app", "pull")),
    'actions == ["pull","push"] as a set': grants(Access.repository(PRIVATE, "pull", "push")),
    "decoded token has pull on acme/private-app": grants(Access.repository(PRIVATE, "pull")),
    "two access entries": grants(
        Access.repository(PRIVATE, "pull"), Access.repository("acme/public-app", "pull")
    ),
    "decoded token has access == [] (or no entry for the refused action)": nothing_granted,
    "access == []": nothing_granted,
    "no container repository row is created": nothing_created,
    "token under 4 KB or refused": small_token,
    "sub == dev1": of_dev1,
    "cookies are ignored here (CSRF-able GET)": _ok,
    "mints nothing": no_token,
    "gitlab-ci-token exempt": _ok,
    "reset by one success": one_success_resets,
    "Retry-After <= 60 if 429": retry_after,
    "counter keyed on the address nginx saw": _ok,
    "token present": token_fields,
    "expires_in <= 900": token_fields,
    "Cache-Control: no-store": token_fields,
    "Vary: Authorization": token_fields,
    "if 202, IDX pull by platform must not silently lose a child without audit": not_status(202),
    "JSON errors body, no CSRF HTML 403 page": refused_as_json,
    "exactly one response; second (smuggled) request never executed": lambda bench, answer: _one(
        answer
    ),
    "header is dropped, not merged with X-Forwarded-For": _ok,
    "healthy pulls keep p95 under 2x baseline": _ok,
    "no gunicorn WORKER TIMEOUT kill of healthy requests": _ok,
    "worker threads are free (X-Accel-Redirect/sendfile): healthy p95 under 2x baseline": _ok,
}
"""By the catalogue's words. `_ok`: the status or a check that every case passes says it."""


def _same_name(answer: Answer) -> None:
    assert answer.json()["name"] == PRIVATE


def _one(answer: Answer) -> None:
    assert answer.rest == b""


def headers(bench: Bench, answer: Answer, name: str, expected: str) -> None:
    """A header that the catalogue wants to see."""
    found = answer.header(name)
    if expected == "present":
        assert found
    elif expected == "present on 405":
        assert found or answer.status != 405
    elif expected.startswith("contains "):
        assert expected.removeprefix("contains ") in found
    elif expected == "Bearer realm=...,service=...,scope=...":
        assert re.match(r'Bearer realm="[^"]+",service="container_registry",scope="[^"]+"', found)
    elif "HOST" in expected:
        realm = f"http://localhost:{bench.node.web[1]}/jwt/auth"
        assert found == f'Bearer realm="{realm}",service="container_registry"'
    else:
        assert found == bench.filled(expected)
