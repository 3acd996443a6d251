"""An image's configuration: what it says, and what it may say without harm."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest

from gitlab.container_registry.client.responses import Part
from gitlab.container_registry.contents import documents, image_config
from gitlab.container_registry.contents.image_config import ImageConfig, Label
from tests.gitlab.container_registry.contents.hostile import (
    BIDI,
    VALUES,
    assert_cheap,
    assert_harmless,
)

pytestmark = pytest.mark.engineless

SAID: dict[str, Any] = {
    "os": "linux",
    "architecture": "arm64",
    "variant": "v8",
    "created": "2026-11-20T10:00:00.123456789Z",
    "author": "Alice",
    "config": {
        "User": "1000:1000",
        "WorkingDir": "/srv",
        "StopSignal": "SIGTERM",
        "Entrypoint": ["/init", "--"],
        "Cmd": ["serve", "--port", "80"],
        "Shell": ["/bin/bash", "-c"],
        "OnBuild": ["RUN make"],
        "Env": ["PATH=/bin", "EMPTY=", "BARE", "A=b=c"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "Healthcheck": {
            "Test": ["CMD-SHELL", "curl -f localhost"],
            "Interval": 30_000_000_000,
            "Timeout": 1_500_000_000,
            "Retries": 3,
        },
        "Labels": {
            "org.opencontainers.image.source": "https://github.com/acme/app",
            "org.opencontainers.image.revision": "0123abc",
            "a": "javascript:alert(1)",
        },
    },
    "history": [
        {"created_by": "/bin/sh -c #(nop) ADD file:1 in / ", "created": "2026-11-20T10:00:00Z"},
        {"created_by": '/bin/sh -c #(nop)  CMD ["sh"]', "empty_layer": True},
        {"created_by": "RUN /bin/sh -c make # buildkit", "comment": "buildkit.dockerfile.v0"},
    ],
}


def read(said: Any) -> ImageConfig | None:
    return image_config.read(json.dumps(said).encode())


def layers(count: int) -> list[Part]:
    return [Part(f"sha256:{number:064x}", number + 1, "x/layer") for number in range(count)]


def test_what_it_says() -> None:
    found = read(SAID)
    assert found is not None
    assert str(found.platform) == "linux/arm64/v8"
    assert found.created_at == dt.datetime(2026, 11, 20, 10, 0, 0, 123456, dt.UTC)
    assert (found.user, found.working_directory) == ("1000:1000", "/srv")
    assert found.entrypoint.entries == ("/init", "--")
    assert found.command.entries == ("serve", "--port", "80")
    assert found.environment.entries == (
        ("PATH", "/bin"),
        ("EMPTY", ""),
        ("BARE", ""),
        ("A", "b=c"),
    )
    assert found.ports.entries == ("80/tcp", "53/udp")
    assert found.volumes.entries == ("/data",)
    assert found.health_check is not None
    assert found.health_check.command == "curl -f localhost"
    assert found.health_check.words == "every 30 s, within 1.5 s, 3 tries"
    assert found.labels.entries == (
        Label("a", "javascript:alert(1)"),
        Label(
            "org.opencontainers.image.revision",
            "0123abc",
            "https://github.com/acme/app/commit/0123abc",
        ),
        Label(
            "org.opencontainers.image.source",
            "https://github.com/acme/app",
            "https://github.com/acme/app",
        ),
    )


def test_its_history_is_joined_with_the_layers() -> None:
    steps = image_config.steps(read(SAID), layers(2))
    assert [(step.command, step.number) for step in steps] == [
        ("ADD file:1 in /", 1),
        ('CMD ["sh"]', 0),
        ("RUN make", 2),
    ]
    assert [step.layer.size_bytes if step.layer else None for step in steps] == [1, None, 2]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [("ADD file:1 in /", 1), ('CMD ["sh"]', 0), ("RUN make", 0)]),
        (3, [("ADD file:1 in /", 1), ('CMD ["sh"]', 0), ("RUN make", 2), ("", 3)]),
    ],
)
def test_a_history_that_does_not_fit_its_layers(count: int, expected: list[Any]) -> None:
    steps = image_config.steps(read(SAID), layers(count))
    assert [(step.command, step.number) for step in steps] == expected


def test_layers_without_a_history() -> None:
    assert [step.number for step in image_config.steps(None, layers(3))] == [1, 2, 3]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/bin/sh -c apt-get update", "RUN apt-get update"),
        ("/bin/sh -c #(nop)  ENV A=b", "ENV A=b"),
        ("RUN |2 A=b C=d /bin/sh -c make # buildkit", "RUN make"),
        ("RUN /bin/ash -eo pipefail -c make # buildkit", "RUN /bin/ash -eo pipefail -c make"),
        ("COPY . /srv # buildkit", "COPY . /srv"),
        ("/bin/sh", "/bin/sh"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_step_as_its_dockerfile_had_it(said: Any, shown: str) -> None:
    assert image_config.instruction(said) == shown


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"5", b"\xff", b"{", b'{"a":' * 10_000, b"[" * 10**6]
)
def test_what_is_no_configuration(payload: bytes) -> None:
    assert assert_cheap(lambda: image_config.read(payload)) is None


FIELDS = [
    *((key,) for key in (*SAID, "os.version")),
    *(("config", key) for key in SAID["config"]),
    *(("config", "Healthcheck", key) for key in ("Test", "Interval", "Timeout", "Retries")),
    ("config", "Labels", "org.opencontainers.image.source"),
    ("config", "Labels", "org.opencontainers.image.revision"),
]


def with_value(value: Any, *fields: tuple[str, ...]) -> bytes:
    """The configuration with another value in some of its fields."""
    said = json.loads(json.dumps(SAID))
    for field in fields:
        place = said
        for key in field[:-1]:
            place = place[key]
        place[field[-1]] = value
    return json.dumps(said).encode()


def show(payload: bytes) -> Any:
    """What a page shows of it."""
    found = image_config.read(payload)
    assert found is not None
    return dataclasses.replace(found, history=()), image_config.steps(found, layers(3))[:100]


@pytest.mark.parametrize("field", FIELDS, ids="/".join)
def test_each_field_may_hold_anything(field: tuple[str, ...]) -> None:
    for value in VALUES.values():
        assert_harmless(show(with_value(value, field)))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_what_it_costs(value: Any) -> None:
    texts = [("author",), ("config", "Env"), ("history",)]
    payload = with_value(value, *texts)
    assert_cheap(lambda: show(payload))


@pytest.mark.parametrize("key", ["created", "created_by", "comment", "empty_layer", "author"])
def test_each_field_of_a_step_may_hold_anything(key: str) -> None:
    for value in VALUES.values():
        said = {"os": "linux", "history": [{key: value}, value]}
        found = read(said)
        assert_harmless(image_config.steps(found, layers(3)))


def test_names_may_hold_anything() -> None:
    said = {
        "os": "x",
        "config": {"Labels": {BIDI: BIDI}, "Env": [f"{BIDI}={BIDI}"], "Volumes": {BIDI: 1}},
    }
    found = read(said)
    assert found is not None
    assert_harmless(found)
    assert found.volumes.entries == ("a\\u202egpj.exe\\u2066",)


def test_a_history_of_ten_thousand_steps() -> None:
    entries = [{"created_by": f"RUN {n} {'x' * 150}", "empty_layer": True} for n in range(10_000)]
    payload = json.dumps({"os": "linux", "history": entries}).encode()
    found = assert_cheap(lambda: image_config.steps(image_config.read(payload), []))
    assert len(found) == 10_000


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "https:evil.example",
        "https://github.com@evil.example/",
        "https://a:b@evil.example/",
        "https://exämple.org/",
        "https://x.example/\u202e",
        "https://x.example/ y",
        "https://x.example\\@evil.example/",
        "https://x.example:99999999/",
        "https://[::1/",
        "https:///x",
        "https://x.example/" + "x" * 2000,
        "ftp://x.example/",
        5,
        None,
        ["https://x.example/"],
    ],
)
def test_what_is_not_linked(address: Any) -> None:
    assert documents.link(address) == ""


@pytest.mark.parametrize(
    "address", ["https://x.example", "http://x.example:80/a?b=c#d", "https://[::1]/a@b"]
)
def test_what_is_linked(address: str) -> None:
    assert documents.link(address) == address


@pytest.mark.parametrize(
    ("source", "revision", "expected"),
    [
        ("https://github.com/a/b.git", "abcdef1", "https://github.com/a/b/commit/abcdef1"),
        ("https://gitlab.example/a/b", "abcdef1", "https://gitlab.example/a/b/-/commit/abcdef1"),
        ("https://elsewhere.example/a/b", "abcdef1", ""),
        ("https://github.com/a/b", "../../x", ""),
        ("https://github.com/a?b", "abcdef1", ""),
        ("javascript:1", "abcdef1", ""),
    ],
)
def test_where_a_commit_is(source: str, revision: str, expected: str) -> None:
    assert image_config.commit_url(source, revision) == expected
