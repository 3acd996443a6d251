"""Two factors in a real browser, and what docker is told then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.installation import Installation
from tests.e2e.test_accessibility import assert_accessible
from tests.gitlab.accounts.factors import code_of
from tests.people import PASSWORD, basic

pytestmark = pytest.mark.e2e

FACTORS = "/-/user_settings/two_factor"


@pytest.fixture
def page(chromium: Browser, berth: Installation) -> Iterator[Page]:
    """A browser without anybody. Nothing may complain, the content security policy above all."""
    complaints: list[str] = []
    context = chromium.new_context(base_url=berth.url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def device(page: Page) -> Any:
    """A telephone's passkeys, as the browser's own protocol plays them."""
    line = page.context.new_cdp_session(page)
    line.send("WebAuthn.enable")
    line.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return line


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def password(page: Page, name: str) -> None:
    page.goto("/users/sign_in")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")


def confirm(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Confirm")


def sign_out(page: Page) -> None:
    page.goto("/users/sign_out")
    press(page, "Sign out")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def is_in(page: Page, name: str) -> None:
    expect(page.get_by_label(f"Account of {name}")).to_be_visible()


def docker_login(berth: Installation, name: str, secret: str) -> httpx.Response:
    return httpx.get(
        f"{berth.url}/jwt/auth?service=container_registry",
        headers={"Authorization": basic(name, secret)},
        timeout=60,
    )


def test_an_app_a_recovery_code_and_docker(page: Page, berth: Installation) -> None:
    name = "otto"
    berth.create_user(name)
    assert docker_login(berth, name, PASSWORD).status_code == 200
    password(page, name)
    page.goto(FACTORS)
    page.get_by_role("link", name="Set up").click()
    confirm(page)
    assert_accessible(page)
    secret = page.locator("[data-copy]").first.get_attribute("data-copy") or ""
    page.get_by_label("Code of the app").fill(code_of(secret))
    press(page, "Set up")
    expect(page.get_by_text("Copy them now")).to_be_visible()
    codes = (page.locator("[data-copy]").first.get_attribute("data-copy") or "").split()
    assert len(codes) == 10
    assert_accessible(page)

    sign_out(page)
    password(page, name)
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    assert_accessible(page)
    page.get_by_label("Code").fill(code_of(secret, later=1))
    press(page, "Sign in")
    is_in(page, name)

    sign_out(page)
    password(page, name)
    page.get_by_label("Code").fill(codes[0])
    press(page, "Sign in")
    is_in(page, name)

    refused = docker_login(berth, name, PASSWORD)
    assert refused.status_code == 401
    message = refused.json()["errors"][0]["message"]
    assert f"{berth.url}/-/user_settings/personal_access_tokens" in message
    assert docker_login(berth, name, berth.api_token(name, "read_registry")).status_code == 200


@pytest.mark.usefixtures("device")
def test_a_passkey_alone_and_as_the_second_factor(page: Page, berth: Installation) -> None:
    name = "petra"
    berth.create_user(name)
    password(page, name)
    page.goto(f"{FACTORS}/passkeys/new")
    confirm(page)
    assert_accessible(page)
    page.get_by_label("Name").fill("the telephone")
    press(page, "Add passkey")
    expect(page.get_by_text("Copy them now")).to_be_visible()
    page.goto(FACTORS)
    expect(page.get_by_text("the telephone")).to_be_visible()
    expect(page.get_by_text("Signs in alone")).to_be_visible()
    assert_accessible(page)

    sign_out(page)
    press(page, "Use a passkey")
    is_in(page, name)

    sign_out(page)
    password(page, name)
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    press(page, "Use a passkey")
    is_in(page, name)

    page.goto("/-/user_settings/active_sessions")
    expect(page.get_by_role("row").filter(has_text="This one")).to_have_count(1)
    page.goto(FACTORS)
    page.get_by_role("link", name="Remove…").click()
    confirm(page)
    press(page, "Remove passkey")
    expect(page.get_by_text("None yet.")).to_be_visible()
    assert docker_login(berth, name, PASSWORD).status_code == 200
