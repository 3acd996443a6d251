"""A cleanup in a browser, with the real worker: planned, looked at, run, undone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import images
from tests.e2e.installation import Installation
from tests.e2e.test_pages import page, push  # noqa: F401

pytestmark = pytest.mark.e2e


def test_from_the_plan_to_the_undo(page: Page, berth: Installation, project: str) -> None:  # noqa: F811
    berth.create_project(project, owner="alice")
    for number in range(3):
        push(berth, f"{project}/web", images.tiny(f"cleanup {number}"), f"v{number}")
    push(berth, f"{project}/web", images.tiny("cleanup latest"), "latest")
    page.goto(f"/{project}/-/cleanup")
    page.get_by_role("link", name="Policy").click()
    rule = page.locator("section", has_text="Rule 1")
    rule.get_by_label("Keep the newest").fill("1")
    rule.get_by_label("Keep younger than").fill("")
    page.get_by_role("button", name="Save policy").click()
    expect(page.get_by_text("All tags go, but not the newest 1.")).to_be_visible()
    page.get_by_role("button", name="Plan a cleanup").click()
    expect(page.get_by_text("Waits for approval.")).to_be_visible()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_text("deleted: older than the newest 1 of .*")).to_have_count(2)
    page.get_by_role("link", name="Stays").click()
    expect(page.get_by_text("kept: latest always stays")).to_be_visible()
    page.get_by_role("button", name="Run this plan").click()
    expect(page.get_by_text("Finished.")).to_be_visible()
    page.get_by_role("link", name="Look again").click()
    page.get_by_role("button", name="Undo all of it").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_text("Back again")).to_be_visible()
    page.goto(f"/{project}/container_registry")
    expect(page.get_by_role("row", name="web")).to_contain_text("4")
