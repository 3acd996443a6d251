"""The page of an image's files."""

from __future__ import annotations

import json
import tarfile
from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import StoredManifest
from gitlab.container_registry.layers import jobs, views
from gitlab.container_registry.layers.models import FileJob
from tests.gitlab.container_registry.layers.archives import (
    archive,
    digest_of,
    folder,
    link,
    member,
    of_files,
)
from tests.gitlab.container_registry.layers.played_layers import push
from tests.gitlab.played_registry import INDEX

pytestmark = pytest.mark.django_db

LAYER = archive(
    folder("etc", mode=0o755),
    member("etc/os-release", b"x" * 3000, mode=0o644, uid=7, gid=8),
    link("etc/mtab", "/proc/mounts"),
    member("usr/bin/su", b"su", mode=0o4755),
    member("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
)
CONFIG = {
    "history": [{"created_by": "COPY . /"}, {"created_by": "RUN make # buildkit"}],
    "rootfs": {"type": "layers"},
}


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.fixture
def digest(played: Any, web: Any, enqueued: Any) -> str:
    return push(played, LAYER, of_files({"srv/new": b"1"}), config=CONFIG)


@pytest.fixture
def url(web: Any, digest: str) -> str:
    return f"/acme/app/container_registry/{web.pk}/files/{digest}"


@pytest.fixture
def read(played: Any, browser: Any, carol: Any, url: str) -> Any:
    """The page of an image whose layers have been read."""
    browser(carol).post(f"{url}/list")
    jobs.run(FileJob.objects.get().pk, played)
    return lambda query="": text(browser(carol).get(url + query))


def test_from_the_first_look_to_the_files(
    played: Any, browser: Any, carol: Any, url: str, enqueued: Any
) -> None:
    client = browser(carol)
    assert "Not listed yet" in text(client.get(url))
    assert client.get(f"{url}/progress").status_code == 404
    assert client.post(f"{url}/list").url == url
    assert "Waits for its turn" in text(client.get(url))
    assert f'hx-get="{url}/progress"' in text(client.get(f"{url}/progress"))
    jobs.run(FileJob.objects.get().pk, played)
    assert "The files are read." in text(client.get(f"{url}/progress"))
    page = text(client.get(url))
    assert '<a class="table__name" href="?path=etc">etc/</a>' in page
    assert "RUN make" in page
    assert "COPY . /" in page


def test_a_folder_shows_what_each_file_is_and_where_it_came_from(read: Any) -> None:
    page = read("?path=etc")
    for part in ("os-release", "-rw-r--r--", "7:8", "link → /proc/mounts", "lrw"):
        assert part in page, part
    assert "setuid" in read("?path=usr/bin")
    assert "device → 1, 3" in read("?path=dev")
    assert "srv/" in read("")


def test_a_search_finds_paths_below_the_folder(read: Any) -> None:
    assert "usr/<wbr>bin/<wbr>su" in read("?q=BIN/S")
    assert "Nothing here is called “none&lt;”." in read("?q=none%3C")
    assert "usr/<wbr>bin" not in read("?path=etc&q=su")


def test_a_page_goes_on(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PAGE", 2)
    page = read("")
    assert 'href="?after=etc"' in page
    assert "srv/" in read("?after=etc")
    assert 'href="?q=e&amp;after=%001' in read("?q=e")


def test_a_folder_that_is_none_is_not_there(read: Any, browser: Any, carol: Any, url: str) -> None:
    for query in ("?path=none", "?path=etc/os-release", "?path=etc/mtab", "?path=..", "?path=%00"):
        assert browser(carol).get(url + query).status_code == 404, query


def test_names_and_sentences_of_strangers_are_text(
    played: Any, browser: Any, carol: Any, web: Any, enqueued: Any
) -> None:
    hostile = (
        archive(member("<script>x\u202e\x1b[31m", b""), member("../out"), end=b"") + b"x" * 512
    )
    digest = push(played, hostile, config={"history": [{"created_by": "<b>COPY"}]})
    url = f"/acme/app/container_registry/{web.pk}/files/{digest}"
    browser(carol).post(f"{url}/list")
    jobs.run(FileJob.objects.get().pk, played)
    page = text(browser(carol).get(url))
    assert "<script>x" not in page
    assert "&lt;script&gt;x\\u202e\\u001b[31m" in page
    assert "&lt;b&gt;COPY" in page
    assert "a number that is none" in page
    assert "whose path leads out of the image" in page


def test_an_index_leads_to_its_platforms(
    played: Any, browser: Any, carol: Any, web: Any, digest: str
) -> None:
    document = {
        "manifests": [
            {"digest": digest, "size": 7, "platform": {"os": "linux", "architecture": "arm64"}},
            {"digest": digest_of(b"a"), "platform": {"os": "unknown", "architecture": "unknown"}},
        ]
    }
    payload = json.dumps(document).encode()
    played.manifests[digest_of(payload)] = StoredManifest(INDEX, payload)
    at = f"/acme/app/container_registry/{web.pk}/files"
    page = text(browser(carol).get(f"{at}/{digest_of(payload)}"))
    assert f'href="{at}/{digest}">linux/arm64<' in page
    assert "unknown" not in page


def test_what_has_no_files_says_so(played: Any, browser: Any, carol: Any, web: Any) -> None:
    url = f"/acme/app/container_registry/{web.pk}/files/{push(played)}"
    assert "It has no layers with files." in text(browser(carol).get(url))
    page = text(browser(carol).post(f"{url}/list", follow=True))
    assert "It has no layers with files." in page
    assert not FileJob.objects.exists()


@pytest.mark.parametrize("who", ["mallory", None])
def test_who_may_not_see_the_image_sees_nothing(
    played: Any, browser: Any, who: str | None, url: str, read: Any, request: Any
) -> None:
    client = browser(request.getfixturevalue(who) if who else None)
    expected = 404 if who else 302
    for address in (url, f"{url}/progress"):
        assert client.get(address).status_code == expected
    assert client.post(f"{url}/list").status_code == expected


def test_a_visitor_sees_what_was_listed_and_has_nothing_listed(
    played: Any, browser: Any, app: Any, url: str, digest: str, read: Any
) -> None:
    app.visibility = "public"
    app.save()
    assert "etc/" in text(browser(None).get(url))
    FileJob.objects.all().delete()
    page = text(browser(None).get(url))
    assert "Who is signed in can have them listed." in page
    assert browser(None).post(f"{url}/list").status_code == 302
    assert not FileJob.objects.exists()


def test_a_manifest_that_is_gone_shows_no_files(
    played: Any, browser: Any, carol: Any, url: str, digest: str, read: Any
) -> None:
    del played.manifests[digest]
    assert browser(carol).get(url).status_code == 404


def test_a_registry_in_trouble_is_said(
    played: Any, browser: Any, carol: Any, url: str, digest: str
) -> None:
    played.trouble = RegistryUnavailable("nobody answers")
    assert "The registry does not answer" in text(browser(carol).get(url))
    assert browser(carol).post(f"{url}/list").status_code == 302


def test_a_job_that_failed_says_why_and_can_be_tried_again(
    played: Any, browser: Any, carol: Any, url: str
) -> None:
    client = browser(carol)
    client.post(f"{url}/list")
    FileJob.objects.update(status="failed", failure_reason="<b>It lies.")
    page = text(client.get(url))
    assert "&lt;b&gt;It lies." in page
    assert "Try again" in page
    client.post(f"{url}/list")
    assert FileJob.objects.get().status == "scheduled"
