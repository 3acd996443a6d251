"""What an administrator chooses before somebody is deleted."""

from __future__ import annotations

from typing import Any

from django import forms

from gitlab.accounts.models import User
from gitlab.ui.widgets import About, ExplainedRadios

_MOVE, _DELETE = "move", "delete"
_ABOUT = {
    _MOVE: About(
        "Projects move to the namespace of somebody else, images along, who owns the groups too.",
        "users",
    ),
    _DELETE: About("Projects go with all their images, and groups. Nothing comes back.", "trash-2"),
}


class DeletionForm(forms.Form):
    """What becomes of what they own."""

    becomes = forms.ChoiceField(
        label="What they own",
        choices=[(_MOVE, "Moves to somebody"), (_DELETE, "Is deleted")],
        initial=_MOVE,
        widget=ExplainedRadios(_ABOUT),
    )
    heir = forms.CharField(
        label="User name of who gets it",
        required=False,
        max_length=150,
        widget=forms.TextInput(
            {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )

    def __init__(self, *args: Any, owns: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not owns:
            self.fields.clear()

    def clean(self) -> dict[str, Any]:
        """What the service takes."""
        data = super().clean() or {}
        if data.get("becomes") == _DELETE:
            return {"deletes": True}
        if data.get("becomes") != _MOVE:
            return {}
        name = str(data.get("heir", "")).strip().removeprefix("@").lower()
        found = User.objects.filter(username=name).first()
        if found is None:
            self.add_error("heir", "There is nobody of this user name.")
        return {"heir": found}
