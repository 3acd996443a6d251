"""The public keys of projects and groups: who holds them, on the page and by the rule."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.audit.models import AuditEvent
from gitlab.container_registry.signatures import services
from gitlab.container_registry.signatures.models import PublicKey
from gitlab.refusals import Forbidden, Invalid, NotFound
from tests.gitlab.container_registry.signatures.signing import new_key, new_pem, pem

pytestmark = pytest.mark.django_db
PAGE = "/acme/app/-/settings/public_keys"
GROUP = "/groups/acme/-/settings/public_keys"
PEM = new_pem()


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_key_is_added_shown_and_deleted(browser: Any, alice: Any, app: Any) -> None:
    client = browser(alice)
    assert "No key is held" in text(client.get(PAGE))
    answer = client.post(PAGE, {"name": "rel<b>", "key": f"\r\n{PEM}\r\n"})
    assert answer.url == PAGE
    row = PublicKey.objects.get()
    assert row.pem == PEM
    page = text(client.get(PAGE))
    assert "rel&lt;b&gt;" in page
    assert "ECDSA P-256" in page
    assert row.fingerprint[:16] in page
    assert "Delete this key?" in text(client.get(f"{PAGE}/{row.pk}/delete"))
    client.post(f"{PAGE}/{row.pk}/delete")
    assert not PublicKey.objects.exists()
    events = AuditEvent.objects.filter(action__startswith="public_key").order_by("pk")
    assert [(each.action, each.details["name"]) for each in events] == [
        ("public_key.create", "rel<b>"),
        ("public_key.delete", "rel<b>"),
    ]


def test_a_groups_keys_hold_below_and_are_changed_there(browser: Any, alice: Any, app: Any) -> None:
    browser(alice).post(GROUP, {"name": "everywhere", "key": PEM})
    row = PublicKey.objects.get()
    page = text(browser(alice).get(PAGE))
    assert "everywhere" in page
    assert "<code>acme</code>" in page
    assert browser(alice).post(f"{PAGE}/{row.pk}/delete").status_code == 404
    assert PublicKey.objects.exists()


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"name": "", "key": PEM}, "required"),
        ({"name": "x", "key": "nothing"}, "Paste one public key"),
        ({"name": "x" * 101, "key": PEM}, "at most 100 characters"),
        ({"name": "taken", "key": new_pem()}, "There is a key of this name already."),
        ({"name": "x", "key": "-----BEGIN PRIVATE KEY-----"}, "This is a private key"),
    ],
)
def test_what_can_not_be_added_says_why(
    browser: Any, alice: Any, app: Any, sent: dict[str, str], says: str
) -> None:
    services.create(alice, app, name="taken", key=PEM)
    assert says in text(browser(alice).post(PAGE, sent))
    assert PublicKey.objects.count() == 1


def test_a_key_is_held_once_and_there_is_an_end(alice: Any, app: Any) -> None:
    services.create(alice, app, name="one", key=PEM)
    with pytest.raises(Invalid, match="held already"):
        services.create(alice, app, name="two", key=PEM)
    for number in range(services.MAX_KEYS - 1):
        services.create(alice, app, name=f"k{number}", key=pem(new_key()))
    with pytest.raises(Invalid, match="At most 20 keys"):
        services.create(alice, app, name="more", key=new_pem())


@pytest.mark.parametrize(
    ("who", "expected"), [("bob", 403), ("carol", 403), ("mallory", 404), (None, 302)]
)
def test_who_does_not_administer_holds_no_keys(
    browser: Any, alice: Any, app: Any, who: str | None, expected: int, request: Any
) -> None:
    row = services.create(alice, app, name="one", key=PEM)
    client = browser(request.getfixturevalue(who) if who else None)
    for address in (PAGE, f"{PAGE}/{row.pk}/delete"):
        assert client.get(address).status_code == expected
        assert client.post(address, {"name": "x", "key": new_pem()}).status_code == expected
    assert [each.name for each in PublicKey.objects.all()] == ["one"]


def test_the_rule_refuses_by_itself(bob: Any, mallory: Any, alice: Any, app: Any) -> None:
    with pytest.raises(Forbidden):
        services.create(bob, app, name="x", key=PEM)
    with pytest.raises(NotFound):
        services.create(mallory, app, name="x", key=PEM)
    row = services.create(alice, app, name="x", key=PEM)
    with pytest.raises(Forbidden):
        services.delete(bob, row)
    services.delete(alice, row)
    services.delete(alice, row)
