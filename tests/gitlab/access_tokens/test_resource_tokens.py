"""Access tokens of projects and groups, and the bots that they act as."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from gitlab.access_tokens import resource_tokens, services
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.accounts import services as accounts
from gitlab.accounts import sign_in
from gitlab.accounts.models import User
from gitlab.audit.models import AuditEvent
from gitlab.namespaces import members
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.models import Member
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db
SOON = timezone.now().date() + dt.timedelta(days=30)


@pytest.fixture
def acme(alice: Any, make_group: Any) -> Any:
    return make_group("acme", owner=alice)


@pytest.fixture
def app(acme: Any, bob: Any, carol: Any, make_project: Any) -> Any:
    """Bob maintains it, Carol develops."""
    return make_project("acme/app", maintainers=[bob], developers=[carol])


def api(text: str, method: str, address: str, **fields: Any) -> Any:
    return getattr(Client(HTTP_PRIVATE_TOKEN=text), method)(
        f"/api/v4/{address}", fields, content_type="application/json"
    )


class TestMaking:
    def test_it_works(self, bob: Any, app: Any) -> None:
        token, text = resource_tokens.create(
            bob, app, name="ci", scopes=["api"], access_level=30, expires_at=SOON
        )

        assert text.startswith("glpat-")
        assert (token.owner, token.access_level) == (app, 30)
        bot = token.user
        assert bot.is_bot
        assert (bot.name, bot.label) == ("token ci of acme/app", "token ci of acme/app")
        assert bot.username.startswith(f"project_{app.pk}_bot_")
        member = Member.objects.get(user=bot)
        assert (member.project, member.access_level, member.expires_at) == (app, 30, SOON)
        found = services.authenticate(text)
        assert found is not None
        assert (found.owner.pk, found.owner.is_bot) == (bot.pk, True)
        event = AuditEvent.objects.get(action="access_token.create")
        assert (event.target_path, event.details["level"]) == ("acme/app", 30)

    def test_nobody_gives_more_than_they_have(self, bob: Any, alice: Any, app: Any) -> None:
        with pytest.raises(Forbidden):
            resource_tokens.create(bob, app, name="ci", scopes=["api"], access_level=50)
        assert not User.objects.filter(user_type="project_bot").exists()
        token, _ = resource_tokens.create(alice, app, name="ci", scopes=["api"], access_level=50)
        assert token.access_level == 50

    def test_who_may(self, carol: Any, bob: Any, mallory: Any, app: Any, acme: Any) -> None:
        for person, owner, refusal in (
            (carol, app, Forbidden),
            (mallory, app, NotFound),
            (bob, acme, Forbidden),
        ):
            with pytest.raises(refusal):
                resource_tokens.create(person, owner, name="ci", scopes=["api"], access_level=10)
            with pytest.raises(refusal):
                resource_tokens.tokens_of(person, owner)

    def test_a_groups_maintainer_is_not_enough(self, bob: Any, make_group: Any, alice: Any) -> None:
        group = make_group("zeta", owner=alice, maintainers=[bob])
        with pytest.raises(Forbidden):
            resource_tokens.create(bob, group, name="ci", scopes=["api"], access_level=10)

    def test_a_personal_namespace_has_none(self, alice: Any) -> None:
        with pytest.raises(NotFound):
            resource_tokens.create(alice, alice.namespace, name="ci", scopes=["api"])

    @pytest.mark.parametrize(
        ("field", "change"),
        [
            ("name", {"name": " "}),
            ("scopes", {"scopes": []}),
            ("scopes", {"scopes": ["sudo"]}),
            ("scopes", {"scopes": ["create_runner"]}),
            ("access_level", {"access_level": 35}),
            ("expires_at", {"expires_at": dt.date(2020, 1, 1)}),
            ("description", {"description": "x" * 256}),
        ],
    )
    def test_bad_input_changes_nothing(self, field: str, change: Any, alice: Any, app: Any) -> None:
        with pytest.raises(Invalid) as refused:
            resource_tokens.create(alice, app, **({"name": "ci", "scopes": ["api"]} | change))
        assert refused.value.message_dict.keys() == {field}
        assert not PersonalAccessToken.objects.exists()
        assert not User.objects.filter(user_type="project_bot").exists()

    def test_who_is_external_makes_an_external_one(self, make_person: Any, app: Any) -> None:
        erin = make_person("erin", external=True)
        Member.objects.create(user=erin, project=app, access_level=40)

        token, _ = resource_tokens.create(erin, app, name="ci", scopes=["api"])
        assert token.user.external

    def test_a_row_is_a_persons_or_an_owners(self, app: Any, make_access_token: Any) -> None:
        token, _ = make_access_token(app)
        for columns in (
            {"access_level": None},
            {"project": None},
            {"namespace": app.namespace},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                PersonalAccessToken.objects.filter(pk=token.pk).update(**columns)


class TestEnding:
    def test_the_bot_ends_with_its_token(self, bob: Any, app: Any, make_access_token: Any) -> None:
        token, text = make_access_token(app)
        for _ in range(2):
            resource_tokens.revoke(bob, token)

        assert services.authenticate(text) is None
        bot = User.objects.get(pk=token.user_id)
        assert bot.is_blocked
        assert not bot.memberships.exists()
        assert AuditEvent.objects.filter(action="access_token.revoke").count() == 1
        assert list(resource_tokens.tokens_of(bob, app, active=False)) == [token]

    def test_by_itself(self, app: Any, make_access_token: Any) -> None:
        token, text = make_access_token(app)

        assert api(text, "delete", "personal_access_tokens/self").status_code == 204
        assert services.authenticate(text) is None
        assert not Member.objects.filter(user=token.user_id).exists()

    def test_it_goes_with_its_project(self, app: Any, make_access_token: Any) -> None:
        _, text = make_access_token(app)
        app.delete()

        assert services.find(text) is None

    def test_its_rights_end_on_its_last_day(self, app: Any, make_access_token: Any) -> None:
        token, text = make_access_token(app, expires_at=SOON)
        today = timezone.now().date()
        PersonalAccessToken.objects.update(expires_at=today)

        assert services.authenticate(text) is None
        assert Member.objects.get(user=token.user_id).expires_at == SOON

    def test_others_may_not(
        self, carol: Any, mallory: Any, app: Any, make_access_token: Any
    ) -> None:
        token, text = make_access_token(app)
        for person, refusal in ((carol, Forbidden), (mallory, NotFound)):
            for ask in (resource_tokens.revoke, resource_tokens.rotate):
                with pytest.raises(refusal):
                    ask(person, token)
        with pytest.raises(NotFound):
            services.revoke(carol, token)
        assert services.authenticate(text) is not None


class TestRotating:
    def test_the_bot_stays(self, bob: Any, app: Any, make_access_token: Any) -> None:
        token, old = make_access_token(app, "api", "self_rotate")

        after, new = resource_tokens.rotate(bob, token, expires_at=SOON)

        assert services.authenticate(new) is not None
        token.refresh_from_db()
        assert (token.is_usable, services.find(old).revoked_at) == (False, token.revoked_at)
        assert (after.user, after.owner, after.access_level) == (token.user, app, 40)
        assert after.scopes == token.scopes
        assert Member.objects.get(user=token.user_id).expires_at == SOON

    def test_by_itself(self, app: Any, make_access_token: Any) -> None:
        token, old = make_access_token(app, "self_rotate")

        answer = api(old, "post", "personal_access_tokens/self/rotate")

        assert answer.status_code == 200, answer.content
        found = services.authenticate(answer.json()["token"])
        assert found is not None
        assert found.owner.pk == token.user_id

    def test_not_above_oneself(self, bob: Any, app: Any, make_access_token: Any) -> None:
        token, text = make_access_token(app, level=50)

        with pytest.raises(Forbidden):
            resource_tokens.rotate(bob, token)
        assert services.authenticate(text) is not None


class TestTheBot:
    @pytest.fixture
    def bot(self, app: Any, make_access_token: Any) -> Any:
        token, text = make_access_token(app)
        token.user.text = text
        return token.user

    def test_nobody_signs_in_as_it(self, bot: Any, root: Any) -> None:
        bot.set_password(PASSWORD)  # Not even if somebody wrote one into the row.
        bot.save()
        for login in (bot.username, bot.email):
            with pytest.raises(sign_in.WrongPassword):
                sign_in.verify(login, PASSWORD, address="192.0.2.1", reactivates=True)

    def test_nobody_changes_it(self, bot: Any, root: Any) -> None:
        for change in (
            lambda: accounts.change_password(bot, PASSWORD, by=root),
            lambda: accounts.administer(bot, by=root, password=PASSWORD),
            lambda: accounts.administer(bot, by=root, name="Root"),
            lambda: accounts.set_administrator(bot, is_administrator=True, by=root),
            lambda: accounts.set_external(bot, external=False, by=root),
            lambda: accounts.update_user(bot, by=bot, name="Alice"),
        ):
            with pytest.raises(Forbidden):
                change()
        bot.refresh_from_db()
        assert (bot.name, bot.is_superuser) == ("token test of acme/app", False)

    def test_it_makes_no_tokens(self, bot: Any, app: Any, root: Any) -> None:
        with pytest.raises(Forbidden):
            services.create(bot, name="more", scopes=["api"])
        with pytest.raises(Forbidden):
            services.create(bot, name="more", scopes=["api"], by=root)
        with pytest.raises(Forbidden):
            resource_tokens.create(bot, app, name="more", scopes=["api"], access_level=10)
        made = api(bot.text, "post", "user/personal_access_tokens", name="more", scopes=["api"])
        assert made.status_code == 403
        assert PersonalAccessToken.objects.count() == 1

    def test_its_membership_is_its_tokens(
        self, bot: Any, alice: Any, app: Any, make_project: Any
    ) -> None:
        other = make_project("acme/other", owners=[alice])
        with pytest.raises(Invalid):
            members.add_member(alice, other, bot, 10)
        with pytest.raises(Forbidden):
            members.update_member(alice, app, bot, 10)
        with pytest.raises(Forbidden):
            members.remove_member(alice, app, bot)
        with pytest.raises(Forbidden):
            members.remove_member(bot, app, bot)
        assert Member.objects.get(user=bot).access_level == 40

    def test_it_is_no_groups_owner(self, alice: Any, acme: Any, make_access_token: Any) -> None:
        make_access_token(acme, level=50)

        with pytest.raises(Conflict):
            members.remove_member(alice, acme, alice)

    def test_it_opens_nothing_at_the_top(self, acme: Any, make_access_token: Any) -> None:
        bot = make_access_token(acme, level=40)[0].user
        with pytest.raises(Forbidden):
            namespaces.create_group(bot, path="mine")
        below = namespaces.create_group(bot, path="below", parent=acme)
        assert not below.members.exists()

    def test_it_shows_as_its_token_wherever_it_acts(self, bot: Any, app: Any) -> None:
        answer = api(bot.text, "put", f"projects/{app.pk}", description="by a machine")

        assert answer.status_code == 200
        event = AuditEvent.objects.get(action="project.update")
        assert (event.actor, event.actor_name) == (bot, "token test of acme/app")

    def test_the_name_follows_the_path(self, bot: Any, app: Any, acme: Any) -> None:
        type(app).objects.filter(pk=app.pk).update(full_path="acme/shop")
        resource_tokens.follow_path("acme/shop")

        bot.refresh_from_db()
        assert bot.name == "token test of acme/shop"
