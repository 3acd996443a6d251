"""What people come for, from the first click to the last, in a browser at a real installation.

One installation and one browser for all of them; alice owns, bob develops, carol reports.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import images
from tests.e2e.conftest import Person, person_at
from tests.e2e.images import Image, digest_of
from tests.e2e.installation import Installation, wait_until
from tests.e2e.test_pages import push, sign_in
from tests.e2e.wire import Wire
from tests.gitlab.container_registry.signatures import signing

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stories")]
PATIENCE = 60_000
"""Milliseconds after which something is not there: how fast the machine is says nothing here."""


@pytest.fixture(scope="module")
def at_work(chromium: Browser, berth: Installation) -> Iterator[Any]:
    """``at_work("bob")``: a page of somebody who has signed in. Nothing complains in a console."""
    complaints: list[str] = []
    pages: dict[str, Page] = {}
    expect.set_options(timeout=PATIENCE)

    def open_page(username: str) -> Page:
        if username not in pages:
            context = chromium.new_context(
                base_url=berth.url, viewport={"width": 1280, "height": 900}
            )
            page = pages[username] = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            is_root = username == "root"
            person = Person("root", berth.root_password) if is_root else person_at(berth, username)
            sign_in(page, person)
        return pages[username]

    yield open_page
    for page in pages.values():
        page.context.close()
    assert complaints == []


@pytest.fixture
def project(berth: Installation, request: pytest.FixtureRequest) -> str:
    """A project of alice's own for each story, in which bob develops and carol reports."""
    path = f"alice/{request.node.name.removeprefix('test_').replace('_', '-')}"
    for username in ("alice", "bob", "carol"):
        person_at(berth, username)
    berth.create_project(path, owner="alice")
    berth.run_python(
        "from gitlab.accounts.models import User\n"
        "from gitlab.namespaces.models import Member, Project\n"
        f"project = Project.objects.get(full_path={path!r})\n"
        "for name, level in (('bob', 30), ('carol', 20)):\n"
        "    person = User.objects.get(username=name)\n"
        "    Member.objects.create(user=person, project=project, access_level=level)"
    )
    return path


def built(version: str, files: dict[str, bytes]) -> Image:
    """Two versions have their lowest layer in common."""
    base = images.layer({"etc/os-release": b"ID=story", "usr/bin/tool": b"x" * 5000})
    return Image((base, images.layer(files)), labels={"version": version})


def open_image(page: Page, project: str) -> str:
    """From the project to its image, whose address is answered."""
    page.goto(f"/{project}/container_registry")
    page.locator("#images").get_by_role("link", name="web").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("web")
    return page.url.partition("?")[0]


def points_at(berth: Installation, project: str, tag: str) -> str:
    """What docker gets."""
    with Wire(berth, f"{project}/web", username="alice", actions="pull") as wire:
        return wire.http.head(f"manifests/{tag}").headers.get("docker-content-digest", "")


def test_the_developer_who_broke_latest(berth: Installation, at_work: Any, project: str) -> None:
    good = built("1", {"app/main": b"works"})
    broken = built("2", {"app/main": b"breaks", "app/debug": b"left here"})
    today = dt.datetime.now(dt.UTC)
    monday = today.date() - dt.timedelta(days=today.weekday() or 7)
    push(berth, f"{project}/web", good, "latest")
    berth.run_python(
        "import datetime as dt\n"
        "from registry.models import Tag\n"
        f"pushed = dt.datetime({monday.year}, {monday.month}, {monday.day}, 10, tzinfo=dt.UTC)\n"
        f"tags = Tag.objects.filter(repository__name={project + '/web'!r})\n"
        "assert tags.update(started_at=pushed) == 1"
    )
    push(berth, f"{project}/web", broken, "latest")

    page = at_work("bob")
    open_image(page, project)
    page.get_by_role("link", name="latest", exact=True).click()
    # What changed?
    page.get_by_role("link", name="what changed since").click()
    expect(page.get_by_role("heading", level=1, name="Compare")).to_be_visible()
    said = page.get_by_role("table", name="What they say differently").get_by_role("row")
    expect(said.filter(has_text="version")).to_contain_text("2")
    page.go_back()
    # What was it on Monday?
    page.get_by_label("What it was on").fill(monday.isoformat())
    page.get_by_role("button", name="Show").click()
    past = page.get_by_role("list", name="What this tag pointed at").get_by_role("listitem")
    expect(past).to_have_count(1)
    expect(past).to_contain_text(digest_of(good.manifest)[7:19])
    past.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("latest points there again.")).to_be_visible()
    assert points_at(berth, project, "latest") == digest_of(good.manifest)
    expect(past.first).to_contain_text("Restored")
    expect(past.first).to_contain_text("by bob")
    # No, it was not that.
    page.get_by_role("button", name="Undo").click()
    expect(past.first).to_contain_text(digest_of(broken.manifest)[7:19])
    assert points_at(berth, project, "latest") == digest_of(broken.manifest)


