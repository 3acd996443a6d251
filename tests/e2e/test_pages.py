"""A person in a browser: what was pushed is there, goes after a question, and comes back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import images
from tests.e2e.conftest import Person
from tests.e2e.images import Image, digest_of
from tests.e2e.installation import Installation, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(chromium: Browser, berth: Installation, alice: Person) -> Iterator[Page]:
    """Alice, signed in. Nothing may complain in the console, the content security policy
    above all.
    """
    complaints: list[str] = []
    context = chromium.new_context(base_url=berth.url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page, alice)
    yield page
    context.close()
    assert complaints == []


def sign_in(page: Page, person: Person) -> None:
    page.goto("/")
    page.get_by_label("User name").fill(person.username)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label(f"Account of {person.username}")).to_be_visible()


def push(berth: Installation, name: str, image: Image, *tags: str) -> None:
    """As a client does it, in few requests."""
    scope = f"repository:{name}:pull,push"

    def send(method: str, path: str, content: bytes, **headers: str) -> None:
        response = berth.request(
            method, path, scope, username="alice", content=content, headers=headers
        )
        assert response.status_code == 201, response.text

    for blob in (image.config, *image.blobs):
        send("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(blob)}", blob)
    for tag in tags:
        send(
            "PUT",
            f"/v2/{name}/manifests/{tag}",
            image.manifest,
            **{"Content-Type": images.MANIFEST},
        )


def test_from_the_empty_page_to_the_tags(page: Page, berth: Installation, project: str) -> None:
    berth.create_project(project, owner="alice")
    page.goto(f"/{project}/container_registry")
    expect(page.get_by_text(f"docker push {berth.registry}/{project}", exact=True)).to_be_visible()
    image = images.tiny("seen in a page")
    push(berth, f"{project}/web", image, "1.0", "latest")
    page.reload()
    page.get_by_role("link", name="web").click()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="latest"))
    expect(row).to_contain_text(digest_of(image.manifest)[7:19])
    expect(row).to_contain_text("amd64")
    expect(row).to_contain_text("by alice")
    page.get_by_placeholder("Filter tags").fill("lat")
    expect(page.get_by_role("link", name="1.0", exact=True)).to_have_count(0)
    page.get_by_role("link", name="latest", exact=True).click()
    expect(page.get_by_text(f"docker pull {berth.registry}/{project}/web:latest")).to_be_visible()
    expect(page.get_by_text("Current")).to_be_visible()


def test_what_was_pulled_is_shown(page: Page, berth: Installation, project: str) -> None:
    """When last, in the list, sorted by it too; and how often by whom, on the tag's page."""
    berth.create_project(project, owner="alice")
    for tag in ("pulled", "unused"):
        push(berth, f"{project}/web", images.tiny(tag), tag)
    scope = f"repository:{project}/web:pull"
    for _ in range(3):
        berth.request("GET", f"/v2/{project}/web/manifests/pulled", scope)

    def is_written() -> bool:
        path = f"/gitlab/v1/berth/pulls/{project}/web/"
        days = berth.request("GET", path, scope).json()["days"]
        return sum(day["pulls"] for day in days) == 3

    wait_until(is_written)
    page.goto(f"/{project}/container_registry")
    image = page.get_by_role("link", name="web").get_attribute("href")
    page.goto(f"{image}?sort=name")
    expect(page.get_by_text("3 pulls in 30 days")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="unused")).to_contain_text("never")
    sorts = page.get_by_role("link", name="Last pulled")
    expect(sorts).to_have_attribute("href", "?sort=-last_pulled_at")
    page.goto(f"{image}?sort=last_pulled_at")
    expect(page.get_by_role("row").nth(1)).to_contain_text("unused")
    page.get_by_role("link", name="pulled", exact=True).click()
    expect(page.get_by_text("Of this image by tag or digest in 30 days")).to_be_visible()
    expect(page.get_by_text("3 with a password").first).to_be_visible()


