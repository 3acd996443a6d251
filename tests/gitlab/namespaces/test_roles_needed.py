"""A refusal says which role it takes, and which one somebody has."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.namespaces import loaders
from gitlab.namespaces.policies import Ability
from gitlab.refusals import Forbidden, NotFound

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(alice: Any, bob: Any, carol: Any, make_project: Any) -> Any:
    return make_project("acme/app", owner=alice, developers=[bob], visibility="public")


def refusal(load: Any, user: Any, path: str, ability: Ability) -> str:
    with pytest.raises(Forbidden) as caught:
        load(user, path, ability)
    return str(caught.value)


def test_in_a_project(app: Any, bob: Any, mallory: Any) -> None:
    load = loaders.get_project_for
    assert refusal(load, bob, "acme/app", Ability.ADMIN_PROJECT) == (
        "This takes the role Maintainer in the project, or a higher one; yours is Developer."
    )
    assert refusal(load, mallory, "acme/app", Ability.PUSH_IMAGE) == (
        "This takes the role Developer in the project, or a higher one; you have none."
    )


def test_in_a_group(app: Any, mallory: Any) -> None:
    assert refusal(loaders.get_group_for, mallory, "acme", Ability.ADMIN_MEMBERS) == (
        "This takes the role Owner in the group, or a higher one; you have none."
    )


def test_where_no_role_would_do(app: Any, alice: Any) -> None:
    app.archived = True
    app.save()
    said = refusal(loaders.get_project_for, alice, "acme/app", Ability.PUSH_IMAGE)
    assert said == "You may not do this here."


def test_what_is_hidden_says_nothing(alice: Any, mallory: Any, make_project: Any) -> None:
    make_project("acme/secret", owner=alice)
    with pytest.raises(NotFound, match="nothing here"):
        loaders.get_project_for(mallory, "acme/secret", Ability.ADMIN_PROJECT)


def test_the_page(app: Any, bob: Any) -> None:
    client = Client()
    client.force_login(bob)
    page = client.get("/acme/app/edit")
    assert page.status_code == 403
    assert "This takes the role Maintainer in the project" in page.content.decode()
