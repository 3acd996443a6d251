"""The pages of rules: seen, made with a look at what matches, changed, deleted; marks by tags."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.messages import get_messages

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.protection import preview, services
from gitlab.container_registry.protection.models import RepositoryRule, TagRule
from gitlab.namespaces.models import Namespace

pytestmark = pytest.mark.django_db

PROJECT, GROUP = "/acme/app/-/settings/protection", "/groups/acme/-/settings/protection"
PUSH, DELETE = "minimum_access_level_for_push", "minimum_access_level_for_delete"
ROLE = {"protection": "by_role", PUSH: "40", DELETE: "0"}


@pytest.fixture
def acme(app: Any) -> Any:
    return Namespace.objects.get(full_path="acme")


def _told(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def _tag_rule(by: Any, owner: Any, pattern: str, push: Any = None, delete: Any = None) -> TagRule:
    return services.create_tag_rule(
        by,
        owner,
        tag_name_pattern=pattern,
        minimum_access_level_for_push=push,
        minimum_access_level_for_delete=delete,
    )


@pytest.mark.parametrize("base", [PROJECT, GROUP])
def test_who_sees_them(
    browser: Any, alice: Any, bob: Any, mallory: Any, acme: Any, base: str
) -> None:
    assert browser(alice).get(base).status_code == 200
    assert browser(bob).get(base).status_code == 403
    assert browser(mallory).get(base).status_code == (404 if base == PROJECT else 403)
    assert browser(None).get(base).status_code == 302
    for page in ("/tags/new", "/images/new", "/tags/matches"):
        assert browser(alice).get(f"{base}{page}").status_code == 200
        assert browser(bob).get(f"{base}{page}").status_code == 403
    assert browser(alice).get(f"{base}/others/new").status_code == 404


def test_the_sidebar_leads_there(browser: Any, alice: Any, bob: Any, acme: Any) -> None:
    for page, base in (("/acme/app", PROJECT), ("/acme", GROUP)):
        assert f'href="{base}"' in browser(alice).get(page).content.decode()
        assert f'href="{base}"' not in browser(bob).get(page).content.decode()


def test_its_own_and_inherited_rules(browser: Any, alice: Any, app: Any, acme: Any) -> None:
    own = _tag_rule(alice, app, "^v", push=40, delete=50)
    above = _tag_rule(alice, acme, "^latest$")
    services.create_repository_rule(
        alice, acme, repository_path_pattern="acme/*/web", minimum_access_level_for_push=60
    )
    page = browser(alice).get(PROJECT)
    tags, images = page.context["tags"]["rows"], page.context["images"]["rows"]
    assert [(row["pattern"], row["from"]) for row in tags] == [("^v", ""), ("^latest$", "acme")]
    assert [(row["push"], row["delete"]) for row in tags] == [("Maintainers", "Owners"), ("", "")]
    assert [(row["pattern"], row["from"]) for row in images] == [("acme/*/web", "acme")]
    text = page.content.decode()
    assert f"{PROJECT}/tags/{own.pk}" in text
    # What is inherited is changed where it belongs.
    assert f"{PROJECT}/tags/{above.pk}" not in text
    assert "Immutable" in text
    assert "Administrators" in text


@pytest.mark.parametrize("base", [PROJECT, GROUP])
def test_a_rule_of_tags(browser: Any, alice: Any, acme: Any, base: str) -> None:
    client = browser(alice)
    form = {"tag_name_pattern": "^v", **ROLE}
    made = client.post(f"{base}/tags/new", form)
    assert (made.status_code, made["Location"]) == (302, base)
    assert "^v" in _told(made)
    rule = TagRule.objects.get()
    assert (rule.minimum_access_level_for_push, rule.minimum_access_level_for_delete) == (40, None)
    one = f"{base}/tags/{rule.pk}"
    shown = client.get(one).content.decode()
    assert 'value="^v"' in shown
    # A level that is still chosen counts for nothing where the tags are immutable.
    assert client.post(one, {**form, "protection": "immutable"}).status_code == 302
    assert TagRule.objects.get().is_immutable
    assert "^v" in client.get(f"{one}/delete").content.decode()
    assert client.post(f"{one}/delete").status_code == 302
    assert not TagRule.objects.exists()


def test_a_rule_of_images(browser: Any, alice: Any, app: Any) -> None:
    client = browser(alice)
    assert 'value="acme/app/*"' in client.get(f"{PROJECT}/images/new").content.decode()
    form = {"repository_path_pattern": "acme/app/w*", PUSH: "0", DELETE: "60"}
    assert client.post(f"{PROJECT}/images/new", form).status_code == 302
    rule = RepositoryRule.objects.get()
    assert (str(rule), rule.minimum_access_level_for_delete) == ("acme/app/w*", 60)
    one = f"{PROJECT}/images/{rule.pk}"
    changed = {**form, "repository_path_pattern": "acme/app/x*"}
    assert client.post(one, changed).status_code == 302
    assert str(RepositoryRule.objects.get()) == "acme/app/x*"


@pytest.mark.parametrize(
    ("page", "form", "says"),
    [
        ("tags", {"tag_name_pattern": "(?=v)", **ROLE}, "at character 1"),
        ("tags", {"tag_name_pattern": "", **ROLE}, "This field is required"),
        ("tags", {"tag_name_pattern": "^v", **ROLE, PUSH: "0"}, "Say who may push"),
        ("tags", {"tag_name_pattern": "^v", **ROLE, PUSH: "30"}, "Select a valid choice"),
        (
            "images",
            {"repository_path_pattern": "other/*", **ROLE},
            "It should start with acme/app.",
        ),
        ("images", {"repository_path_pattern": "acme/app/*", PUSH: "0", DELETE: "0"}, "Say who"),
    ],
)
def test_what_a_rule_cannot_be_is_said_in_the_form(
    browser: Any, alice: Any, app: Any, page: str, form: Any, says: str
) -> None:
    answer = browser(alice).post(f"{PROJECT}/{page}/new", form)
    assert answer.status_code == 200
    assert says in answer.content.decode()
    assert not TagRule.objects.exists()
    assert not RepositoryRule.objects.exists()


@pytest.fixture
def tags(web: Any, played: Any) -> Any:
    for tag in ("v1", "v2", "latest"):
        played.push("acme/app/web", tag)
    return played


def test_what_a_pattern_of_tags_matches(browser: Any, alice: Any, tags: Any) -> None:
    client = browser(alice)
    for base in (PROJECT, GROUP):
        page = client.get(f"{base}/tags/matches", {"tag_name_pattern": "^v"}).content.decode()
        assert "Matches 2 of 3 tags:" in page
        assert "web:v1" in page
        assert "web:latest" not in page
    none = client.get(f"{PROJECT}/tags/matches", {"tag_name_pattern": "^w"}).content.decode()
    assert "Matches 0 of 3 tags." in none
    wrong = client.get(f"{PROJECT}/tags/matches", {"tag_name_pattern": "("}).content.decode()
    assert "This is no pattern" in wrong
    tags.trouble = RegistryUnavailable("nobody is there")
    down = client.get(f"{PROJECT}/tags/matches", {"tag_name_pattern": "^v"}).content.decode()
    assert "nobody is there" in down


def test_without_javascript_a_button_shows_it_and_saves_nothing(
    browser: Any, alice: Any, tags: Any
) -> None:
    form = {"tag_name_pattern": "^v", **ROLE, "preview": "1"}
    page = browser(alice).post(f"{PROJECT}/tags/new", form)
    text = page.content.decode()
    assert "Matches 2 of 3 tags:" in text
    assert 'value="^v"' in text
    assert not TagRule.objects.exists()


def test_what_a_pattern_of_images_matches(browser: Any, alice: Any, web: Any) -> None:
    found = browser(alice).get(
        f"{PROJECT}/images/matches", {"repository_path_pattern": "acme/app/w*"}
    )
    assert "Matches 1 of 1 image:" in found.content.decode()
    assert "acme/app/web" in found.content.decode()


def test_a_look_at_tags_has_an_end(
    alice: Any, app: Any, played: Any, make_image: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(preview, "MAX_IMAGES", 3)
    monkeypatch.setattr(preview, "MAX_TAGS", 5)
    for number in range(5):
        make_image(f"acme/app/i{number}", of=app)
        for tag in range(9):
            played.push(f"acme/app/i{number}", f"v{tag}")
    found = preview.tags_matching(alice, app, "v")
    assert (found.total, found.count, found.is_all) == (15, 15, False)
    monkeypatch.setattr(preview, "SHOWN", 4)
    found = preview.tags_matching(alice, app, "v")
    assert (len(found.names), found.more) == (4, 11)


def test_marks_beside_each_tag(
    browser: Any, alice: Any, bob: Any, carol: Any, web: Any, acme: Any, tags: Any
) -> None:
    _tag_rule(alice, acme, "^v", push=40, delete=40)
    _tag_rule(alice, web.project, "^v1$")
    _tag_rule(alice, web.project, "latest", push=60, delete=50)
    page = browser(bob).get(f"/acme/app/container_registry/{web.pk}")
    marks = {
        line["tag"].name: [mark.label for mark in line["marks"]] for line in page.context["lines"]
    }
    assert marks == {
        "v1": ["immutable · ^v1$", "push, delete: maintainers"],
        "v2": ["push, delete: maintainers"],
        "latest": ["push: administrators", "delete: owners"],
    }
    text = page.content.decode()
    assert 'immutable<span class="wide-only"> · ^v1$</span>' in text
    assert "By rule &quot;^v&quot; of acme" in text
    detail = browser(bob).get(f"/acme/app/container_registry/{web.pk}/tags/v1").content.decode()
    assert " · ^v1$" in detail
    # Who only reads is not told the rules.
    read = browser(carol).get(f"/acme/app/container_registry/{web.pk}").content.decode()
    assert "immutable" not in read
