"""Personal access tokens."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import pytest
from django.utils import timezone

from gitlab.access_tokens import checks, services
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.audit.models import AuditEvent
from gitlab.refusals import Forbidden, Invalid, NotFound

pytestmark = pytest.mark.django_db


def test_only_the_digest_is_kept(alice: Any) -> None:
    token, text = services.create(alice, name="ci", scopes=["write_registry", "read_registry"])

    assert text.startswith("glpat-")
    assert token.scopes == ["read_registry", "write_registry"]
    assert token.digest == hashlib.sha256(text.encode()).hexdigest()
    event = AuditEvent.objects.get(action="access_token.create")
    assert text not in str(event.details)


def test_one_from_before_checksums_goes_on_working(alice: Any) -> None:
    token, _ = services.create(alice, name="ci", scopes=["api"])
    text = "glpat-" + "k" * 32
    PersonalAccessToken.objects.update(digest=hashlib.sha256(text.encode()).hexdigest())

    found = services.authenticate(text)
    assert found is not None
    assert found.id == token.pk


def test_one_with_a_wrong_checksum_is_not_looked_for(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert services.authenticate("glpat-" + "k" * 34 + ".0y0000000") is None


def test_it_is_recognised_in_one_query_with_its_user(
    alice: Any, django_assert_num_queries: Any
) -> None:
    _, text = services.create(alice, name="ci", scopes=["api"])
    PersonalAccessToken.objects.update(last_used_at=timezone.now())
    with django_assert_num_queries(1):
        found = services.authenticate(text)
        assert found is not None
        assert found.owner.is_active


def test_its_use_is_noted_every_ten_minutes(alice: Any, django_assert_num_queries: Any) -> None:
    token, text = services.create(alice, name="ci", scopes=["api"])
    services.authenticate(text)
    token.refresh_from_db()
    assert token.last_used_at is not None
    with django_assert_num_queries(1):
        services.authenticate(text)
    PersonalAccessToken.objects.update(last_used_at=timezone.now() - dt.timedelta(minutes=11))
    # The token's, and of its owner the day on which they were here.
    with django_assert_num_queries(3):
        services.authenticate(text)


def test_expired_and_revoked_ones_are_refused(alice: Any, make_token: Any) -> None:
    assert services.authenticate(make_token(alice, "api", expired=True)) is None
    assert services.authenticate(make_token(alice, "api", revoked=True)) is None
    assert services.authenticate("glpat-unknown") is None
    assert services.tokens_of(alice, active=True).count() == 0
    assert services.tokens_of(alice, active=False).count() == 2


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("name", {"name": "  "}),
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["everything"]}),
        ("expires_at", {"expires_at": dt.date(2020, 1, 1)}),
    ],
)
def test_bad_input_is_refused_by_field(alice: Any, field: str, change: Any) -> None:
    with pytest.raises(Invalid) as refused:
        services.create(alice, **({"name": "ci", "scopes": ["api"]} | change))
    assert refused.value.message_dict.keys() == {field}


def test_others_may_neither_make_nor_revoke_nor_load(alice: Any, mallory: Any, root: Any) -> None:
    token, text = services.create(alice, name="ci", scopes=["api"])
    with pytest.raises(Forbidden):
        services.create(alice, name="ci", scopes=["api"], by=mallory)
    with pytest.raises(NotFound):
        services.revoke(mallory, token)
    with pytest.raises(NotFound):
        services.get_for(mallory, token.pk)
    services.revoke(root, token)
    assert services.authenticate(text) is None


def test_what_scopes_carry_for_images() -> None:
    carried = checks.registry_abilities
    assert carried(["api"]) == {"read", "create", "delete", "admin"}
    assert carried(["read_registry", "write_registry"]) == {"read", "create"}
    assert carried(["read_user"]) == frozenset()
