"""Putting an announcement away, for one's own browser."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from gitlab.broadcast_messages.context_processors import COOKIE

_LONGEST = 400 * 24 * 3600
"""Seconds for which browsers keep a cookie at most."""


@require_POST
def dismiss(request: HttpRequest, pk: int) -> HttpResponse:
    """Remember it in a cookie, and go back to the page."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        back = "/"
    answer = HttpResponseRedirect(back)
    answer.set_cookie(
        COOKIE.format(pk),
        "true",
        max_age=_LONGEST,
        samesite="Lax",
        secure=request.is_secure(),
        httponly=True,
    )
    return answer
