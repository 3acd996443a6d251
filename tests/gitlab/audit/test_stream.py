"""What is sealed is sent on: into a file, or to a syslog."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from gitlab.audit import chain, stream
from gitlab.audit.models import AuditEvent
from gitlab.audit.services import record
from workers import tasks

pytestmark = pytest.mark.django_db


def test_a_file_gets_each_line_once(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    settings.AUDIT_STREAM = f"file://{path}"
    record("thing.do", by=None, name="Grün")
    tasks.seal_audit_events()
    record("more.do", by=None)
    tasks.seal_audit_events()
    tasks.seal_audit_events()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["action"], line["position"]) for line in lines] == [
        ("thing.do", 1),
        ("more.do", 2),
    ]
    first = AuditEvent.objects.get(action="thing.do")
    assert lines[0]["digest"] == first.digest == chain.digest_of(first, "")


def test_a_syslog_gets_messages(settings: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        settings.AUDIT_STREAM = f"syslog://127.0.0.1:{server.getsockname()[1]}"
        record("thing.do", by=None, text="x" * 10_000)
        chain.seal()
        assert stream.send_on() == 1
        message = server.recv(65_536)
    assert message.startswith(b'<109>berth-audit: {"id": ')
    assert len(message) == stream.MAX_LINE


def test_a_socket_of_this_machine(settings: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(5)
        settings.AUDIT_STREAM = f"syslog://{tmp_path / 'log'}"
        record("thing.do", by=None)
        chain.seal()
        assert stream.send_on() == 1
        assert b'"thing.do"' in server.recv(65_536)


def test_what_could_not_be_sent_is_sent_later(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "later" / "audit.jsonl"
    settings.AUDIT_STREAM = f"file://{path}"
    record("thing.do", by=None)
    tasks.seal_audit_events()
    path.parent.mkdir()
    tasks.seal_audit_events()
    assert path.read_text().count("thing.do") == 1