def test_the_reviewer_who_compares_two_tags(
    berth: Installation, at_work: Any, project: str
) -> None:
    push(berth, f"{project}/web", built("1", {"app/main": b"1", "app/old": b"gone"}), "v1")
    push(berth, f"{project}/web", built("2", {"app/main": b"22", "app/new": b"added"}), "v2")
    page = at_work("carol")
    open_image(page, project)
    page.get_by_role("link", name="v1", exact=True).click()
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.get_by_label("From")).to_have_value("v1")
    page.get_by_label("To").fill("v2")
    page.get_by_role("button", name="Compare", exact=True).click()
    layers = page.get_by_role("table", name="Layers").get_by_role("row")
    for change in ("common", "gone", "new"):
        expect(layers.filter(has_text=change)).to_have_count(1)
    page.get_by_role("button", name="Compare the files").click()
    # The worker reads them while the page looks on.
    files = page.get_by_role("table", name="Files that differ")
    finished = page.get_by_role("link", name="Look at them")
    expect(files.or_(finished)).to_be_visible()
    if finished.is_visible():
        finished.click()
    for tab, path in (("Added", "app/new"), ("Removed", "app/old"), ("Changed", "app/main")):
        page.get_by_role("link", name=re.compile(f"^{tab}")).click()
        expect(files.get_by_role("row").filter(has_text=path)).to_have_count(1)


def test_the_officer_who_follows_a_signature_to_its_key(
    berth: Installation, at_work: Any, project: str
) -> None:
    image, key = built("1", {"app/main": b"signed"}), signing.new_key()
    push(berth, f"{project}/web", image, "v1")
    cosign(berth, f"{project}/web", digest_of(image.manifest), key)
    page = at_work("alice")
    here = open_image(page, project)
    expect(page.get_by_role("row").filter(has_text="v1")).to_contain_text("signed")
    page.get_by_role("link", name="v1", exact=True).click()
    expect(page.get_by_text("signed, by no key held here")).to_be_visible()
    page.goto(f"/{project}/-/settings/public_keys")
    page.get_by_label("Name", exact=True).fill("release")
    page.get_by_label("Public key").fill(signing.pem(key))
    page.get_by_role("button", name="Add key").click()
    expect(page.get_by_text("What the key release has signed counts from now on.")).to_be_visible()
    page.goto(f"{here}/tags/v1")
    expect(page.get_by_text("signed by release").first).to_be_visible()
    signed = page.get_by_role("table", name="Signatures").get_by_role("row")
    expect(signed.filter(has_text="Signed by release")).to_contain_text(f"A key of {project}")
    fingerprint = signing.named(key).fingerprint[:16]
    signed.get_by_role("link", name=fingerprint).click()
    held = page.locator(f"#key-{fingerprint}")
    expect(held).to_contain_text("release")
    expect(held).to_contain_text("ECDSA")


def cosign(berth: Installation, repository: str, digest: str, key: Any) -> None:
    """Sign an image as ``cosign sign --key`` does: a manifest at a tag that names the digest."""
    payload = signing.payload(digest)
    with Wire(berth, repository, username="alice") as wire:
        layer = {**wire.push_blob(payload), "mediaType": signing.SIMPLE_SIGNING}
        layer["annotations"] = {"dev.cosignproject.cosign/signature": signing.sign(key, payload)}
        config = {**wire.push_blob(b"{}"), "mediaType": images.CONFIG}
        manifest = {
            "schemaVersion": 2,
            "mediaType": images.MANIFEST,
            "config": config,
            "layers": [layer],
        }
        wire.push_manifest(manifest, f"{digest.replace(':', '-')}.sig")


