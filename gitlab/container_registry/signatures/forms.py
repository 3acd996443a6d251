"""What people write of a public key."""

from __future__ import annotations

from django import forms

from gitlab.container_registry.signatures.keys import MAX_PEM
from gitlab.container_registry.signatures.models import MAX_IDENTITY, MAX_NAME

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


class SigningIdentityForm(forms.Form):
    """A name in a certificate, who vouches for it, and what both are called by."""

    name = forms.CharField(
        label="Name",
        max_length=MAX_NAME,
        help_text="By this it is called beside what it has signed: release, say.",
        widget=forms.TextInput(_PLAIN),
    )
    identity = forms.CharField(
        label="Identity",
        max_length=MAX_IDENTITY,
        help_text="The name in the certificate: an address of mail, or of a workflow, which may end"
        " in a *.",
        widget=forms.TextInput(
            {**_PLAIN, "placeholder": "https://github.com/acme/app/.github/workflows/release.yml@*"}
        ),
    )
    issuer = forms.CharField(
        label="Vouched for by",
        max_length=MAX_IDENTITY,
        help_text="Who has signed them in when they got the certificate.",
        widget=forms.TextInput(
            {**_PLAIN, "placeholder": "https://token.actions.githubusercontent.com"}
        ),
    )
