"""Help on the spot: commands with the reader's own names, and buttons for the right credential."""

from __future__ import annotations

import html
import json
import shlex
from typing import Any

import pytest

from gitlab.container_registry import client_guides
from gitlab.container_registry.client_guides import Place

pytestmark = [pytest.mark.django_db, pytest.mark.engineless]
URL = "/acme/app/container_registry/help"
TOOLS = (
    *("docker", "podman", "containerd", "Kubernetes", "GitHub Actions", "GitLab CI", "Jenkins"),
    *("Helm", "oras", "cosign"),
)


def test_who_sees_it(
    web: Any, played: Any, browser: Any, alice: Any, bob: Any, carol: Any, mallory: Any
) -> None:
    for user, expected in [(alice, 200), (bob, 200), (carol, 200), (mallory, 404), (None, 302)]:
        assert browser(user).get(URL).status_code == expected
        assert browser(user).get(f"{URL}/pull-secret.yaml").status_code == expected
    assert browser(alice).post(URL).status_code == 405


def test_every_tool_with_ones_own_names(
    web: Any, played: Any, browser: Any, carol: Any, settings: Any
) -> None:
    page = html.unescape(browser(carol).get(URL).content.decode())
    host = settings.CONTAINER_REGISTRY_HOST_PORT
    for tool in TOOLS:
        assert f"{tool}</summary>" in page
    assert f"docker login -u carol {host}" in page
    assert f"docker pull {host}/acme/app/web:latest" in page
    assert 'href="/acme/app/container_registry/help"' in (
        browser(carol).get("/acme/app/container_registry").content.decode()
    )


def test_the_image_is_one_of_the_project(
    web: Any, played: Any, browser: Any, carol: Any, make_image: Any, app: Any, make_project: Any
) -> None:
    make_image("acme/app/worker", of=app)
    make_image("acme/other/x", of=make_project("acme/other"))
    for asked, shown in [
        ("acme/app/worker", "acme/app/worker"),
        ("ACME/app/worker", "acme/app/worker"),
        ("acme/other/x", "acme/app"),
        ("%00", "acme/app/web"),
        ("", "acme/app/web"),
    ]:
        assert browser(carol).get(f"{URL}?image={asked}").context["place"].path == shown


def test_buttons_are_those_that_one_may_press(
    web: Any, played: Any, browser: Any, alice: Any, bob: Any, carol: Any
) -> None:
    for user, deploys, writes in [(alice, True, True), (bob, False, True), (carol, False, False)]:
        context = browser(user).get(URL).context
        assert bool(context.get("pull_url")) is deploys
        assert bool(context.get("push_url")) is deploys
        assert ("write_registry" in context["own_url"]) is writes


def test_a_button_fills_the_form_and_makes_nothing(
    web: Any, played: Any, browser: Any, alice: Any
) -> None:
    context = browser(alice).get(URL).context
    for key, scopes in [
        ("own_url", ["read_registry", "write_registry"]),
        ("pull_url", ["read_registry"]),
        ("push_url", ["read_registry", "write_registry"]),
    ]:
        form = browser(alice).get(context[key]).context["form"]
        assert form.initial["scopes"] == scopes
        assert "acme/app" in form.initial["name"]
        assert not form.is_bound
    odd = browser(alice).get(
        "/-/user_settings/personal_access_tokens/new?scopes=sudo&scopes=api&name=%00"
    )
    assert odd.context["form"].initial == {}


def test_the_secret_is_a_file_without_a_secret(
    web: Any, played: Any, browser: Any, carol: Any, settings: Any
) -> None:
    answer = browser(carol).get(f"{URL}/pull-secret.yaml?image=acme/app/web")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="pull-web.yaml"'
    text = answer.content.decode()
    document = json.loads(text.partition(".dockerconfigjson: |\n")[2])
    host = settings.CONTAINER_REGISTRY_HOST_PORT
    assert document == {"auths": {host: {"username": "USER", "password": "TOKEN"}}}
    assert "type: kubernetes.io/dockerconfigjson" in text


@pytest.mark.parametrize("is_plain", [True, False])
def test_commands_are_whole(is_plain: bool) -> None:
    """No token stands in a command, and each first word is the tool's."""
    place = Place("registry.example:5000", "acme/app", "carol", is_plain)
    for guide in client_guides.guides(place):
        for label, text in guide.steps:
            assert "registry.example:5000" in text or label == "Use it in a pod", (guide, text)
            assert "glpat" not in text
    words = {
        word
        for guide in client_guides.guides(place)[:3]
        for _, text in guide.steps
        for word in shlex.split(text)
    }
    assert ("--tls-verify=false" in words) is is_plain


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/b", "pull-b"), ("a/x_y.z", "pull-x-y-z"), ("a/" + "q" * 90, "pull-" + "q" * 40)],
)
def test_names_of_secrets_are_labels(path: str, name: str) -> None:
    assert Place("h", path, "u").secret_name == name
