"""Layers one upon another: what of them can be seen, and from which layer it came."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry.layers import image_files, storing
from gitlab.container_registry.layers.models import LayerPart, ListedLayer
from gitlab.refusals import NotFound
from tests.gitlab.container_registry.layers.archives import (
    archive,
    folder,
    link,
    member,
    of_files,
)
from tests.gitlab.container_registry.layers.played_layers import listed

pytestmark = pytest.mark.django_db


def shown(layers: Any) -> dict[str, int]:
    return {each.entry.path.decode(): each.layer for each in image_files.everything(layers)}


def names(layers: Any, path: str = "", **more: Any) -> list[str]:
    page = image_files.in_folder(layers, path.encode(), **more)
    return [each.entry.name.decode() for each in page.files]


def files(layers: Any) -> dict[str, int]:
    return {
        each.entry.path.decode(): each.layer
        for each in image_files.everything(layers)
        if not each.entry.kind.is_folder
    }


BASE = of_files({"etc/passwd": b"root", "etc/group": b"root", "opt/a/b/c": b"1", "opt/x": b"2"})


def test_the_highest_layer_with_a_path_is_seen() -> None:
    layers = listed(BASE, of_files({"etc/passwd": b"root, bob"}), of_files({"srv/new": b"3"}))
    assert files(layers) == {
        "etc/group": 0,
        "etc/passwd": 1,
        "opt/x": 0,
        "opt/a/b/c": 0,
        "srv/new": 2,
    }


def test_a_whiteout_hides_a_file_or_a_folder_with_all_in_it() -> None:
    layers = listed(BASE, of_files({"etc/.wh.passwd": b"", ".wh.opt": b""}))
    assert shown(layers) == {"etc": 0, "etc/group": 0}


def test_what_a_layer_hides_it_may_have_itself() -> None:
    upper = of_files({"etc/.wh.passwd": b"", "etc/passwd": b"new", ".wh.opt": b"", "opt/y": b"3"})
    assert files(listed(BASE, upper)) == {"etc/group": 0, "etc/passwd": 1, "opt/y": 1}


def test_an_opaque_folder_shows_nothing_of_those_below() -> None:
    upper = of_files({"opt/.wh..wh..opq": b"", "opt/a/new": b"3"})
    layers = listed(BASE, upper, of_files({"opt/a/b/later": b"4"}))
    assert files(layers) == {
        "etc/group": 0,
        "etc/passwd": 0,
        "opt/a/new": 1,
        "opt/a/b/later": 2,
    }
    assert names(layers, "opt/a") == ["b", "new"]
    assert names(layers, "opt/a/b") == ["later"]


def test_a_file_where_a_folder_was_hides_what_was_in_it() -> None:
    layers = listed(BASE, of_files({"opt": b"no folder any more"}))
    assert files(layers) == {"etc/group": 0, "etc/passwd": 0, "opt": 1}
    with pytest.raises(NotFound):
        image_files.in_folder(layers, b"opt")
    layers = listed(BASE, of_files({"opt": b"no folder any more"}), of_files({"opt/z": b"again"}))
    assert files(layers) == {"etc/group": 0, "etc/passwd": 0, "opt/z": 2}
    assert names(layers, "opt") == ["z"]


def test_a_link_is_no_folder_and_is_not_followed() -> None:
    layers = listed(BASE, archive(link("etc", "opt")))
    assert names(layers) == ["etc", "opt"]
    with pytest.raises(NotFound):
        image_files.in_folder(layers, b"etc")


def test_a_folder_is_what_the_highest_layer_says_that_tells_of_it() -> None:
    layers = listed(
        archive(folder("srv", mode=0o700), member("srv/a", b"")), of_files({"srv/b": b""})
    )
    (srv,) = image_files.in_folder(layers, b"").files
    assert (srv.entry.mode, srv.layer) == (0o700, 0)
    assert names(layers, "srv") == ["a", "b"]


def test_one_layer_may_be_there_twice() -> None:
    layers = listed(BASE, of_files({"etc/.wh.passwd": b""}), BASE)
    assert files(layers)["etc/passwd"] == 2


def test_a_page_ends_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "PART", 3)
    layers = listed(
        of_files({f"d/f{n:02}": b"" for n in range(0, 20, 2)} | {"d-e/x": b"", "d/g/y": b""}),
        of_files({f"d/f{n:02}": b"" for n in range(1, 20, 2)} | {"d/.wh.f04": b""}),
    )
    assert LayerPart.objects.count() == 5 + 4
    expected = [f"f{n:02}" for n in range(20) if n != 4] + ["g"]
    found, after = [], b""
    while True:
        page = image_files.in_folder(layers, b"d", after=after, limit=7)
        found += [each.entry.name.decode() for each in page.files]
        after = page.next_after
        if not after:
            break
    assert found == expected


def test_a_search_looks_at_paths_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = listed(BASE, of_files({"opt/.wh.x": b""}))
    page = image_files.search(layers, b"", b"PT/", limit=2)
    assert [each.entry.path for each in page.files] == [b"opt/a", b"opt/a/b"]
    page = image_files.search(layers, b"", b"PT/", after=page.next_after, limit=2)
    assert [each.entry.path for each in page.files] == [b"opt/a/b/c"]
    assert not page.next_after
    below = image_files.search(layers, b"opt/a", b"c")
    assert [each.entry.path for each in below.files] == [b"opt/a/b/c"]
    monkeypatch.setattr(image_files, "MAX_SEARCHED", 2)
    assert image_files.search(layers, b"", b"passwd").is_cut


def test_a_page_of_many_layers_costs_two_queries_for_each_folder_above(
    django_assert_num_queries: Any,
) -> None:
    layers = listed(*(of_files({f"a/b/f{n}": b""}) for n in range(30)))
    with django_assert_num_queries(6):
        assert len(names(layers, "a/b")) == 30


def test_of_a_folder_without_an_end_a_page_is_read(django_assert_max_num_queries: Any) -> None:
    layers = listed(*(of_files({f"{'n' * 190}{n:04}{m}": b"" for n in range(600)}) for m in "ab"))
    assert LayerPart.objects.count() == 2 * 3
    with django_assert_max_num_queries(4):
        assert len(names(layers, limit=100)) == 100


def test_what_is_hidden_costs_as_what_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer named many times below one that hides it all has nothing to show, and no end."""
    names_of = {f"d/f{n}": b"" for n in range(20)}
    layers = listed(*[of_files(names_of)] * 5, of_files({"d/.wh..wh..opq": b""}))
    assert names(layers, "d") == []
    monkeypatch.setattr(image_files, "MAX_WALKED", 50)
    assert image_files.in_folder(layers, b"d").is_cut
    page = image_files.search(layers, b"", b"f")
    assert (page.files, page.is_cut) == ([], True)


