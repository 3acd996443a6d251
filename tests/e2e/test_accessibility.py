"""axe-core finds nothing, on any kind of page, light and dark, wide and narrow, with menus open.

Rules of WCAG 2.2 A and AA and of best practice. One browser and one installation, which these tests
only look at but for an image of their own; each page in two of the four forms.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e import images
from tests.e2e.conftest import Person, person_at
from tests.e2e.installation import Installation
from tests.e2e.test_inside import attest
from tests.e2e.test_pages import push, sign_in
from tests.e2e.test_stories import cosign
from tests.e2e.wire import Wire
from tests.gitlab.container_registry.signatures import signing

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("accessibility")]
_LABELS = "label-content-name-mismatch"
"""Not asked of the areas of a treemap, where it takes an SVG's title for text that is seen."""

_RULES = {"rules": {name: {"enabled": True} for name in ("target-size", _LABELS)}}
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
    said = [
        f"{each['id']}: {node['html'][:200]}"
        for each in found
        for node in each["nodes"][:3]
        if each["id"] != _LABELS or "treemap__link" not in node["html"]
    ]
    assert not said, f"{page.url}\n" + "\n".join(said)


def image_address(page: Page, path: str, name: str = "web") -> str:
    page.goto(f"/{path}/container_registry")
    link = page.locator("#images").get_by_role("link", name=name).first
    return link.get_attribute("href") or ""


OF_EVERYBODY = [
    "/", "/dashboard/projects", "/dashboard/groups", "/explore/projects", "/search?q=looked", "/search", "/projects/new",
    "/groups/new", "/-/user_settings/profile", "/-/user_settings/password",
    "/-/user_settings/personal_access_tokens", "/-/user_settings/two_factor",
    "/-/user_settings/two_factor/app", "/-/user_settings/active_sessions", "/nothing/at/all",
]  # fmt: skip
OF_A_PROJECT = [
    "", "/container_registry", "/container_registry/deleted", "/container_registry/help", "/-/project_members", "/edit",
    "/-/project_members/invitations",
    "/-/activity", "/-/storage", "/-/pushes", "/-/cleanup", "/-/cleanup/policy", "/-/delete", "/-/settings/access_tokens",
]  # fmt: skip
OF_AN_IMAGE = ["", "?q=v&match=pattern", "/untagged", "/tags/v1", "/tags/delete?selected=v1"]


def test_pages_of_everybody(page: Page, image: str) -> None:
    for address in OF_EVERYBODY:
        page.goto(address)
        assert_accessible(page)


def test_pages_of_a_project(page: Page, image: str) -> None:
    for address in OF_A_PROJECT:
        page.goto(f"/{image}{address}")
        assert_accessible(page)


def test_pages_of_an_image(page: Page, image: str) -> None:
    base = image_address(page, image)
    for address in OF_AN_IMAGE:
        page.goto(f"{base}{address}")
        assert_accessible(page)


@pytest.fixture(scope="module")
def looked_into(berth: Installation, image: str) -> dict[str, str]:
    """An image of two versions with what belongs to one, and its files read; digests by name."""
    name = f"{image}/inside"
    versions = [
        images.Image((images.layer({"etc/os": b"1"}), images.layer({f"app/{n}": b"%d" % n})))
        for n in range(2)
    ]
    push(berth, name, versions[0], "v1")
    push(berth, name, versions[1], "v2", "moved")
    push(berth, name, versions[0], "moved")
    digest = images.digest_of(versions[0].manifest)
    key = signing.new_key()
    cosign(berth, name, digest, key)
    with Wire(berth, name, username="alice") as wire:
        attest(wire, versions[0].manifest)
    berth.run_python(
        "from gitlab.accounts.models import User\n"
        "from gitlab.container_registry.layers import jobs, requests\n"
        "from gitlab.container_registry.models import ContainerRepository\n"
        "from gitlab.container_registry.signatures import services\n"
        "alice = User.objects.get(username='alice')\n"
        f"row = ContainerRepository.objects.get(path={name!r})\n"
        f"services.create(alice, row.project, name='release', key={signing.pem(key)!r})\n"
        f"jobs.run(requests.request(alice, row, {digest!r}).pk)"
    )
    return {"digest": digest, "project": image}


OF_WHAT_IS_INSIDE = [
    "/tags/v1", "/tags/moved", "/tags/multi", "/compare", "/compare?from=v1&to=v2",
    "/manifests/{digest}", "/manifests/{digest}/json", "/files/{digest}", "/files/{digest}?path=app",
]  # fmt: skip


def test_pages_of_what_is_inside(page: Page, looked_into: dict[str, str]) -> None:
    base = image_address(page, looked_into["project"], "inside")
    for address in OF_WHAT_IS_INSIDE:
        answer = page.goto(base + address.format(**looked_into))
        assert answer is not None
        assert answer.ok, page.url
        assert_accessible(page)
    # From an attestation to what it says.
    page.goto(f"{base}/tags/multi")
    files = page.locator('#belongings a[href*="/files/"]')
    for address in [files.nth(n).get_attribute("href") or "" for n in range(2)]:
        page.goto(address)
        assert_accessible(page)
    page.goto(f"/{looked_into['project']}/-/settings/public_keys")
    assert_accessible(page)


def test_what_opens_on_pages_of_what_is_inside(page: Page, looked_into: dict[str, str]) -> None:
    base = image_address(page, looked_into["project"], "inside")
    page.goto(f"{base}/tags/multi")
    page.get_by_label("Actions").first.click()
    assert_accessible(page)
    page.goto(f"{base}/tags/moved?on={dt.datetime.now(dt.UTC).date()}")
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("moved points there again.")).to_be_visible()
    assert_accessible(page)
    page.goto(f"/{looked_into['project']}/-/settings/public_keys")
    page.get_by_label("Actions for release").click()
    page.get_by_role("link", name="Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete this key?")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


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


def test_pages_of_visitors(chromium: Browser, berth: Installation, image: str) -> None:
    context = chromium.new_context(base_url=berth.url, viewport={"width": 360, "height": 800})
    page = context.new_page()
    for address in ("/users/sign_in", f"/{image}", "/explore/projects", "/search?q=looked"):
        page.goto(address)
        assert_accessible(page)
    context.close()


def test_pages_of_administrators(page: Page, chromium: Browser, berth: Installation) -> None:
    size = page.viewport_size or {"width": 1280, "height": 900}
    context = chromium.new_context(base_url=berth.url, viewport=size)
    console = context.new_page()
    sign_in(console, Person("root", berth.root_password))
    lists = ("people", "groups", "projects", "images", "tokens/access", "audit/auditevent")
    for address in ("/admin/", *(f"/admin/{name}/" for name in lists)):
        console.goto(address)
        assert_accessible(console)
    context.close()
