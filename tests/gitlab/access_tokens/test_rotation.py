"""Rotation, and what happens where the old token is used again; how long a token may last."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.access_tokens import resource_tokens, rotation, services
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.accounts.models import User
from gitlab.audit.models import AuditEvent
from gitlab.refusals import Invalid
from tests.people import basic

pytestmark = pytest.mark.django_db


def docker(text: str) -> Any:
    return Client(REMOTE_ADDR="192.0.2.7").get(
        "/jwt/auth", {"service": "container_registry"}, HTTP_AUTHORIZATION=basic("x", text)
    )


def api(text: str) -> Any:
    return Client(REMOTE_ADDR="192.0.2.7").get("/api/v4/user", HTTP_PRIVATE_TOKEN=text)


@pytest.fixture
def family(alice: Any) -> Any:
    """Three tokens, each in the place of the one before, with their texts; only the last works."""
    made = [services.create(alice, name="ci", scopes=["api"])]
    for _ in range(2):
        made.append(services.rotate(alice, made[-1][0]))
    for token, _ in made:
        token.refresh_from_db()
    return made


def usable(*texts: str) -> list[bool]:
    found = [services.find(text) for text in texts]
    return [token is not None and token.is_usable for token in found]


def test_a_rotated_token_has_a_family(family: Any) -> None:
    (first, _), (second, _), (third, _) = family

    assert first.family_id is None
    assert second.family_id == third.family_id == first.pk
    assert first.rotated_at == first.revoked_at is not None
    assert third.rotated_at is None
    assert usable(*(text for _, text in family)) == [False, False, True]


@pytest.mark.parametrize("use", [docker, api])
@pytest.mark.parametrize("which", [0, 1])
def test_using_one_that_was_rotated_away_revokes_the_family(
    use: Any, which: int, family: Any, alice: Any
) -> None:
    _, text_of_other = services.create(alice, name="laptop", scopes=["api"])
    token, text = family[which]

    assert use(text).status_code == 401

    assert usable(*(text for _, text in family)) == [False, False, False]
    assert usable(text_of_other) == [True]
    assert use(family[2][1]).status_code == 401
    token.refresh_from_db()
    assert token.reused_at is not None
    assert token.last_used_ip == "192.0.2.7"
    event = AuditEvent.objects.get(action="access_token.reuse")
    assert (event.actor, event.actor_name, event.target_path) == (None, "", "alice")
    assert (event.target_id, event.address) == (token.pk, "192.0.2.7")
    assert event.details == {"revoked": [family[2][0].pk]}
    assert list(rotation.reuses(services.tokens_of(alice))) == [token]


def test_it_is_said_once(family: Any, django_assert_num_queries: Any) -> None:
    for _ in range(3):
        docker(family[0][1])
    found = services.find(family[0][1])
    assert found is not None
    with django_assert_num_queries(0):
        services.note_refused(found)
    rotation.note_reuse(family[0][0].pk)

    assert AuditEvent.objects.filter(action="access_token.reuse").count() == 1


def test_rotating_one_that_was_rotated_away_revokes_the_family(family: Any, alice: Any) -> None:
    with pytest.raises(Invalid):
        services.rotate(alice, family[0][0])

    assert usable(family[2][1]) == [False]
    assert AuditEvent.objects.filter(action="access_token.reuse").count() == 1


def test_by_the_api_too(family: Any) -> None:
    live = family[2][1]
    answer = Client(HTTP_PRIVATE_TOKEN=live).post(
        f"/api/v4/personal_access_tokens/{family[1][0].pk}/rotate"
    )

    assert answer.status_code == 400
    assert usable(live) == [False]


def test_two_that_rotate_at_once_are_no_thieves(family: Any, alice: Any) -> None:
    """Both had looked before: the second finds that it is done already."""
    live, _ = family[2]
    seen = PersonalAccessToken.objects.get(pk=live.pk)
    _, text = services.rotate(alice, live)

    with pytest.raises(Invalid):
        services.rotate(alice, seen)
    assert usable(text) == [True]
    assert not AuditEvent.objects.filter(action="access_token.reuse").exists()


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_one_that_only_ended_is_no_reuse(how: str, family: Any, alice: Any) -> None:
    other, text = services.create(alice, name="other", scopes=["api"])
    if how == "revoked":
        services.revoke(alice, other)
    else:
        PersonalAccessToken.objects.filter(pk=other.pk).update(expires_at=timezone.now().date())

    assert docker(text).status_code == 401
    assert usable(family[2][1]) == [True]
    assert not AuditEvent.objects.filter(action="access_token.reuse").exists()


def test_a_bot_ends_with_its_family(alice: Any, make_project: Any, make_access_token: Any) -> None:
    app = make_project("acme/app", owners=[alice])
    token, old = make_access_token(app)
    _, new = resource_tokens.rotate(alice, token)

    assert docker(old).status_code == 401

    assert usable(new) == [False]
    bot = User.objects.get(pk=token.user_id)
    assert bot.is_blocked
    assert not bot.memberships.exists()
    event = AuditEvent.objects.get(action="access_token.reuse")
    assert event.target_path == "acme/app"
    page = Client()
    page.force_login(alice)
    text = page.get("/acme/app/-/settings/access_tokens").content.decode()
    assert "A token was used after another had taken its place" in text


def test_its_owner_is_told_on_the_page(family: Any, alice: Any, bob: Any) -> None:
    address = "/-/user_settings/personal_access_tokens"
    docker(family[0][1])

    for person, told in ((alice, True), (bob, False)):
        client = Client()
        client.force_login(person)
        text = client.get(address).content.decode()
        assert ("A token was used after another had taken its place" in text) == told
        assert ("192.0.2.7" in text) == told
    PersonalAccessToken.objects.update(reused_at=timezone.now() - dt.timedelta(days=31))
    assert not rotation.reuses(services.tokens_of(alice)).exists()


def test_a_page_that_is_sent_twice_is_no_reuse(alice: Any) -> None:
    token, old = services.create(alice, name="ci", scopes=["api"])
    address = f"/-/user_settings/personal_access_tokens/{token.pk}/rotate"
    client = Client()
    client.force_login(alice)

    client.post(address, {"expires_at": "2099-01-01"})
    new = client.get("/-/user_settings/personal_access_tokens").context["new"]["text"]
    again = client.post(address, {"expires_at": "2099-01-01"})

    assert again.context["form"].non_field_errors()
    assert usable(old, new) == [False, True]


def test_from_where_it_was_used_last(alice: Any, django_assert_num_queries: Any) -> None:
    token, text = services.create(alice, name="ci", scopes=["api"])

    def used(client_ip: str, ago: float) -> tuple[str, bool]:
        """The address that is kept, and whether it was written."""
        before = timezone.now() - dt.timedelta(minutes=ago)
        PersonalAccessToken.objects.update(last_used_at=before, last_used_ip="192.0.2.1")
        services.authenticate(text, client_ip=client_ip)
        token.refresh_from_db()
        return token.last_used_ip, token.last_used_at != before

    assert used("192.0.2.1", 9) == ("192.0.2.1", False)
    assert used("192.0.2.1", 11) == ("192.0.2.1", True)
    assert used("192.0.2.2", 0.5) == ("192.0.2.1", False)
    assert used("192.0.2.2", 2) == ("192.0.2.2", True)


@pytest.mark.parametrize("use", [docker, api])
def test_each_door_says_from_where(use: Any, alice: Any) -> None:
    token, text = services.create(alice, name="ci", scopes=["api"])
    assert use(text).status_code == 200

    token.refresh_from_db()
    assert token.last_used_ip == "192.0.2.7"


def test_the_longest_lifetime(alice: Any, settings: Any, make_project: Any) -> None:
    settings.MAX_TOKEN_LIFETIME = dt.timedelta(days=3)
    app = make_project("acme/app", owners=[alice])
    last = timezone.now().date() + dt.timedelta(days=3)
    too_late = last + dt.timedelta(days=1)

    def create(**days: Any) -> Any:
        return services.create(alice, name="ci", scopes=["api"], **days)

    def create_of_project(**days: Any) -> Any:
        return resource_tokens.create(alice, app, name="ci", scopes=["api"], **days)

    for make in (create, create_of_project):
        assert make()[0].expires_at == last
        assert make(expires_at=last)[0].expires_at == last
        with pytest.raises(Invalid) as refused:
            make(expires_at=too_late)
        assert refused.value.message_dict.keys() == {"expires_at"}
    token, text = create()
    with pytest.raises(Invalid):
        services.rotate(alice, token, expires_at=too_late)
    assert usable(text) == [True]
    assert services.rotate(alice, token)[0].expires_at == last


def test_less_than_a_day_is_a_day(alice: Any, settings: Any) -> None:
    settings.MAX_TOKEN_LIFETIME = dt.timedelta(hours=1)

    _, text = services.create(alice, name="ci", scopes=["api"])
    assert usable(text) == [True]


def test_the_form_offers_no_later_day(alice: Any, settings: Any) -> None:
    settings.MAX_TOKEN_LIFETIME = dt.timedelta(days=3)
    last = (timezone.now().date() + dt.timedelta(days=3)).isoformat()
    client = Client()
    client.force_login(alice)

    page = client.get("/-/user_settings/personal_access_tokens/new").content.decode()
    assert f'max="{last}"' in page
    assert f'value="{last}"' in page


@pytest.mark.parametrize("scope", ["sudo", "admin_mode"])
def test_what_is_for_administrators(scope: str, alice: Any, root: Any) -> None:
    with pytest.raises(Invalid) as refused:
        services.create(alice, name="ci", scopes=["api", scope])
    assert refused.value.message_dict.keys() == {"scopes"}
    assert services.create(root, name="ci", scopes=[scope])[0].scopes == [scope]
