"""The doctor's page: for administrators, on request, with the setting and the cure."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.admin_area.views import tools
from gitlab.doctor.findings import Finding, wrong

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]
PAGE = "/admin/doctor/"


@pytest.fixture
def console(root: Any) -> Client:
    client = Client()
    client.force_login(root)
    return client


def test_nothing_is_examined_before_somebody_asks(
    console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(tools, "examine")
    page = console.get(PAGE).content.decode()
    assert "Examine" in page
    assert f'href="{PAGE}" aria-current="page"' in page


def test_findings_with_setting_and_cure(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = wrong("issuer", "registry.registry_issuer", "They <differ>.", "Set both to the same.")
    monkeypatch.setattr(tools, "examine", lambda config: [bad, Finding("clock")])
    page = console.post(PAGE).content.decode()
    for text in (
        "They &lt;differ&gt;.",
        "Set both to the same.",
        "registry.registry_issuer",
        "clock",
    ):
        assert text in page
    monkeypatch.setattr(tools, "examine", lambda config: [Finding("clock")])
    assert "Nothing is wrong" in console.post(PAGE).content.decode()


def test_for_administrators(alice: Any) -> None:
    client = Client()
    assert client.get(PAGE).status_code == 302
    client.force_login(alice)
    assert client.get(PAGE, follow=True).status_code == 403
    assert client.post(PAGE, follow=True).status_code == 403
