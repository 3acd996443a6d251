"""What people type about groups, projects and members. The rules are the services'."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils import timezone

from gitlab.namespaces import queries
from gitlab.namespaces.models import AccessLevel, Namespace, RegistryAccess, Visibility
from gitlab.namespaces.paths import slug
from gitlab.principals import Person
from gitlab.ui.widgets import About, ExplainedRadios

_ORDER = [Visibility.PRIVATE, Visibility.INTERNAL, Visibility.PUBLIC]
_ICONS = {"private": "lock", "internal": "shield", "public": "globe"}
_WHO_SEES = {
    "project": {
        "private": "Only members see it and its images.",
        "internal": "Everybody who is signed in sees it and may pull.",
        "public": "Everybody sees it and may pull, without signing in.",
    },
    "group": {
        "private": "Only members see it and what is in it.",
        "internal": "Everybody who is signed in sees it. Projects in it decide for themselves.",
        "public": "Everybody sees it. Projects in it decide for themselves.",
    },
}
_ROLES = {
    "10": About("Sees the project, not its images unless others see them too.", "eye"),
    "20": About("Pulls images.", "download"),
    "30": About("Pushes images and deletes tags; in a group, makes projects.", "upload"),
    "40": About("Deletes images, adds members to projects, changes their settings.", "settings"),
    "50": About("Everything, up to deleting it.", "shield"),
}
_REGISTRY = {
    "enabled": About("Whoever sees the project may pull. Developers push.", "container"),
    "private": About("Only members may pull, even where others see the project.", "lock"),
    "disabled": About("Nobody pushes, pulls or sees images. What is there stays.", "ban"),
}


def _visibility(kind: str, limit: Namespace | None = None) -> forms.ChoiceField:
    """Radio cards; what a group above does not allow can't be chosen, and says why."""
    most = _ORDER.index(Visibility(limit.visibility)) if limit and limit.is_group else len(_ORDER)
    about = {
        value: About(
            text,
            _ICONS[value],
            f"Not possible: the group {limit.full_path} is {limit.visibility}."
            if limit and index > most
            else "",
        )
        for index, (value, text) in enumerate(_WHO_SEES[kind].items())
    }
    return forms.ChoiceField(
        label="Who may see it",
        choices=Visibility.choices,
        initial=Visibility.PRIVATE,
        widget=ExplainedRadios(about),
    )