@contextlib.contextmanager
def others_push(berth: Installation, name: str) -> Iterator[list[str]]:
    """Somebody pushes one version after the other meanwhile; the tags that were taken."""
    pushed: list[str] = []
    over = threading.Event()

    def push_on() -> None:
        with Wire(berth, name, username="alice") as wire:
            while not over.is_set():
                tag = f"main-{len(pushed)}"
                wire.push(images.tiny(tag), tag)
                pushed.append(tag)
                over.wait(0.25)

    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(push_on)
        try:
            yield pushed
        finally:
            over.set()
        pushing.result()


def add_tags(berth: Installation, name: str, of: str, count: int) -> None:
    """Rows of tags ``of-0001`` and on, which point where the tag `of` does: pushes take minutes."""
    berth.run_python(
        "from registry.models import Tag\n"
        "from registry.tag_order import sort_key\n"
        f"tag = Tag.objects.get(repository__name={name!r}, name={of!r}, ended_at=None)\n"
        "columns = {\n"
        "    each.attname: getattr(tag, each.attname)\n"
        "    for each in Tag._meta.concrete_fields if not each.primary_key\n"
        "}\n"
        f"names = [f'{of}-{{number:04}}' for number in range(1, {count} + 1)]\n"
        "Tag.objects.bulk_create(\n"
        "    Tag(**{**columns, 'name': name, 'sort_key': sort_key(name)}) for name in names\n"
        ")"
    )


def test_who_deletes_three_thousand_tags_and_undoes(
    berth: Installation, at_work: Any, project: str
) -> None:
    name = f"{project}/web"
    push(berth, name, built("1", {"app/main": b"kept"}), "v1")
    push(berth, name, built("2", {"app/main": b"nightly"}), "nightly")
    add_tags(berth, name, "nightly", 3000)
    page = at_work("alice")
    with others_push(berth, name) as pushed:
        here = open_image(page, project)
        page.get_by_placeholder("Filter tags").fill("nightly-")
        expect(page.get_by_role("link", name="v1", exact=True)).to_have_count(0)
        # All that match, and not only those that the page shows.
        page.get_by_role("button", name="Plan their deletion").click()
        figures = page.get_by_role("main")
        wait_until(lambda: page.reload() and "Tags that go" in (figures.text_content() or ""))
        expect(figures).to_contain_text("have “nightly-” in their name")
        expect(figures).to_contain_text("3,000")
        page.get_by_role("button", name="Run this plan").click()
        ended(page, "Finished.")
        with Wire(berth, name, username="alice", actions="pull") as wire:
            assert not [tag for tag in wire.tags() if tag.startswith("nightly-")]
        page.get_by_role("button", name="Undo all of it").click()
        ended(page, "Undone.")
    with Wire(berth, name, username="alice", actions="pull") as wire:
        back = [f"nightly-{number:04}" for number in range(1, 3001)]
        assert sorted(wire.tags()) == sorted([*back, *pushed, "nightly", "v1"])
    page.goto(f"{here}?q=nightly-")
    expect(page.get_by_role("row").filter(has_text="nightly-")).to_have_count(50)


def ended(page: Page, said: str) -> None:
    """A job of the worker's has ended; the page says so by itself, and shows more when asked."""
    expect(page.get_by_text(said)).to_be_visible()
    page.reload()


def test_the_administrator_who_finds_out_why_a_push_failed(
    berth: Installation, at_work: Any, project: str
) -> None:
    refused = berth.request(
        "POST",
        f"/v2/{project}/web/blobs/uploads/",
        f"repository:{project}/web:pull,push",
        username="carol",
    )
    assert refused.status_code == 401
    shown = re.search(r"\(denial ([A-Z0-9]{10})\)", json.dumps(refused.json()))
    assert shown, refused.text
    page = at_work("root")
    page.goto("/admin/denials")
    # What came is written down some seconds later.
    wait_until(lambda: page.reload() and page.get_by_role("link", name=shown[1]).count())
    page.get_by_placeholder("The id that docker has shown").fill(shown[1])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=shown[1])).to_be_visible()
    main = page.get_by_role("main")
    expect(main).to_contain_text("takes the role Developer")
    for words in ("carol", f"{project}/web", "127.0.0.1"):
        expect(main).to_contain_text(words)
