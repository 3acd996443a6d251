"""Where the focus goes when something opens and closes, by keys; and axe-core finds nothing there.

Every page as it comes is looked at by `tests/e2e/test_every_page.py`. One browser and one
installation, which these tests only look at but for an image of their own; in two of four forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e import images
from tests.e2e.conftest import person_at
from tests.e2e.installation import Installation
from tests.e2e.test_pages import push, sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("accessibility")]
_RULES = {
    "rules": {name: {"enabled": True} for name in ("target-size", "label-content-name-mismatch")}
}
"""Of WCAG 2.2 AA and 2.1 A, which axe-core leaves off unless they are asked for."""

FORMS = {"light, wide": ("light", 1280), "dark, narrow": ("dark", 360)}


@pytest.fixture(scope="module", params=FORMS)
def page(request: pytest.FixtureRequest, chromium: Browser, berth: Installation) -> Iterator[Page]:
    """Alice, signed in, in one of the forms."""
    theme, width = FORMS[request.param]
    context = chromium.new_context(
        base_url=berth.url,
        viewport={"width": width, "height": 900},
        color_scheme=theme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    sign_in(page, person_at(berth, "alice"))
    yield page
    context.close()


@pytest.fixture(scope="module")
def image(berth: Installation) -> str:
    """The path of a project with an image of two tags."""
    person_at(berth, "alice")
    path = "alice/looked-at"
    berth.create_project(path, owner="alice", visibility="public")
    push(berth, f"{path}/web", images.tiny("looked at"), "v1", "latest")
    return path


def assert_accessible(page: Page) -> None:
    """Nothing is found; else each rule with its elements."""
    found: list[dict[str, Any]] = Axe().run(page, options=_RULES).response["violations"]
    said = [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"][:3]]
    assert not said, f"{page.url}\n" + "\n".join(said)


def image_address(page: Page, path: str) -> str:
    page.goto(f"/{path}/container_registry")
    link = page.locator("#images").get_by_role("link", name="web").first
    return link.get_attribute("href") or ""


def test_what_opens_and_where_the_focus_goes(page: Page, image: str) -> None:
    page.goto(image_address(page, image))
    button = page.get_by_label("Actions for v1")
    button.click()
    assert_accessible(page)
    page.get_by_role("link", name="Delete tag…").click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete v1 of web?")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    # What a row may do stays in sight, however narrow the window is.
    box = button.bounding_box()
    assert box is not None
    width = (page.viewport_size or {"width": 0})["width"]
    assert box["x"] + box["width"] <= width


def test_the_palette(page: Page, image: str) -> None:
    page.goto("/")
    page.keyboard.press("Control+k")
    box = page.get_by_role("dialog", name="Search everywhere").get_by_role("searchbox")
    expect(box).to_be_focused()
    box.fill("looked-at")
    link = page.get_by_role("dialog").get_by_role("link", name=image, exact=True)
    expect(link).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("ArrowDown")
    expect(link).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox").first).to_be_focused()
