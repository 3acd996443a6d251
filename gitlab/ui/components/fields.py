"""The fields of a form."""

from typing import Any

from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect, Select
from django.forms.widgets import FileInput

from gitlab.ui.components.library import register


@register.inclusion_tag("ui/components/field.html")
def field(
    bound: BoundField,
    label: str = "",
    help: str = "",  # noqa: A002
    wide: bool = False,
    mono: bool = False,
    placeholder: str = "",
    **attrs: Any,
) -> dict[str, Any]:
    """A form's field with label, help and errors, tied together for screen readers."""
    widget = bound.field.widget
    options = isinstance(widget, RadioSelect | CheckboxSelectMultiple)
    check = isinstance(widget, CheckboxInput)
    classes = [] if options or check or isinstance(widget, FileInput) else ["input"]
    if mono:
        classes.append("input--mono")
    if given := widget.attrs.get("class"):
        classes.append(given)
    identity = bound.auto_id or bound.html_name
    help_text = help or bound.help_text
    described = [f"{identity}_help"] if help_text else []
    described += [f"{identity}_errors"] if bound.errors else []
    wiring: dict[str, Any] = {
        "class": " ".join(classes) or None,
        "placeholder": placeholder or None,
        "aria-describedby": " ".join(described) or None,
        "aria-invalid": "true" if bound.errors else None,
    }
    wiring |= {key.rstrip("_").replace("_", "-"): value for key, value in attrs.items()}
    wiring = {key: value for key, value in wiring.items() if value is not None}
    return {
        "field": bound,
        "widget": bound.as_widget(attrs=wiring),
        "identity": identity,
        "label": label or bound.label,
        "help_text": help_text,
        "kind": "check" if check else "options" if options else "plain",
        "select": isinstance(widget, Select) and not options,
        "optional": not bound.field.required and not check and not options,
        "wide": wide,
    }


@register.inclusion_tag("ui/components/form_errors.html")
def form_errors(form: Any) -> dict[str, Any]:
    """What is wrong with a form as a whole; nothing when nothing is."""
    return {"errors": form.non_field_errors()}