class _NewForm(forms.Form):
    """Name and path of a new group or project; an empty path is made of the name."""

    name = forms.CharField(
        max_length=255,
        widget=forms.TextInput({"autofocus": True, "autocomplete": "off"}),
    )
    path = forms.CharField(
        max_length=255,
        required=False,
        widget=forms.TextInput(
            {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    description = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea({"rows": 2})
    )

    def clean(self) -> dict[str, Any]:
        """The path, where none was typed."""
        data = super().clean() or {}
        if data.get("name") and not data.get("path"):
            data["path"] = slug(data["name"])
            if not data["path"]:
                self.add_error("path", "Nothing of the name can stand in a path: type one.")
        return data


class _NamespaceChoice(forms.ChoiceField):
    """One of some namespaces, by full path; cleans to the namespace, or None for "".

    `top` is what "" is called; `also` are further choices, which clean to None too.
    """

    def __init__(
        self,
        namespaces: Sequence[Namespace],
        top: str = "",
        also: Sequence[tuple[str, str]] = (),
        **kwargs: Any,
    ) -> None:
        self.namespaces = {routable.full_path: routable for routable in namespaces}
        choices = [*also, *((path, path) for path in self.namespaces)]
        super().__init__(choices=[("", top), *choices] if top else choices, **kwargs)

    def clean(self, value: Any) -> Any:
        """The namespace instead of its path."""
        return self.namespaces.get(super().clean(value))


class ProjectForm(_NewForm):
    """A new project."""

    def __init__(self, namespaces: Sequence[Namespace], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["namespace"] = _NamespaceChoice(namespaces, label="Group or namespace")
        self.fields["visibility"] = _visibility("project")


class GroupForm(_NewForm):
    """A new group, at the top or below another."""

    def __init__(
        self, namespaces: Sequence[Namespace], *args: Any, top: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["parent"] = _NamespaceChoice(
            namespaces, "None: at the top" if top else "", label="Parent group", required=not top
        )
        self.fields["visibility"] = _visibility("group")


class ProjectSettingsForm(forms.Form):
    """What can be changed of a project."""

    name = forms.CharField(max_length=255)
    description = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea({"rows": 3})
    )
    registry_access = forms.ChoiceField(
        label="Who may use the registry",
        choices=RegistryAccess.choices,
        widget=ExplainedRadios(_REGISTRY),
    )
    keep_untagged = forms.BooleanField(
        label="Keep images without a tag",
        required=False,
        help_text="For those who pull by digest. Else what no tag points at any more is removed after"
        " the undo window.",
    )

    def __init__(self, namespace: Namespace, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["visibility"] = _visibility("project", namespace)


class GroupSettingsForm(forms.Form):
    """What can be changed of a group."""

    name = forms.CharField(max_length=255)
    description = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea({"rows": 3})
    )
    require_two_factor_authentication = forms.BooleanField(
        label="Require two factors",
        required=False,
        help_text="Of all members of the group, its subgroups and projects.",
    )
    two_factor_grace_period = forms.IntegerField(
        label="Hours to set one up",
        min_value=0,
        required=False,
        help_text="From when somebody is first told. 0 is at once.",
    )

    def __init__(self, parent: Namespace | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["visibility"] = _visibility("group", parent)


class _Levels(forms.TypedChoiceField):
    """The roles up to the reader's own."""

    def __init__(self, highest: int, **kwargs: Any) -> None:
        choices = [(level.value, level.label) for level in AccessLevel if level <= highest]
        super().__init__(choices=choices, coerce=int, label="Role", **kwargs)


class MemberForm(forms.Form):
    """A role, and until when."""

    def __init__(self, highest: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["access_level"] = _Levels(highest, widget=ExplainedRadios(_ROLES))
        tomorrow = timezone.now().date() + dt.timedelta(days=1)
        self.fields["expires_at"] = forms.DateField(
            label="Ends on",
            required=False,
            widget=forms.DateInput({"type": "date", "min": tomorrow.isoformat()}, "%Y-%m-%d"),
        )


class NewMemberForm(MemberForm):
    """Who, with which role, and until when."""

    user = forms.CharField(
        label="User name or name",
        max_length=255,
        widget=forms.TextInput(
            {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )

    def __init__(self, by: Person, highest: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(highest, *args, **kwargs)
        self._by = by
        self.fields["access_level"] = _Levels(highest)
        if by.is_superuser:
            self.fields["user"].label = "User name, name or mail address"

    def clean_user(self) -> Person:
        """The one person of this user name or name; for administrators also of this address."""
        text = str(self.cleaned_data["user"]).strip()
        found = queries.people_found(self._by, text)
        if not found:
            raise forms.ValidationError(f"There is nobody called “{text.removeprefix('@')}” here.")
        if len(found) > 1:
            raise forms.ValidationError(f"Several are called “{text}”: give the user name.")
        return found[0]


class GroupLinkForm(MemberForm):
    """Which group is invited, with which highest role, and until when."""

    group = forms.CharField(
        label="Group",
        max_length=255,
        help_text="Its full path. Who is a direct member of it gets their role there, but no higher"
        " than the one below.",
        widget=forms.TextInput(
            {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    field_order = ["group", "access_level", "expires_at"]

    def __init__(self, by: Person, highest: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(highest, *args, **kwargs)
        self._by = by
        self.fields["access_level"].label = "Highest role"
        self.order_fields(self.field_order)

    def clean_group(self) -> Namespace:
        """A group that they may see."""
        path = str(self.cleaned_data["group"]).strip().strip("/").replace("\0", "").lower()
        found = queries.groups_visible_to(self._by).filter(full_path=path).first()
        if found is None:
            raise forms.ValidationError(f"There is no group “{path}” here.")
        return found


class NewPathForm(forms.Form):
    """What a project or group shall be called where it is."""

    path = forms.CharField(
        label="New path",
        max_length=255,
        widget=forms.TextInput(
            {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )


class TransferForm(forms.Form):
    """Where a project shall be."""

    def __init__(self, namespaces: Sequence[Namespace], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["namespace"] = _NamespaceChoice(namespaces, "Choose…", label="New namespace")

    def clean_namespace(self) -> Namespace:
        """One has to be chosen."""
        found: Namespace | None = self.cleaned_data["namespace"]
        if found is None:
            raise forms.ValidationError("Choose a group or namespace.")
        return found


class GroupTransferForm(forms.Form):
    """Where a group shall be: in another, or at the top. One of them has to be chosen."""

    TOP = "/"
    """No path begins so. It cleans to None."""

    def __init__(
        self, groups: Sequence[Namespace], *args: Any, top: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        also = [(self.TOP, "At the top")] if top else []
        self.fields["parent"] = _NamespaceChoice(groups, "Choose…", also, label="New parent group")


class TypedPathForm(forms.Form):
    """The path of what is to be deleted, typed by hand."""

    path = forms.CharField(
        max_length=255,
        widget=forms.TextInput(
            {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )

    def __init__(self, expected: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected

    def clean_path(self) -> str:
        """Exactly the path, with no harm done by a space or a capital."""
        typed = str(self.cleaned_data["path"]).strip().lower()
        if typed != self.expected:
            raise forms.ValidationError("This is not the path.")
        return typed
