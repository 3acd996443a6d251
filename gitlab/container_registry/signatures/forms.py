"""What people write of a public key."""

from __future__ import annotations

from django import forms

from gitlab.container_registry.signatures.keys import MAX_PEM
from gitlab.container_registry.signatures.models import MAX_NAME

_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class PublicKeyForm(forms.Form):
    """A key and what it is called by."""

    name = forms.CharField(
        label="Name",
        max_length=MAX_NAME,
        help_text="By this it is called beside what it has signed: release, say.",
        widget=forms.TextInput(_PLAIN),
    )
    key = forms.CharField(
        label="Public key",
        max_length=MAX_PEM,
        help_text="PEM, as cosign writes it to cosign.pub: ECDSA, RSA or Ed25519.",
        widget=forms.Textarea({**_PLAIN, "rows": 5, "placeholder": "-----BEGIN PUBLIC KEY-----"}),
    )
