"""The component page, the theme switch, and the error handlers of the project."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from .components.charts import Point
from .components.treemaps import Area
from .context_processors import THEME_COOKIE, THEMES, theme_of
from .toasts import Toast
from .widgets import About, ExplainedRadios

YEAR = 365 * 24 * 60 * 60
_FOR_PROGRAMS = ("/api/", "/jwt/", "/v2/", "/gitlab/v1/")
"""What no browser asks for: whoever reads an error there reads JSON."""

_TOLD = {
    400: ("UNSUPPORTED", "the request is malformed"),
    403: ("DENIED", "requested access to the resource is denied"),
    404: ("UNSUPPORTED", "there is nothing at this address"),
    429: ("TOOMANYREQUESTS", "too many requests"),
    500: ("UNAVAILABLE", "the server has failed, and logged why"),
    503: ("UNAVAILABLE", "the database is not available"),
}
STATIC = Path(__file__).parent / "static" / "ui"


@require_POST
def switch_theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or auto in a cookie and go back to the page."""
    chosen = request.POST.get("theme", "auto")
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        back = "/"
    response = HttpResponseRedirect(back)
    response.set_cookie(
        THEME_COOKIE,
        chosen if chosen in THEMES else "auto",
        max_age=YEAR,
        samesite="Lax",
        secure=request.is_secure(),
        httponly=True,
    )
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400."""
    return _error(request, 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403. The text of ``PermissionDenied("…")`` is the reason that the reader sees."""
    return _error(request, 403, reason=str(exception))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW: the form was too old, or came from elsewhere."""
    return _error(request, 403, template="403_csrf.html")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404. Says the same whether a page does not exist or is not for this reader."""
    return _error(request, 404)


def too_many_requests(request: HttpRequest, retry_after: int) -> HttpResponse:
    """429, with how long to wait in seconds."""
    return _error(request, 429, reason=f"Try again in {retry_after} seconds.")


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500. Needs neither the database nor a session, for these may be what failed.

    A database that can't be reached or takes too long is 503, in the form that programs know.
    """
    if not isinstance(sys.exception(), OperationalError | InterfaceError | InternalError):
        return _error(request, 500)
    response = _error(request, 503)
    response["Retry-After"] = "10"
    return response


def _error(
    request: HttpRequest, status: int, *, reason: str = "", template: str = ""
) -> HttpResponse:
    if request.path.startswith(_FOR_PROGRAMS):
        code, message = _TOLD[status]
        errors = [{"code": code, "message": message}]
        return JsonResponse({"message": message, "errors": errors}, status=status)
    context = {
        "request_id": getattr(request, "request_id", ""),
        "theme": theme_of(request),
        "reason": reason,
    }
    return HttpResponse(render_to_string(template or f"{status}.html", context), status=status)


@require_GET
def components(request: HttpRequest) -> HttpResponse:
    """Every component in both themes; in development only."""
    if not settings.DEBUG:
        raise Http404
    return render(request, "ui/components.html", _samples())


class _SampleForm(forms.Form):
    name = forms.CharField(help_text="As docker will spell it: lower case, digits, - and _.")
    description = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    visibility = forms.ChoiceField(
        choices=[("private", "Private"), ("internal", "Internal"), ("public", "Public")],
        widget=ExplainedRadios(
            {
                "private": About("Only members see it.", "lock"),
                "internal": About("Everybody who is signed in sees it.", "shield"),
                "public": About("Everybody sees it.", "globe", "Not possible in this group."),
            }
        ),
        initial="private",
    )
    keep = forms.ChoiceField(
        label="Tags to keep", choices=[("5", "5 tags an image"), ("10", "10 tags an image")]
    )
    enabled = forms.BooleanField(
        label="Clean up by itself", help_text="Runs every night.", required=False, initial=True
    )
    pattern = forms.CharField(label="Tags to remove", help_text="A regular expression (RE2).")


def _samples() -> dict[str, Any]:
    now = datetime.now(UTC)
    panes = []
    for chosen in ("light", "dark"):
        form = _SampleForm(
            {"name": "web", "keep": "10", "visibility": "private", "enabled": "on"},
            auto_id=f"{chosen}_%s",
        )
        form.is_valid()
        panes.append({"theme": chosen, "form": form})
    rows = [
        {
            "name": name,
            "digest": f"sha256:{index + 3:02x}7e94ab1c{'5d' * 27}",
            "size": size,
            "pushed": now - timedelta(minutes=minutes),
            "protected": index == 1,
        }
        for index, (name, size, minutes) in enumerate(
            [
                ("latest", 228_590_133, 4),
                ("v2.14.0", 228_590_133, 4),
                ("v2.13.9", 226_110_872, 2_900),
                ("nightly-20251123", 231_887_004, 1_300),
            ]
        )
    ]
    return {
        "panes": panes,
        "colours": _names("tokens.css", r"^  --([\w-]+): light-dark"),
        "icons": _names("icons.svg", r'symbol id="([\w-]+)"'),
        "platforms": [("", "All platforms"), ("linux/amd64", "linux/amd64")],
        "rows": rows,
        "now": now,
        "soon": now + timedelta(days=3, hours=2),
        "areas": [
            Area("tools", 900, "900.0 MiB", "#tools"),
            Area("web", 500, "500.0 MiB", "#web"),
            Area("worker", 230, "230.0 MiB", "#worker"),
            Area("12 others", 120, "120.0 MiB", kind="others"),
            Area("shared", 400, "400.0 MiB", kind="shared"),
        ],
        "points": [
            ((now - timedelta(days=30 - day)).date(), size, f"{size} MiB")
            for day, size in enumerate((410, 430, 470, 465, 520, 610, 600, 655))
        ],
        "digest": rows[0]["digest"],
        "sort": "-pushed",
        "tabs": [
            {"label": "Tags", "url": "#tags", "active": True, "count": 128},
            {"label": "Untagged", "url": "#untagged", "count": 3},
            {"label": "Settings", "url": "#settings"},
        ],
        "sample_points": [
            Point(f"{day} Nov", count, str(count))
            for day, count in enumerate([4, 9, 0, 12, 31, 26, 3, 1, 17, 22, 40, 38, 6, 2], 16)
        ],
        "numbers": [("Tags", "3"), ("Frees", "218.0 MiB"), ("Undo until", "Mon 14:00 UTC")],
        "sample_toasts": [
            Toast("3 tags of web deleted.", "good", "#undo"),
            Toast("The registry does not answer; the list may be old.", "warn"),
        ],
    }


def _names(file: str, pattern: str) -> list[str]:
    return re.findall(pattern, (STATIC / file).read_text(), re.MULTILINE)
