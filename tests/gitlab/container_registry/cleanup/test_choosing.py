"""All that a filter matches: planned, deleted in the background, undone as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry.cleanup import plan, requests, runs
from gitlab.container_registry.cleanup.choosing import Selection
from gitlab.container_registry.cleanup.models import CleanupRun
from gitlab.container_registry.protection import services as protection
from gitlab.refusals import Conflict, Forbidden, Invalid

pytestmark = [pytest.mark.django_db, pytest.mark.engineless]
PATH = "acme/app/web"
URL = "/acme/app/-/cleanup/images"


@pytest.fixture
def many(web: Any, played: Any, enqueued: list[Any]) -> Any:
    """latest, and 250 tags of builds, every second for arm64."""
    played.push(PATH, "latest")
    for number in range(250):
        played.push(PATH, f"ci-{number}", platforms=(f"linux/a{'mr'[number % 2]}64",))
    return played


def chosen(web: Any, **how: Any) -> Selection:
    return Selection(web.pk, PATH, **how)


def run(row: CleanupRun, registry: Any) -> CleanupRun:
    runs.run(row.pk, registry)
    row.refresh_from_db()
    return row


def test_they_go_in_one_run_and_come_back_in_one(many: Any, alice: Any, web: Any) -> None:
    row = run(requests.request_chosen(alice, web, chosen(web, name="ci-")), many)
    assert (row.status, row.going_count, row.seen_count) == ("planned", 250, 250)
    assert len(many.now[PATH]) == 251
    row = run(requests.approve(alice, row), many)
    assert (row.status, row.deleted_count) == ("finished", 250)
    assert list(many.now[PATH]) == ["latest"]
    row = run(requests.undo(alice, row), many)
    assert (row.status, row.restored_count) == ("undone", 250)
    assert len(many.now[PATH]) == 251


@pytest.mark.parametrize(
    ("how", "count"),
    [
        ({"pattern": "ci-1[0-9]"}, 10),
        ({"platform": "linux/ar64"}, 125),
        ({"name": "ci-24", "platform": "linux/am64"}, 6),
        ({"name": "t"}, 1),
        ({"name": "nothing"}, 0),
    ],
)
def test_what_the_filter_matches(
    many: Any, alice: Any, web: Any, how: dict[str, str], count: int
) -> None:
    """``latest`` too: it was chosen."""
    row = run(requests.request_chosen(alice, web, chosen(web, **how)), many)
    assert row.going_count == count


@pytest.mark.parametrize(("signed", "count"), [(True, 2), (False, 250)])
def test_what_is_signed_or_not(many: Any, alice: Any, web: Any, signed: bool, count: int) -> None:
    """Signatures have tags of their own, which are about others and stay."""
    for name in ("v1", "v2"):
        many.push(PATH, name, "f")
    many.push(PATH, f"sha256-{'f' * 64}.sig", "e")
    many.now[PATH].pop("latest")
    row = run(requests.request_chosen(alice, web, chosen(web, signed=signed)), many)
    assert row.going_count == count


def test_a_selection_from_before_there_were_signatures(web: Any) -> None:
    """A run may wait while a new version comes."""
    kept = chosen(web, name="ci-").as_json()
    del kept["signed"]
    assert Selection.read(kept).signed is None


def test_other_images_are_not_looked_at(
    many: Any, alice: Any, web: Any, app: Any, make_image: Any
) -> None:
    make_image("acme/app/other", of=app)
    many.push("acme/app/other", "ci-1")
    row = run(requests.request_chosen(alice, web, chosen(web, name="ci-")), many)
    assert {tag.path for tag in plan.page_of(row, limit=500).tags} == {PATH}
    web.delete()
    again = CleanupRun.objects.create(project=app, selection=chosen(web, name="ci-").as_json())
    assert run(again, many).going_count == 0


def test_what_a_rule_protects_stays(many: Any, alice: Any, web: Any, app: Any) -> None:
    protection.create_tag_rule(alice, app, tag_name_pattern="^ci-1")
    row = run(requests.request_chosen(alice, web, chosen(web, pattern="ci-[12]")), many)
    assert (row.going_count, row.kept_count) == (1, 1)


def test_more_than_one_run_deletes_is_said(
    many: Any, alice: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MAX_GOING", 100)
    row = run(requests.request_chosen(alice, web, chosen(web, name="ci-")), many)
    assert (row.going_count, row.is_cut) == (100, True)


@pytest.mark.parametrize("how", [{}, {"pattern": "("}])
def test_nothing_and_no_pattern_are_refused(
    many: Any, alice: Any, web: Any, how: dict[str, str]
) -> None:
    with pytest.raises(Invalid):
        requests.request_chosen(alice, web, chosen(web, **how))
    assert not CleanupRun.objects.exists()


def test_who_may(many: Any, alice: Any, bob: Any, web: Any) -> None:
    with pytest.raises(Forbidden):
        requests.request_chosen(bob, web, chosen(web, name="ci-"))
    row = requests.request_chosen(alice, web, chosen(web, name="ci-"))
    with pytest.raises(Conflict):
        requests.request_chosen(alice, web, chosen(web, name="ci-"))
    assert requests.get_for(alice, web.project, row.pk) == row


class TestPage:
    def test_the_list_leads_there(self, many: Any, browser: Any, alice: Any, web: Any) -> None:
        listed = f"/acme/app/container_registry/{web.pk}"
        plain = browser(alice).get(listed).content.decode()
        assert "Plan their deletion" not in plain
        page = browser(alice).get(f"{listed}?q=ci-.%2A&match=pattern").content.decode()
        assert f'action="{URL}/{web.pk}/plan"' in page
        asked = {"q": "ci-.*", "match": "pattern", "platform": "", "signed": "no"}
        answer = browser(alice).post(f"{URL}/{web.pk}/plan", asked)
        row = CleanupRun.objects.get()
        assert answer.url == f"/acme/app/-/cleanup/{row.pk}"
        run(row, many)
        shown = browser(alice).get(answer.url).content.decode()
        said = "All tags of acme/app/web that match ci-.* as a whole and are not signed."
        assert said in shown
        assert "Run this plan" in shown

    def test_who_may(
        self, many: Any, browser: Any, alice: Any, bob: Any, mallory: Any, web: Any
    ) -> None:
        for user, expected in [(bob, 403), (mallory, 404), (None, 302), (alice, 302)]:
            answer = browser(user).post(f"{URL}/{web.pk}/plan", {"q": "ci-"})
            assert answer.status_code == expected
        assert CleanupRun.objects.count() == 1
        assert browser(alice).get(f"{URL}/{web.pk}/plan").status_code == 405

    def test_nothing_chosen_says_so(self, many: Any, browser: Any, alice: Any, web: Any) -> None:
        answer = browser(alice).post(f"{URL}/{web.pk}/plan", {"q": " "})
        assert answer.url == f"/acme/app/container_registry/{web.pk}"
        assert not CleanupRun.objects.exists()
