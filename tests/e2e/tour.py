"""The pictures of docs/tour.md, taken anew: ``make tour``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

from tests.e2e import components
from tests.e2e.company import GROUP, IMAGE, INSIDE, PROJECT, filled, installed
from tests.e2e.conftest import Person
from tests.e2e.installation import PROJECT as HERE
from tests.e2e.test_pages import sign_in
from tests.people import PASSWORD

IMAGES = HERE / "docs" / "images"
_OF_PROJECT = f"/{PROJECT}/container_registry"
PICTURES: dict[str, tuple[str, str, Literal["light", "dark"], int, int]] = {
    "home": ("alice", "/", "light", 1280, 860),
    "tags": ("alice", f"{_OF_PROJECT}/{{image {IMAGE}}}", "light", 1280, 740),
    "tags-phone-dark": ("alice", f"{_OF_PROJECT}/{{image {IMAGE}}}", "dark", 390, 760),
    "tag": ("alice", f"{_OF_PROJECT}/{{image {INSIDE}}}/tags/v1", "light", 1280, 1000),
    "compare": (
        "alice", f"{_OF_PROJECT}/{{image {INSIDE}}}/compare?from=v1&to=v2", "light", 1280, 900,
    ),
    "storage": ("alice", f"/groups/{GROUP}/-/storage", "light", 1280, 1000),
    "cleanup": ("alice", f"/{PROJECT}/-/cleanup/{{run}}", "light", 1280, 720),
    "admin-dark": ("root", "/admin/", "dark", 1280, 1000),
}  # fmt: skip
"""By its file's name: who looks, where, in which theme, the window's width and height."""


def take(browser: Browser) -> None:
    """Move the company in, and take each picture."""
    with (
        tempfile.TemporaryDirectory(prefix="tour-") as folder,
        installed(Path(folder)) as (
            berth,
            known,
        ),
    ):
        for name, (username, address, theme, width, height) in PICTURES.items():
            context = browser.new_context(
                base_url=berth.url,
                color_scheme=theme,
                viewport={"width": width, "height": height},
                reduced_motion="reduce",
            )
            page = context.new_page()
            sign_in(page, Person(username, PASSWORD))
            page.goto(filled(address, known), wait_until="networkidle")
            page.screenshot(path=IMAGES / f"{name}.png")
            context.close()


def main() -> None:
    """With Chromium, where Django's settings are loaded: what plays a signer asks for them."""
    with sync_playwright() as playwright:
        path = components.require("chromium")
        take(playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]))
