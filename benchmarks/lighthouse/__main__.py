"""Lighthouse's marks: ``make lighthouse``, or ``python -m benchmarks.lighthouse [--rounds 3]``.

Asks for home, a project, an image's tags and one tag in the installation that `benchmarks.pages`
seeds, as an administrator, as a desk and as a phone on a slow line; prints the median of the rounds
as a table, and below it what costs points. Fails where performance or accessibility is below 95.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.pages import seeded
from benchmarks.pages_content import TAGS
from benchmarks.servers import PROJECT, Bench, free_port, running

INSTALLED = PROJECT / ".venv-lighthouse"
_CLI = INSTALLED / "node_modules" / "lighthouse" / "cli" / "index.js"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FORMS = {"desktop": ["--preset=desktop"], "mobile": []}
_CATEGORIES = ("performance", "accessibility", "best-practices")
_GOAL = 95
_COUNTS = ("performance", "accessibility")
"""For what the goal is one."""

_TIMEOUT = 180.0
"""Seconds for one run of Lighthouse, which takes fifteen."""

_TRIES = 3


def main() -> int:
    """Seed, measure, print; 1 where a mark is too low, 2 where something is missing."""
    parser = argparse.ArgumentParser(prog="benchmarks.lighthouse")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts")
    parser.add_argument("--only", default="", help="only pages whose name has this in it")
    parser.add_argument("--keep", type=Path, help="a folder for Lighthouse's own reports")
    options = parser.parse_args()
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None or not _CLI.exists():
        print("It needs chromium, and Lighthouse: make lighthouse installs it.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="lighthouse-") as folder:
        bench = Bench(Path(folder))
        image, _, cookie = seeded(bench)
        with running(bench.berth("registry")) as registry:
            bench.environment["GITLAB_RAILS__REGISTRY_API_URL"] = registry.address
            with running(bench.berth("web")) as web:
                # By this name a browser takes it for as safe as https, which it would be.
                url = f"http://localhost:{web.port}"
                with signed_in(Path(folder), browser, url, cookie) as port:
                    run = Lighthouse(Path(folder), port, url, options.keep)
                    # The first page waits for what a process does once.
                    run.report("home", "desktop", "/")
                    reports = {
                        (name, form): [run.report(name, form, path) for _ in range(options.rounds)]
                        for name, path in _pages(image).items()
                        if options.only in name
                        for form in _FORMS
                    }
    return _print(reports)


def _pages(image: str) -> dict[str, str]:
    tags = f"/seed/large/container_registry/{image}"
    return {
        "home": "/",
        "project": "/g000/p0000",
        "tags": tags,
        "tag": f"{tags}/tags/v{TAGS // 2:06}",
    }


@contextlib.contextmanager
def signed_in(folder: Path, browser: str, url: str, cookie: str) -> Iterator[int]:
    """A browser that has the cookie, at a port for Lighthouse.

    A header that Lighthouse adds would not be that of what scripts fetch.
    """
    port = free_port()
    name, _, value = cookie.partition("=")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=browser,
            args=[f"--remote-debugging-port={port}", "--no-sandbox"],
        )
        context.add_cookies([{"name": name, "value": value, "url": url}])
        yield port
        context.close()


class Lighthouse:
    """Its command line, with the browser at a port. Keeps reports in `keep`, by page and form."""

    def __init__(self, folder: Path, port: int, url: str, keep: Path | None) -> None:
        self._folder = folder
        self._port = port
        self._url = url
        self._keep = keep

    def report(self, name: str, form: str, path: str) -> dict[str, Any]:
        """One run, which Lighthouse sometimes wants to have again.

        Raises `RuntimeError` where the page could not be measured.
        """
        for _ in range(_TRIES - 1):
            with contextlib.suppress(RuntimeError):
                return self._report(name, form, path)
        return self._report(name, form, path)

    def _report(self, name: str, form: str, path: str) -> dict[str, Any]:
        where = self._folder / "report.json"
        command = [
            "node",
            str(_CLI),
            f"{self._url}{path}",
            "--quiet",
            "--output=json",
            f"--output-path={where}",
            f"--only-categories={','.join(_CATEGORIES)}",
            f"--port={self._port}",
            *_FORMS[form],
        ]
        done = subprocess.run(
            command,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{name}, {form}: {done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(where.read_text())
        if error := found.get("runtimeError"):
            raise RuntimeError(f"{name}, {form}: {error['message']}")
        if not found["finalDisplayedUrl"].endswith(path):
            raise RuntimeError(f"{name}, {form}: led to {found['finalDisplayedUrl']}")
        if self._keep:
            self._keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(where, self._keep / f"{name}-{form}.json")
        return found


def _print(reports: dict[tuple[str, str], list[dict[str, Any]]]) -> int:
    """The table in Markdown, and what costs points; the exit code."""
    low, findings = [], []
    print(f"| page | form | {' | '.join(_CATEGORIES)} |")
    print("|---|---|" + "---:|" * len(_CATEGORIES))
    for (name, form), rounds in reports.items():
        marks = {category: _mark(rounds, category) for category in _CATEGORIES}
        print(f"| {name} | {form} | {' | '.join(map(str, marks.values()))} |")
        low += [f"{name}, {form}: {each}" for each in _COUNTS if marks[each] < _GOAL]
        findings += [f"{name}, {form}: {each}" for each in _findings(rounds[-1])]
    print("\nWhat costs points, in the last round:", *(findings or ["nothing"]), sep="\n  ")
    if low:
        print(f"\nBelow {_GOAL}:", *low, sep="\n  ")
    return 1 if low else 0


def _mark(rounds: list[dict[str, Any]], category: str) -> int:
    """Of 100, the median."""
    return round(100 * statistics.median(each["categories"][category]["score"] for each in rounds))


def _findings(report: dict[str, Any]) -> Iterator[str]:
    """What has less than all points and counts."""
    for category in report["categories"].values():
        for reference in category["auditRefs"]:
            audit = report["audits"][reference["id"]]
            if reference["weight"] and audit["score"] is not None and audit["score"] < 0.95:
                shown = audit.get("displayValue", "")
                yield f"{category['id']}: {audit['id']} {round(100 * audit['score'])} {shown}"


if __name__ == "__main__":
    sys.exit(main())
