"""A log line: its two forms, the id of its request, and what never stands in it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from gitlab.config import PROJECT, load
from gitlab.server import logs, request_id

pytestmark = pytest.mark.engineless

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def outside_of_requests() -> Iterator[None]:
    hidden = list(logs._own)
    request_id.use("")
    yield
    request_id.use("")
    logs._own[:] = hidden


def record(message: str, *arguments: object, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("a.logger", logging.INFO, "file", 1, message, arguments, None)
    vars(made).update(extra)
    return made


def text(made: logging.LogRecord) -> str:
    return logs.formatter("text").format(made)


def parsed(made: logging.LogRecord) -> dict[str, Any]:
    line = logs.formatter("json").format(made)
    assert "\n" not in line
    body: dict[str, Any] = json.loads(line)
    return body


def test_text() -> None:
    line = text(record("%s came", "alice", created=1_700_000_000.5))
    assert line == "2023-11-14T22:13:20.500Z INFO a.logger alice came"


def test_json() -> None:
    body = parsed(record("%s came", "alice", created=1_700_000_000.5, fields={"status": 200}))
    assert body == {
        "time": "2023-11-14T22:13:20.500Z",
        "level": "info",
        "process": "manage",
        "logger": "a.logger",
        "message": "alice came",
        "status": 200,
    }


def test_the_id_of_the_request_under_way() -> None:
    request_id.use("abcdef-123456")
    assert " a.logger [abcdef-123456] came" in text(record("came"))
    assert parsed(record("came"))["request_id"] == "abcdef-123456"
    # Django logs an answer of 500 when the request is over, and hands it along.
    handed = record("came", request=SimpleNamespace(request_id="another-one"))
    assert parsed(handed)["request_id"] == "another-one"


@pytest.mark.parametrize(
    "given", ["short", "x" * 65, "with space", "line\nbreak-line", "ümlaut-12345", ""]
)
def test_an_id_that_is_not_well_formed_is_replaced(given: str) -> None:
    made = request_id.accept(given)
    assert made != given
    assert len(made) == 32


def failure() -> Any:
    try:
        raise ValueError(f"password=hunter2hunter2\n2023-11-14 INFO forged {JWT}")
    except ValueError:
        return sys.exc_info()


def test_a_stack_trace() -> None:
    made = record("it failed", exc_info=failure())
    lines = text(made).splitlines()
    assert lines[0].endswith("it failed")
    assert all(line.startswith("    ") for line in lines[1:])
    assert "ValueError" in parsed(made)["exception"]
    for whole in (text(made), json.dumps(parsed(made))):
        assert "hunter2" not in whole
        assert JWT not in whole


def test_a_message_is_one_line() -> None:
    forged = record("name %s", "alice\n2023-11-14T22:13:20Z INFO forged\r\x1b[2J\u2028x")
    line = text(forged)
    assert line.splitlines() == [line]
    assert "\x1b" not in line
    assert "\x1b" not in parsed(forged)["message"]


SECRET = "s3cr3t-canary-4711"


@pytest.mark.parametrize(
    "message",
    [
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
        f"headers [(b'Authorization', b'Bearer {SECRET}')]",
        f"{{'Authorization': 'token {SECRET}'}}",
        f"Cookie: berth_session_8000={SECRET}; csrftoken={SECRET}",
        f"Set-Cookie: sessionid={SECRET}; HttpOnly",
        f"berth_session_8000={SECRET} was sent",
        f"GET /jwt/auth?password={SECRET}&service=x",
        f"GET /v2/a/blobs/uploads/1?_state={SECRET}",
        f"POST username=alice&password={SECRET}",
        f"new_password1={SECRET}",
        f"csrfmiddlewaretoken={SECRET}",
        f"access_token={SECRET}&x",
        f'{{"password": "{SECRET}"}}',
        f'{{"token":"{SECRET}","access_token":"{SECRET}"}}',
        f"{{'http_secret': '{SECRET}'}}",
        f"REGISTRY__HTTP_SECRET={SECRET}",
        f"secret_key = {SECRET}".replace(" = ", "="),
        f"postgresql://berth:{SECRET}@db/gitlab refused",
        f"redis://:{SECRET}@cache:6379/0 refused",
        f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
        f"glpat-{SECRET}",
    ],
)
def test_secrets_by_their_form(message: str) -> None:
    for line in (text(record("%s", message)), json.dumps(parsed(record("%s", message)))):
        assert SECRET not in line
        assert logs.MASK in line


@pytest.mark.parametrize(
    "message",
    [
        "token refused: expired",
        "GET /v2/alice/app/manifests/latest 200",
        "sha256:1c2d and /gitlab/v1/repositories/a/tags/list/?last=b",
        "the registry's secret differs; set registry.http_secret",
        "http://localhost:5000 does not answer",
    ],
)
def test_what_is_no_secret_stays(message: str) -> None:
    assert text(record("%s", message)).endswith(message)


def test_configured_secrets_by_their_value() -> None:
    loaded = load(
        {
            "REGISTRY__HTTP_SECRET": "a-http-secret",
            "REGISTRY__STORAGE__SECRET_KEY": "a-store-secret",
            "BERTH__SECRET_KEY": "a-secret-key",
            "BERTH__EVENTS_SECRET": "an-events-secret",
            "BERTH__METRICS_TOKEN": "a-metrics-token",
            "BERTH__DATABASE_URL": "postgresql://berth:a-db-password@db/gitlab",
            "BERTH__BROKER_URL": "redis://:a-broker-password@broker:6379/0",
            "GITLAB_ROOT_PASSWORD": "a-root-password",
        }
    )
    secrets = loaded.configuration.secrets()
    logs.hide(secrets)
    given = {value for value in secrets if value.startswith("a")}
    assert len(given) == 8, given
    for value in given:
        assert value not in text(record("somewhere %s stands", value))
    # The address without its password is what somebody needs who looks for the fault.
    assert "db/gitlab" in text(record("postgresql://berth:a-db-password@db/gitlab"))


def test_a_short_secret_does_not_mask_everything() -> None:
    logs.hide(["a", ""])
    assert text(record("a message")).endswith("a message")


@pytest.mark.parametrize("level", ["debug", "info"])
def test_libraries_that_print_secrets_at_debug_level_are_quiet(level: str) -> None:
    loggers = logs.configuration("text", level)["loggers"]
    for name in ("httpx", "httpcore", "botocore", "django.db.backends"):
        assert logging.getLevelName(loggers[name]["level"]) >= logging.INFO


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level(level: str, seen: list[str]) -> None:
    lines = (
        "import json, logging.config\n"
        "from gitlab import settings\n"
        "logging.config.dictConfig(settings.LOGGING)\n"
        "for name in ('debug', 'info', 'warning', 'error'):\n"
        "    getattr(logging.getLogger('registry.x'), name)(name)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", lines],
        env={"BERTH__LOG_LEVEL": level, "BERTH__LOG_FORMAT": "json", "PATH": ""},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert [json.loads(line)["level"] for line in ran.stderr.splitlines()] == seen


STARTS = [
    "eyJ", "eyJhbGciOi.", "eyJhbGciOiJFUzI1NiJ9eyJ.", "glpat-", "gldt-a", "bearer ", "basic  ", "Bearer a",
    "authorization", "authorization:", "authorization: ", "cookie'\n", "set-cookie , ", "x-registry-auth",
    "password", "password:", "password: ", "password='", 'new_password": "', "token%3D", "sessionid =",
    "berth_session_1", "secret_key:", "csrftoken", "://", "://a", "://a:", "://a:b", "://:@", "a:b@",
    "-----BEGIN ", "-----BEGIN A", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----END ",
    "-----", "PRIVATE KEY", " ", "\t", "\n", "a", ".", "-", "_", "=", ":", "'", '"', "%", "\x00", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("before", ["", "password="])
def test_no_text_costs_more_than_its_length(start: str, before: str) -> None:
    """64 KB of the start of each alternative, searched whole, cost what sixteen times 4 KB cost.

    Counted in the steps of a clock of the process, and with a wide margin: what is quadratic costs
    sixteen times that.
    """

    def seconds(size: int, times: int) -> float:
        text = before + start * (size // len(start))
        began = time.process_time()
        for _ in range(times):
            logs.clean(text, size + len(before))
        return time.process_time() - began

    small = min(seconds(4 * 1024, 16) for _ in range(2))
    large = min(seconds(64 * 1024, 1) for _ in range(2))
    assert large < 8 * small + 0.02, (
        f"{large * 1000:.1f} ms, and sixteen small ones {small * 1000:.1f}"
    )


def test_a_long_text_is_cut_before_it_is_searched() -> None:
    line = logs.clean("began " + "x " * 100_000)
    assert line.startswith("began x x")
    assert line.endswith("… [200,006 characters]")
    assert len(line) < 20_000


@pytest.mark.parametrize("secret", [f"token={JWT}", f"Bearer {JWT}", "hunter2-hunter2-hunter2"])
def test_a_cut_leaves_no_half_of_a_secret(secret: str) -> None:
    logs.hide(["hunter2-hunter2-hunter2"])
    for end in range(len(secret) + 2):
        text = "y " * ((16 * 1024 - end) // 2) + secret + " and more" * 5000
        cleaned = logs.clean(text)
        assert "hunter2" not in cleaned
        assert "eyJhbGciOiJF" not in cleaned


@pytest.mark.parametrize("around", ["{}", "x{}", "path/{}", "a.{}", "{}.", "({})", "eyJ{}"])
def test_a_web_token_is_masked_wherever_it_stands(around: str) -> None:
    cleaned = logs.clean(around.format(JWT))
    assert logs.MASK in cleaned
    assert "eyJzdWIi" not in cleaned
    assert "c2lnbmF0dXJl" not in cleaned
