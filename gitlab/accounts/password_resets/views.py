"""The pages for who has forgotten a password. Without mail there are none."""

from __future__ import annotations

from typing import Any

from allauth.account.views import PasswordResetFromKeyView, PasswordResetView
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from gitlab.accounts import failed_logins
from gitlab.accounts.password_resets.forms import AskForm, NewPasswordForm
from gitlab.accounts.views import waiting
from gitlab.ui.toasts import add_toast
from tokens.limiter import TooManyRequests


class Ask(PasswordResetView):
    """Asks for the address. The answer is the same for one that nobody has."""

    form_class = AskForm
    success_url = reverse_lazy("accounts:sign_in")

    @method_decorator(never_cache)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """404 where no mail is sent."""
        if not settings.MAIL_ENABLED:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        """Send a link, a few times an hour: more change nothing and say the same."""
        address = self.request.META.get("REMOTE_ADDR", "")
        try:
            if not failed_logins.may_send_link(form.cleaned_data["email"], address=address):
                form.users = []
        except TooManyRequests as error:
            form.add_error(None, str(error))
            return waiting(self.form_invalid(form), error.retry_after)
        response = super().form_valid(form)
        add_toast(self.request, "If somebody has this address, a link is on its way.", tone="info")
        return response


class Reset(PasswordResetFromKeyView):
    """A new password, for who has come by the link. It counts once, for an hour."""

    form_class = NewPasswordForm
    success_url = reverse_lazy("accounts:sign_in")

    @method_decorator(never_cache)
    @method_decorator(sensitive_post_parameters())
    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """allauth's: the key moves from the address into the session first."""
        return super().dispatch(*args, **kwargs)
