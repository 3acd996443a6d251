"""How allauth's flows ask for our rules. What it decides by itself it decides for others too."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any
from urllib.parse import urlsplit

import qrcode
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.utils import get_login_redirect_url
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from qrcode.image.svg import SvgPathFillImage

from gitlab.accounts import directories, services
from gitlab.accounts.factors import standing
from gitlab.accounts.models import User
from gitlab.refusals import Forbidden
from gitlab.ui.decorators import SIGNED_IN_AT
from gitlab.ui.toasts import add_toast

_ASKS_FACTOR = "allauth.mfa.stages.AuthenticateStage"
_SAID = {
    "mfa/messages/totp_activated.txt": "The authenticator app is set up. Other sessions have ended.",
    "mfa/messages/totp_deactivated.txt": "The authenticator app is removed.",
    "mfa/messages/webauthn_added.txt": "The passkey is added. Other sessions have ended.",
    "mfa/messages/webauthn_removed.txt": "The passkey is removed.",
    "account/messages/password_changed.txt": "Your password is changed. Sign in with it.",
}
"""What allauth wants to say → what is said. The rest stands on the page anyway."""


class AccountAdapter(DefaultAccountAdapter):
    """Signing in, and saying once more that it is oneself."""

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that our own middleware has found."""
        return str(request.META.get("REMOTE_ADDR") or "::")

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never by allauth's form: ours knows the rules of names."""
        return False

    def pre_login(
        self, request: HttpRequest, user: AbstractBaseUser, **more: Any
    ) -> HttpResponse | None:
        """Refuse who is blocked, or may not come back so, however they have signed in."""
        assert isinstance(user, User)
        if user.is_blocked or user.is_bot:
            add_toast(request, "Your account is blocked. Ask an administrator.", tone="bad")
            return redirect("accounts:sign_in")
        try:
            if not user.is_active:
                services.check_return(user)
        except Forbidden as error:
            add_toast(request, str(error), tone="bad")
            return redirect("accounts:sign_in")
        return None

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """They are in, by whatever it took; one who was deactivated is active again."""
        assert isinstance(user, User)
        if not user.is_active:
            services.reactivate(user)
        super().login(request, user)

    def get_login_stages(self) -> list[str]:
        """What comes between: no code for whom an identity provider has asked for one itself."""
        stages: list[str] = super().get_login_stages()
        ours = {_ASKS_FACTOR: "gitlab.accounts.factors.stages.AuthenticateStage"}
        return [ours.get(stage, stage) for stage in stages]

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **more: Any) -> HttpResponse:
        """On to where they were going, without a message that they are in."""
        return redirect(get_login_redirect_url(request, more.get("redirect_url")))

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Whether this is their own password.

        Raises `failed_logins.TooManyFailedLogins`, `directories.DirectoryAway`.
        """
        assert isinstance(user, User)
        return services.knows_own_password(user, password)

    def is_reauthentication_required(self, *, app: str, **more: Any) -> bool:
        """Always, but for who has just come in by a provider and has nothing else to say it by."""
        user = self.request.user
        assert isinstance(user, User)
        if user.has_usable_password() or standing.of(user).has_factor:
            return True
        if directories.label(user):
            return not self._has_said_password(user)
        age = time.time() - self.request.session.get(SIGNED_IN_AT, 0.0)
        return not 0 <= age < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT

    def _has_said_password(self, user: User) -> bool:
        """Whether somebody has said their directory's password lately.

        allauth counts that for whom it knows a password of alone.
        """
        since = time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        return any(
            said.get("method") == "password" and said.get("reauthenticated") and said["at"] > since
            for said in get_authentication_records(self.request, user)
        )

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """allauth's; where there is none, the page that says what to do."""
        page = {"id": "reauthenticate", "description": "", "url": reverse("account_reauthenticate")}
        return super().get_reauthentication_methods(user) or [page]

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        message_context: dict[str, Any] | None = None,
        extra_tags: str = "",
        message: str | None = None,
    ) -> None:
        """A toast, in our words."""
        text = message or _SAID.get(message_template or "", "")
        if text:
            add_toast(request, text, tone="bad" if level >= messages.ERROR else "good")

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """By our own service: sessions end, the record says so. Raises `Forbidden`, `Invalid`."""
        assert isinstance(user, User)
        services.reset_password(user, password)

    def send_notification_mail(self, *args: Any, **more: Any) -> None:
        """The record says what happened."""


class FactorAdapter(DefaultMFAAdapter):
    """Second factors."""

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        """How the app calls the account."""
        return user.get_username()

    def get_totp_issuer(self) -> str:
        """How the app calls the installation: by the name that people know it by."""
        return f"Berth {urlsplit(settings.EXTERNAL_URL).netloc}"

    def build_totp_svg(self, url: str) -> str:
        """The picture for the app's camera, on white, whatever the page's theme is."""
        found = qrcode.make(url, image_factory=SvgPathFillImage, border=4)
        return found.to_string(encoding="unicode")

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Whose passkeys they are: a browser gives them to this host alone."""
        return {"id": urlsplit(settings.EXTERNAL_URL).hostname or "", "name": "Berth"}

    def get_public_key_credential_user_entity(self, user: AbstractBaseUser) -> dict[str, Any]:
        """How a device calls the account."""
        entity = super().get_public_key_credential_user_entity(user)
        return entity | {"name": user.get_username()}

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Any) -> str:  # noqa: A002
        """What stands in the field before somebody types a name."""
        return ""

    def encrypt(self, text: str) -> str:
        """Secrets of factors as they are stored: a copy of the database alone gives none."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The secret again."""
        return _cipher().decrypt(encrypted_text.encode()).decode()


def _cipher() -> Fernet:
    """Of this installation's secret key, which the nodes share and a backup holds."""
    digest = hashlib.sha256(b"berth: second factors\0" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
