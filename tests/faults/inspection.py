"""What is wrong in a state folder that a power cut has left.

It is asked by `Inspector` and answers in a process that has the settings of that folder. The
process holds nothing of the folder between two questions, so that another disk may take its place.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from registry import digest as digests
from registry.models import Manifest, RepositoryBlob, Tag
from registry.storage import paths
from tests.e2e.installation import PROJECT, Installation


class Inspector:
    """The process. It is started with the first question, when there is a state folder."""

    _CODE = "from tests.faults import inspection; inspection.answer()"

    def __init__(self, node: Installation) -> None:
        self._node = node
        self._popen: subprocess.Popen[str] | None = None

    def ask(self, asked: Path) -> list[str]:
        """See `inspect`."""
        if self._popen is None:
            self._popen = subprocess.Popen(
                [sys.executable, "manage.py", "shell", "--no-imports", "-c", self._CODE],
                cwd=PROJECT,
                env=self._node.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.write(f"{asked}\n")
        self._popen.stdin.flush()
        found: list[str] = json.loads(self._popen.stdout.readline())
        return found

    def close(self) -> None:
        """Let the process end."""
        if self._popen is not None:
            self._popen.communicate(timeout=60)


def answer() -> None:
    """Answer each line of the input, a path, with a line."""
    for line in sys.stdin:
        try:
            found = inspect(line.strip())
        except Exception as error:
            # SQLite's files may be so damaged that nothing can be asked of them.
            found = [f"I1: {type(error).__name__}: {error}"]
        finally:
            connections.close_all()
        print(json.dumps(found), flush=True)


def inspect(asked: str) -> list[str]:
    """Each sentence names something that is lost or damaged.

    The file `asked` says what was acknowledged: ``tags``, each with what it may point at (nothing
    where all is allowed), and ``blobs`` with their images.
    """
    question = json.loads(Path(asked).read_text())
    return [*_databases(), *_tags(question["tags"]), *_blobs(question["blobs"]), *_verified()]


def _databases() -> Iterator[str]:
    for alias in connections:
        with connections[alias].cursor() as cursor:
            if connections[alias].vendor == "sqlite":
                cursor.execute("PRAGMA integrity_check")
                for (sentence,) in cursor.fetchall():
                    if sentence != "ok":
                        yield f"I1: {alias}: {sentence}"
        connections[alias].check_constraints()


def _tags(allowed: list[tuple[str, str, list[str | None]]]) -> Iterator[str]:
    open_tags = Tag.objects.filter(ended_at=None, repository__closed_at=None)
    found = {
        (tag.repository.name, tag.name): tag
        for tag in open_tags.select_related("repository", "manifest")
    }
    for name, tag, digests_allowed in allowed:
        row = found.get((name, tag))
        digest = row.digest if row else None
        if digests_allowed and digest not in digests_allowed:
            yield f"I1: {name}:{tag} is {digest}, and may be {digests_allowed}"
    for (name, tag), row in found.items():
        assert row.manifest is not None
        for damage in _manifest(row.manifest):
            yield f"I2: {name}:{tag}: {damage}"


def _manifest(manifest: Manifest) -> Iterator[str]:
    payload = bytes(manifest.payload)
    if digests.of(payload) != manifest.digest:
        yield f"{manifest.digest} has other bytes"
        return
    document = json.loads(payload)
    for descriptor in (document["config"], *document["layers"]):
        yield from _bytes(descriptor["digest"])


def _blobs(stored: list[tuple[str, str]]) -> Iterator[str]:
    for name, digest in stored:
        may_serve = RepositoryBlob.objects.filter(
            repository__name=name, repository__closed_at=None, blob__digest=digest
        )
        if not may_serve.exists():
            yield f"I1: {name} has lost {digest}"
        for damage in _bytes(digest):
            yield f"I1: {name}: {damage}"


def _bytes(digest: str) -> Iterator[str]:
    try:
        body = paths.blob(Path(settings.REGISTRY_STORAGE["root"]), digest).read_bytes()
    except FileNotFoundError:
        yield f"{digest} is missing"
        return
    if digests.of(body) != digest:
        yield f"{digest} has {len(body)} other bytes"


def _verified() -> list[str]:
    out = io.StringIO()
    with suppress(SystemExit):
        call_command("registry_verify", "--read-data", "--format", "json", stdout=out)
    findings: list[dict[str, Any]] = json.loads(out.getvalue())["findings"]
    # A file whose row was not written yet is no damage.
    return [json.dumps(finding) for finding in findings if finding["kind"] != "orphan file"]
