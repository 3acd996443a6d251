"""The pages of trusts: made, listed, changed, tried, revoked."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.trusted_issuers.models import IdTokenUse, TrustedIssuer

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]
OF_PROJECT = "/acme/app/-/settings/trusted_issuers"
OF_GROUP = "/groups/acme/-/settings/trusted_issuers"
FORM: dict[str, Any] = {
    "name": "GitHub",
    "issuer": "https://token.actions.githubusercontent.com",
    "conditions": "repository = octo/app\nref = refs/heads/*",
    "actions": ["pull", "push"],
    "images": "web*",
    "audience": "",
    "expires_at": "2099-01-01",
}


@pytest.fixture(params=["project", "group"])
def owner(request: Any, alice: Any, bob: Any, make_group: Any, make_project: Any) -> Any:
    """Alice owns the group and all below, Bob develops there."""
    acme = make_group("acme", owner=alice, developers=[bob])
    app = make_project("acme/app", owner=alice)
    return app if request.param == "project" else acme


@pytest.fixture
def here(owner: Any) -> str:
    return OF_GROUP if owner.full_path == "acme" else OF_PROJECT


def as_(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("page", ["", "/new", "/1", "/1/try", "/1/revoke"])
def test_who_may_not(page: str, here: str, bob: Any, mallory: Any) -> None:
    for method in ("get", "post"):
        if (method, page) in (("post", ""), ("get", "/1/try")):
            continue
        assert getattr(Client(), method)(f"{here}{page}")["Location"].startswith("/users/sign_in")
        assert getattr(as_(bob), method)(f"{here}{page}").status_code == 403
        hidden = 404 if "acme/app" in here else 403  # The group is public.
        assert getattr(as_(mallory), method)(f"{here}{page}").status_code == hidden
    assert not TrustedIssuer.objects.exists()


def test_made_and_shown(here: str, owner: Any, alice: Any, settings: Any) -> None:
    client = as_(alice)
    assert client.get(f"{here}/new").status_code == 200
    made = client.post(f"{here}/new", FORM)
    trust = TrustedIssuer.objects.get()

    assert made["Location"] == f"{here}/{trust.pk}"
    assert trust.owner == owner
    assert trust.conditions == {"repository": "octo/app", "ref": "refs/heads/*"}
    assert (trust.images, trust.actions) == ("web*", ["pull", "push"])
    text = client.get(f"{here}/{trust.pk}").content.decode()
    host = settings.CONTAINER_REGISTRY_HOST_PORT
    assert f"docker login {host} --username {trust.username} --password-stdin" in text
    assert settings.EXTERNAL_URL in text
    assert "ref = refs/heads/*\nrepository = octo/app" in text
    assert "GitHub" in client.get(here).content.decode()
    sidebar = client.get(here).context["sidebar"]
    assert [link.label for section in sidebar for link in section.links if link.active] == [
        "Trusted issuers"
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("issuer", "http://ci.example.com"),
        ("conditions", ""),
        ("conditions", "repository"),
        ("conditions", "ref = refs/heads/main"),
        ("conditions", "iss = x\nrepository = octo/app"),
        ("actions", []),
        ("actions", ["admin"]),
        ("images", "x" * 256),
        ("audience", "x" * 256),
        ("expires_at", "2020-01-01"),
    ],
)
def test_it_refuses_at_the_field(field: str, value: Any, here: str, alice: Any) -> None:
    page = as_(alice).post(f"{here}/new", FORM | {field: value})

    assert page.status_code == 200
    assert page.context["form"].errors.keys() == {field}
    assert not TrustedIssuer.objects.exists()


def test_changed(here: str, alice: Any) -> None:
    client = as_(alice)
    client.post(f"{here}/new", FORM)
    trust = TrustedIssuer.objects.get()
    page = client.post(f"{here}/{trust.pk}", FORM | {"conditions": "ref = x"})
    assert page.context["form"].errors.keys() == {"conditions"}
    saved = client.post(f"{here}/{trust.pk}", FORM | {"actions": ["pull"], "expires_at": ""})
    assert saved["Location"] == f"{here}/{trust.pk}"
    trust.refresh_from_db()
    assert (trust.actions, trust.expires_at) == (["pull"], None)


def test_revoked_after_a_question(here: str, alice: Any) -> None:
    client = as_(alice)
    client.post(f"{here}/new", FORM)
    trust = TrustedIssuer.objects.get()
    assert "Trust it no longer?" in client.get(f"{here}/{trust.pk}/revoke").content.decode()
    assert client.post(f"{here}/{trust.pk}/revoke")["Location"] == here
    trust.refresh_from_db()
    assert trust.is_revoked
    assert client.get(here).context["rows"] == []
    assert len(client.get(f"{here}?state=inactive").context["rows"]) == 1
    page = client.get(f"{here}/{trust.pk}").content.decode()
    assert "It does not hold" in page
    assert "Save" not in page


def test_tried(here: str, owner: Any, alice: Any, make_trust: Any, id_token: Any) -> None:
    trust, client = make_trust(owner), as_(alice)

    def attempt(text: str) -> str:
        answer = client.post(f"{here}/{trust.pk}/try", {"id_token": text})
        assert answer.status_code == 200
        assert "no-store" in answer["Cache-Control"]
        page: str = answer.content.decode()
        assert text not in page
        return page

    taken = attempt(id_token())
    assert "Taken" in taken
    assert "octo/app" in taken
    refused = attempt(id_token(repository="<script>alert(1)</script>"))
    assert "it does not meet the condition on repository" in refused
    assert "<script>alert" not in refused
    assert "it is no signed JWT" in attempt("nonsense-that-is-nowhere-else")
    assert client.get(f"{here}/{trust.pk}/try").status_code == 405
    assert not IdTokenUse.objects.exists()


def test_another_owners_is_not_there(here: str, alice: Any, make_project: Any,
                                     make_trust: Any) -> None:  # fmt: skip
    other = make_trust(make_project("acme/other", owner=alice))
    for page in ("", "/revoke"):
        assert as_(alice).get(f"{here}/{other.pk}{page}").status_code == 404
    assert as_(alice).post(f"{here}/{other.pk}/try", {"id_token": "x"}).status_code == 404


def test_a_persons_own_namespace_has_none(alice: Any) -> None:
    for page in ("", "/new"):
        address = f"/groups/alice/-/settings/trusted_issuers{page}"
        assert as_(alice).get(address).status_code == 404
