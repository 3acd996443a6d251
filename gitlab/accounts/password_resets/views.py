"""The pages for who has forgotten a password. Without mail there are none."""

from __future__ import annotations

from typing import Any

from allauth.account.views import PasswordResetFromKeyView
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from gitlab.accounts import failed_logins
from gitlab.accounts.password_resets import services
from gitlab.accounts.password_resets.forms import AskForm, NewPasswordForm
from gitlab.accounts.views import waiting
from gitlab.ui.toasts import add_toast
from tokens.limiter import TooManyRequests


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """Asks for the address. The answer is the same for one that nobody has. 404 without mail."""
    if not settings.MAIL_ENABLED:
        raise Http404
    form = AskForm(request.POST or None)
    wait = 0
    if request.method == "POST" and form.is_valid():
        try:
            _ask(form.cleaned_data["email"].lower(), request.META.get("REMOTE_ADDR", ""))
        except TooManyRequests as error:
            form.add_error(None, str(error))
            wait = error.retry_after
        else:
            add_toast(request, "If somebody has this address, a link is on its way.", tone="info")
            return redirect("accounts:sign_in")
    return waiting(render(request, "account/password_reset.html", {"form": form}), wait)


def _ask(email: str, address: str) -> None:
    """A few times an hour; more change nothing and say the same. Raises `TooManyRequests`."""
    if failed_logins.may_send_link(email, address=address):
        services.ask(email)


class Reset(PasswordResetFromKeyView):
    """A new password, for who has come by the link. It counts once, for an hour."""

    form_class = NewPasswordForm
    success_url = reverse_lazy("accounts:sign_in")

    @method_decorator(never_cache)
    @method_decorator(sensitive_post_parameters())
    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """allauth's: the key moves from the address into the session first."""
        return super().dispatch(*args, **kwargs)
