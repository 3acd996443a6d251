"""Choices that explain themselves, and refusals at their fields."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.template import Context, Template

from gitlab.ui import form_errors
from gitlab.ui.components.values import breaks
from gitlab.ui.widgets import About, ExplainedCheckboxes, ExplainedRadios

pytestmark = pytest.mark.engineless

CHOICES = [("a", "First"), ("b", "Second")]
ABOUT = {"a": About("The <first>.", "lock"), "b": About("The second.", unless="Not today.")}


class Sample(forms.Form):
    one = forms.ChoiceField(choices=CHOICES, widget=ExplainedRadios(ABOUT))
    some = forms.MultipleChoiceField(choices=CHOICES, widget=ExplainedCheckboxes())


def render(form: Any, name: Any) -> Any:
    return Template("{% load ui %}{% field field %}").render(Context({"field": form[name]}))


def test_each_choice_has_its_sentence() -> None:
    html = render(Sample({"one": "a"}), "one")

    assert "The &lt;first&gt;." in html
    assert html.count("First") == 1, "once, not in Django's own label as well"
    assert html.count('type="radio"') == 2
    assert html.count("checked") == 1


def test_what_cannot_be_chosen_says_why() -> None:
    html = render(Sample(), "one")

    assert "Not today." in html
    assert html.count("disabled") == 1


def test_several_can_be_chosen_without_a_word() -> None:
    html = render(Sample({"some": ["a", "b"]}), "some")

    assert html.count('type="checkbox"') == 2
    assert html.count("checked") == 2


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (ValidationError({"one": "no"}), {"one"}),
        (ValidationError({"one": ["no", "never"], "elsewhere": "no"}), {"one", "__all__"}),
        (ValidationError("no"), {"__all__"}),
    ],
)
def test_a_refusal_stands_at_its_field(error: Any, fields: Any) -> None:
    form = Sample({"one": "a", "some": ["a"]})
    assert form.is_valid()

    form_errors.show(form, error)

    assert form.errors.keys() == fields


def test_a_path_breaks_after_its_slashes() -> None:
    assert breaks("a/<b>/c") == "a/<wbr>&lt;b&gt;/<wbr>c"
    assert breaks("a@b.example") == "a@<wbr>b.example"