def test_a_tag_goes_and_comes_back(page: Page, berth: Installation, project: str) -> None:
    push(berth, f"{project}/web", images.tiny("deleted in a page"), "1.0", "2.0")
    page.goto(f"/{project}/container_registry")
    page.get_by_role("link", name="web").click()
    tag = page.get_by_role("link", name="1.0", exact=True)
    page.get_by_label("Select 1.0").check()
    page.get_by_role("button", name="Delete…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 1.0 of web?")
    expect(dialog).to_contain_text("Undo until")
    dialog.get_by_role("button", name="Delete 1.0").click()
    expect(page.get_by_text("Tag 1.0 of web deleted.")).to_be_visible()
    expect(tag).to_have_count(0)
    pull = f"repository:{project}/web:pull"
    url = f"/v2/{project}/web/manifests/1.0"
    assert berth.request("HEAD", url, pull, username="alice").status_code == 404
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Tag 1.0 of web is back.")).to_be_visible()
    expect(tag).to_be_visible()
    assert berth.request("HEAD", url, pull, username="alice").status_code == 200


def test_a_part_that_looks_again_is_no_page(page: Page, berth: Installation, project: str) -> None:
    """Where the session has ended meanwhile, no sign-in page appears within the page."""
    push(berth, f"{project}/web", images.tiny("looked at for long"), "1.0")
    page.goto(f"/{project}")
    pushes = page.locator("#pushes")
    expect(pushes).to_contain_text("web:1.0")
    with page.expect_response(re.compile("/users/sign_in"), timeout=60_000):
        page.context.clear_cookies()
    expect(pushes).not_to_have_class(re.compile("htmx-request"))
    expect(pushes).to_contain_text("web:1.0")
    expect(page.get_by_label("Password")).to_have_count(0)


def test_an_image_goes_and_comes_back(page: Page, berth: Installation, project: str) -> None:
    push(berth, f"{project}/web", images.tiny("an image that goes"), "1.0")
    page.goto(f"/{project}/container_registry")
    page.get_by_label(f"Actions for {project}/web").click()
    page.get_by_role("link", name="Delete image…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete web").click()
    expect(page.get_by_text(f"{project}/web is being deleted.")).to_be_visible()
    # The worker deletes it while the page looks on, or before the page is there.
    gone = page.get_by_text("Deleted", exact=True).or_(page.get_by_text("No images yet"))
    expect(gone.first).to_be_visible(timeout=60_000)
    assert (
        berth.request(
            "GET",
            f"/v2/{project}/web/tags/list",
            f"repository:{project}/web:pull",
            username="alice",
        ).status_code
        == 404
    )
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"{project}/web stays.")).to_be_visible()
    page.get_by_role("link", name="web").click()
    expect(page.get_by_role("link", name="1.0", exact=True)).to_be_visible()


def test_without_javascript(
    chromium: Browser, berth: Installation, alice: Person, project: str
) -> None:
    push(berth, f"{project}/web", images.tiny("no scripts"), "1.0", "2.0", "3.0")
    context = chromium.new_context(base_url=berth.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, alice)
    page.goto(f"/{project}/container_registry")
    page.get_by_role("link", name="web").click()
    page.get_by_role("link", name="Tag", exact=True).click()
    for tag in ("1.0", "3.0"):
        page.get_by_label(f"Select {tag}").check()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 2 tags").click()
    expect(page.get_by_text("2 tags of web deleted.")).to_be_visible()
    assert page.url.endswith("?sort=version")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("2 tags of web are back.")).to_be_visible()
    context.close()


def test_the_console(page: Page, chromium: Browser, berth: Installation) -> None:
    assert page.request.get("/admin/").status == 403
    complaints: list[str] = []
    context = chromium.new_context(base_url=berth.url, color_scheme="dark")
    admin = context.new_page()
    admin.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    sign_in(admin, Person("root", berth.root_password))
    admin.get_by_label("Account of root").click()
    admin.get_by_role("link", name="Admin area").click()
    for name in ("People", "Groups", "Projects", "Images", "Audit events"):
        admin.get_by_role("navigation").get_by_role("link", name=name).click()
        expect(admin.get_by_role("heading", level=1, name=name)).to_be_visible()
    context.close()
    assert complaints == []


def test_the_operations_of_the_api(page: Page) -> None:
    """Shown by scripts of our own host, and tried with the session of the pages."""
    page.goto("/help/api")
    page.get_by_placeholder("Filter by tag").fill("Users")
    page.get_by_role("heading", name="Users").click()
    page.get_by_text("Show oneself").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_text('"username": "alice"').first).to_be_visible()