def test_a_path_to_nowhere_costs_as_little_as_its_first_part(
    django_assert_max_num_queries: Any,
) -> None:
    layers = listed(BASE)
    with django_assert_max_num_queries(4), pytest.raises(NotFound):
        image_files.in_folder(layers, b"/".join([b"etc", *[b"no"] * 4000]))


def test_two_images_share_a_listing_and_nobody_needs_it_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed(BASE)
    listed(BASE, of_files({"b": b""}))
    assert ListedLayer.objects.count() == 2
    assert storing.sweep() == 0
    ListedLayer.objects.update(used_at="2026-01-01T00:00Z")
    layers = listed(BASE)
    storing.touch(layers)
    assert storing.sweep() == 1
    monkeypatch.setattr(storing, "MAX_STORED", 0)
    assert storing.sweep() == 1
    assert not LayerPart.objects.exists()


def test_names_that_are_no_text_are_kept_byte_for_byte() -> None:
    strange = b"\xff'\";\x1b%_\\"
    info, _ = member("x" * len(strange))
    block = info.tobuf()
    block = block.replace(b"x" * len(strange), strange)
    plain = sum(block[:148]) + sum(block[156:512]) + 8 * 32
    layers = listed(block[:148] + b"%06o\0 " % plain + block[156:] + bytes(1024))
    assert [each.entry.name for each in image_files.in_folder(layers, b"").files] == [strange]
