"""Members of projects and groups: seeing, adding, changing, removing, leaving."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.namespaces.models import Member

PROJECT = "/acme/web/-/project_members"
GROUP = "/groups/acme/-/group_members"
pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(alice: Any, bob: Any, carol: Any, make_group: Any) -> Any:
    return make_group("acme", owner=alice, developers=[bob], reporters=[carol])


@pytest.fixture
def mona(make_person: Any) -> Any:
    return make_person("mona")


@pytest.fixture
def web(acme: Any, mona: Any, make_project: Any) -> Any:
    return make_project("acme/web", maintainers=[mona])


@pytest.fixture
def as_person(client: Client, make_person: Any) -> Any:
    def sign_in(username: Any) -> Any:
        client.force_login(make_person(username))
        return client

    return sign_in


def level(place: Any, user: Any) -> Any:
    where = {"project": place} if place.full_path == "acme/web" else {"namespace": place}
    found = Member.objects.filter(user=user, **where).first()
    return found.access_level if found else None


class TestSeeing:
    def test_pages_lead_through_everybody_and_back(
        self, as_person: Any, acme: Any, web: Any, make_person: Any
    ) -> None:
        names = [f"p{number:02}" for number in range(60)]
        Member.objects.bulk_create(
            Member(user=make_person(name), namespace=acme, access_level=20) for name in names
        )
        browser = as_person("alice")

        def shown(page: Any) -> list[str]:
            return [line.member.user.username for line in page.context["lines"]]

        first = browser.get(PROJECT)
        second = browser.get(PROJECT + first.context["next_url"])
        assert shown(first) + shown(second) == ["alice", "bob", "carol", "mona", *names]
        assert first.context["count_text"] == "64 members"
        assert not second.context["next_url"]
        assert shown(browser.get(PROJECT + second.context["previous_url"])) == shown(first)

    @pytest.mark.parametrize(
        ("asked", "names"),
        [
            ("", ["alice", "bob", "carol", "mona"]),
            ("?sort=-username", ["mona", "carol", "bob", "alice"]),
            ("?sort=level", ["carol", "bob", "mona", "alice"]),
            ("?sort=-level", ["alice", "mona", "bob", "carol"]),
            ("?q=@CAR", ["carol"]),
            ("?q=o&sort=-level", ["mona", "bob", "carol"]),
            ("?q=nobody", []),
        ],
    )
    def test_it_sorts_and_filters(
        self, as_person: Any, web: Any, asked: str, names: list[str]
    ) -> None:
        page = as_person("alice").get(PROJECT + asked)
        assert [line.member.user.username for line in page.context["lines"]] == names

    def test_pages_by_role_lead_through_everybody(
        self, as_person: Any, acme: Any, web: Any, make_person: Any
    ) -> None:
        people = [make_person(f"p{number:02}") for number in range(60)]
        Member.objects.bulk_create(
            Member(user=person, namespace=acme, access_level=20 + 10 * (number % 2))
            for number, person in enumerate(people)
        )
        browser, seen = as_person("alice"), []
        url = PROJECT + "?sort=level"
        while url:
            page = browser.get(url)
            seen += [
                (line.member.level, line.member.user.username) for line in page.context["lines"]
            ]
            url = page.context["next_url"] and PROJECT + page.context["next_url"]
        assert seen == sorted(seen)
        assert len(seen) == 64

    def test_the_owner_of_a_namespace_is_among_its_people(
        self, as_person: Any, bob: Any, make_project: Any
    ) -> None:
        make_project("bob/own", owner=bob)
        page = as_person("bob").get("/bob/own/-/project_members?sort=-level")
        assert [line.member.level.label for line in page.context["lines"]] == ["Owner"]

    def test_it_says_where_a_role_comes_from(self, as_person: Any, web: Any) -> None:
        lines = as_person("alice").get(PROJECT).context["lines"]

        assert [
            (line.member.user.username, line.member.level.label, line.member.source.full_path)
            for line in lines
        ] == [
            ("alice", "Owner", "acme"),
            ("bob", "Developer", "acme"),
            ("carol", "Reporter", "acme"),
            ("mona", "Maintainer", "acme/web"),
        ]
        assert [bool(line.edit_url) for line in lines] == [False, False, False, True]

    @pytest.mark.parametrize("who", ["bob", "carol"])
    def test_others_see_and_do_not_change(self, as_person: Any, web: Any, who: str) -> None:
        page = as_person(who).get(PROJECT)

        assert page.status_code == 200
        assert "form" not in page.context or page.context.get("form") is None
        assert "Add somebody" not in page.content.decode()
        assert not any(line.edit_url for line in page.context["lines"])

    def test_mallory_finds_nothing(self, as_person: Any, web: Any) -> None:
        client = as_person("mallory")

        assert client.get(PROJECT).status_code == 404
        assert client.post(PROJECT, {"user": "mallory", "access_level": 50}).status_code == 404

    @pytest.mark.parametrize("address", [PROJECT, GROUP])
    def test_strangers_sign_in_first(self, client: Client, web: Any, address: Any) -> None:
        assert client.get(address)["Location"] == f"/users/sign_in?next={address}"


class TestAdding:
    def add(self, client: Client, address: Any = PROJECT, **fields: Any) -> Any:
        return client.post(address, {"user": "dave", "access_level": 30} | fields)

    @pytest.fixture(autouse=True)
    def dave(self, make_person: Any) -> Any:
        return make_person("dave")

    @pytest.mark.parametrize("typed", ["dave", "@dave", " DAVE "])
    def test_it_works(self, as_person: Any, web: Any, dave: Any, typed: str) -> None:
        client = as_person("mona")
        day = timezone.now().date() + dt.timedelta(days=9)

        response = self.add(client, user=typed, expires_at=day.isoformat())

        assert response["Location"] == PROJECT
        assert level(web, dave) == 30
        assert Member.objects.get(user=dave).expires_at == day
        assert "Dave is now Developer of acme/web." in client.get(PROJECT).content.decode()

    def test_it_works_for_a_group(self, as_person: Any, acme: Any, dave: Any) -> None:
        assert self.add(as_person("alice"), GROUP, access_level=50)["Location"] == GROUP
        assert level(acme, dave) == 50

    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("user", {"user": "nobody"}),
            ("user", {"user": ""}),
            ("user", {"user": "dave@example.com"}),
            ("user", {"user": "mona"}),
            ("access_level", {"access_level": 35}),
            ("access_level", {"access_level": 50}),
            ("access_level", {"access_level": ""}),
            ("expires_at", {"expires_at": "2020-01-01"}),
        ],
    )
    def test_it_refuses_at_the_field(
        self, as_person: Any, web: Any, dave: Any, field: str, fields: Any
    ) -> None:
        page = self.add(as_person("mona"), **fields)

        assert page.status_code == 200
        assert page.context["form"].errors.keys() == {field}
        assert level(web, dave) is None

    @pytest.mark.parametrize("who", ["bob", "carol"])
    def test_others_are_told_no(self, as_person: Any, web: Any, dave: Any, who: str) -> None:
        assert self.add(as_person(who)).status_code == 403
        assert level(web, dave) is None

    def test_a_maintainer_of_a_group_adds_nobody_to_it(
        self, as_person: Any, acme: Any, dave: Any, make_person: Any
    ) -> None:
        Member.objects.create(user=make_person("max"), namespace=acme, access_level=40)

        assert self.add(as_person("max"), GROUP).status_code == 403

    def test_a_blocked_person_is_nobody(self, as_person: Any, web: Any, dave: Any) -> None:
        from gitlab.accounts import services

        services.block(dave, by=None)

        assert self.add(as_person("mona")).context["form"].errors.keys() == {"user"}


class TestChanging:
    ADDRESS = f"{PROJECT}/mona/edit"

    def test_it_works(self, as_person: Any, web: Any, mona: Any) -> None:
        client = as_person("alice")

        page = client.get(self.ADDRESS)
        response = client.post(self.ADDRESS, {"access_level": 20})

        assert "data-panel" in page.content.decode()
        assert response["Location"] == PROJECT
        assert level(web, mona) == 20

    @pytest.mark.parametrize(("who", "status"), [("bob", 403), ("carol", 403), ("mallory", 404)])
    def test_others_do_not(
        self, as_person: Any, web: Any, mona: Any, who: str, status: int
    ) -> None:
        client = as_person(who)

        assert client.get(self.ADDRESS).status_code == status
        assert client.post(self.ADDRESS, {"access_level": 10}).status_code == status
        assert level(web, mona) == 40

    def test_nobody_gives_more_than_they_have(self, as_person: Any, web: Any, mona: Any) -> None:
        page = as_person("mona").post(self.ADDRESS, {"access_level": 50})

        assert page.context["form"].errors.keys() == {"access_level"}
        assert level(web, mona) == 40

    def test_nobody_changes_who_is_above_them(
        self, as_person: Any, web: Any, mona: Any, bob: Any
    ) -> None:
        Member.objects.create(user=bob, project=web, access_level=50)

        client = as_person("mona")

        assert client.get(f"{PROJECT}/bob/edit").status_code == 403
        assert client.post(f"{PROJECT}/bob/edit", {"access_level": 10}).status_code == 403
        assert level(web, bob) == 50

    def test_an_inherited_role_is_changed_where_it_comes_from(
        self, as_person: Any, web: Any
    ) -> None:
        assert as_person("alice").get(f"{PROJECT}/bob/edit").status_code == 404

    @pytest.mark.parametrize("fields", [{"access_level": 40}, {"access_level": 50, "soon": True}])
    def test_the_last_owner_stays_one(
        self, as_person: Any, acme: Any, alice: Any, fields: Any
    ) -> None:
        if fields.pop("soon", None):
            fields["expires_at"] = (timezone.now().date() + dt.timedelta(days=2)).isoformat()

        page = as_person("alice").post(f"{GROUP}/alice/edit", fields)

        assert "keeps at least one owner" in page.content.decode()
        assert level(acme, alice) == 50


class TestFinding:
    """Whom somebody means when they add a person."""

    @pytest.fixture
    def people(self, make_person: Any) -> None:
        for username, name in [("dave", "Dave Hill"), ("dave2", "Dave Hill"), ("erin", "Erin O")]:
            person = make_person(username)
            person.name = name
            person.save()

    @pytest.mark.parametrize(
        ("who", "text", "found"),
        [
            ("alice", "erin", "erin"),
            ("alice", " @Erin ", "erin"),
            ("alice", "erin o", "erin"),
            ("alice", "Dave Hill", None),
            ("alice", "erin@example.com", None),
            ("alice", "Er", None),
            ("root", "ERIN@example.com", "erin"),
        ],
    )
    def test_by_user_name_or_name_and_for_administrators_by_address(
        self,
        client: Client,
        web: Any,
        people: Any,
        make_person: Any,
        root: Any,
        who: str,
        text: str,
        found: str | None,
    ) -> None:
        client.force_login(root if who == "root" else make_person(who))
        client.post(PROJECT, {"user": text, "access_level": 30})
        added = Member.objects.filter(project=web, access_level=30)
        assert [row.user.username for row in added] == ([found] if found else [])

    def test_of_two_of_one_name_neither_is_meant(
        self, as_person: Any, web: Any, people: Any
    ) -> None:
        page = as_person("alice").post(PROJECT, {"user": "dave hill", "access_level": 30})
        assert "Several are called" in page.content.decode()


class TestRemoving:
    ADDRESS = f"{PROJECT}/mona/remove"

    def test_it_works(self, as_person: Any, web: Any, mona: Any) -> None:
        client = as_person("alice")

        page = client.get(self.ADDRESS).content.decode()
        assert "Remove Mona from acme/web?" in page
        assert level(web, mona) == 40

        assert client.post(self.ADDRESS)["Location"] == PROJECT
        assert level(web, mona) is None

    @pytest.mark.parametrize(("who", "status"), [("bob", 403), ("carol", 403), ("mallory", 404)])
    def test_others_do_not(
        self, as_person: Any, web: Any, mona: Any, who: str, status: int
    ) -> None:
        client = as_person(who)

        assert client.get(self.ADDRESS).status_code == status
        assert client.post(self.ADDRESS).status_code == status
        assert level(web, mona) == 40

    def test_everybody_may_leave(self, as_person: Any, acme: Any, carol: Any) -> None:
        client = as_person("carol")

        page = client.get(f"{GROUP}/carol/remove").content.decode()
        response = client.post(f"{GROUP}/carol/remove")

        assert "Leave acme?" in page
        assert response["Location"] == "/"
        assert level(acme, carol) is None

    def test_the_last_owner_does_not_leave(self, as_person: Any, acme: Any, alice: Any) -> None:
        page = as_person("alice").post(f"{GROUP}/alice/remove")

        assert page.status_code == 200
        assert "keeps at least one owner" in page.content.decode()
        assert level(acme, alice) == 50

    def test_who_is_no_member_is_not_found(
        self, as_person: Any, web: Any, make_person: Any
    ) -> None:
        make_person("dave")

        assert as_person("alice").post(f"{PROJECT}/dave/remove").status_code == 404

    @pytest.mark.parametrize("name", ["%00", "a%00b", "..", "%2F", "x" * 300])
    def test_what_is_no_name_is_not_found(self, as_person: Any, web: Any, name: Any) -> None:
        assert as_person("alice").get(f"{PROJECT}/{name}/edit").status_code == 404
