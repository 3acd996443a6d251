"""A project's runners: registered, shown once, revoked; and whose jobs may pull from it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.access_tokens import job_allowances, job_tokens
from gitlab.access_tokens.models import JobTokenAllowance, Runner

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]
HERE = "/acme/app/-/settings/runners"


@pytest.fixture
def app(alice: Any, bob: Any, make_project: Any) -> Any:
    return make_project("acme/app", maintainers=[alice], developers=[bob])


def as_(user: Any) -> Any:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("method", "page"),
    [
        ("get", ""),
        ("get", "/new"),
        ("post", "/new"),
        ("get", "/1/revoke"),
        ("post", "/1/revoke"),
        ("post", "/allowed"),
        ("post", "/allowed/1/remove"),
    ],
)
def test_who_may_not(method: str, page: str, app: Any, bob: Any, mallory: Any) -> None:
    ask = {"name": "x", "source": "acme/app"} if method == "post" else {}
    assert getattr(Client(), method)(f"{HERE}{page}", ask)["Location"].startswith("/users/sign_in")
    assert getattr(as_(bob), method)(f"{HERE}{page}", ask).status_code == 403
    assert getattr(as_(mallory), method)(f"{HERE}{page}", ask).status_code == 404
    assert not Runner.objects.exists()
    assert not JobTokenAllowance.objects.exists()


def test_it_is_registered_and_shown_once(app: Any, alice: Any) -> None:
    client = as_(alice)
    response = client.post(f"{HERE}/new", {"name": "Builder"})
    page = client.get(response["Location"])

    text = page.context["new"]["text"]
    assert job_tokens.find_runner(text) == Runner.objects.get(name="Builder", project=app)
    assert text in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert text not in client.get(HERE).content.decode()
    assert client.post(f"{HERE}/new", {"name": ""}).context["form"].errors.keys() == {"name"}


def test_nobody_elses_is_shown(app: Any, alice: Any, make_project: Any, make_runner: Any) -> None:
    client = as_(alice)
    client.cookies["new_token"] = make_runner(make_project("acme/other"))[1]
    assert client.get(HERE).context["new"] is None


def test_it_is_revoked_after_a_question(app: Any, alice: Any, make_runner: Any) -> None:
    runner, text = make_runner(app, name="Builder")
    client = as_(alice)
    assert "Revoke Builder?" in client.get(f"{HERE}/{runner.pk}/revoke").content.decode()
    assert job_tokens.find_runner(text) == runner

    assert client.post(f"{HERE}/{runner.pk}/revoke")["Location"] == HERE
    assert job_tokens.find_runner(text) is None
    assert client.get(HERE).context["rows"] == []


def test_whose_jobs_may_pull(app: Any, alice: Any, make_project: Any) -> None:
    lib = make_project("acme/lib")
    client = as_(alice)
    assert client.post(f"{HERE}/allowed", {"source": "Acme/Lib"})["Location"] == HERE
    assert job_allowances.allowing(lib.pk, [app.pk]) == {app.pk}
    assert "acme/lib" in client.get(HERE).content.decode()

    assert client.post(f"{HERE}/allowed/{lib.pk}/remove")["Location"] == HERE
    assert job_allowances.allowing(lib.pk, [app.pk]) == set()
    assert client.post(f"{HERE}/allowed/{lib.pk}/remove").status_code == 404


@pytest.mark.parametrize("source", ["", "acme/none", "mallory/hidden", "acme/app", "no/./path"])
def test_what_can_not_be_allowed(source: str, app: Any, alice: Any, make_project: Any) -> None:
    make_project("mallory/hidden")
    page = as_(alice).post(f"{HERE}/allowed", {"source": source})

    assert page.status_code == 200
    assert page.context["form"].errors.keys() == {"source"}
    assert not JobTokenAllowance.objects.exists()
