"""``/jwt/auth``: credentials and scopes come in, a short token goes out.

GET is docker's form (Basic credentials, parameters in the query), POST is OAuth2's (RFC 6749,
section 4.3: everything in a form). Cookies count for nothing here, since other sites can make a
browser send them. Source: Docker Registry v2 authentication, "Requesting a Token" and "OAuth2".
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import time
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from tokens import authorizer as authorizers
from tokens import rate_limits
from tokens.access import InvalidScope
from tokens.authorizer import LOGIN_AUTH_TYPE, Identity
from tokens.granting import expected, grant
from tokens.issue import SERVICE
from tokens.limiter import TooManyRequests

MAX_PASSWORD_LENGTH = 4096
_BAD_CREDENTIALS = (
    "HTTP Basic: Access denied. The provided name, password or token is incorrect, or the token"
    " has expired or been revoked."
)


class _Refusal(Exception):
    """An answer other than a token."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers

    def response(self) -> HttpResponse:
        """In the form of the registry's errors, which clients read here too."""
        body = {"errors": [{"code": self.code, "message": self.message}]}
        return JsonResponse(body, status=self.status, headers=self.headers)


@method_decorator(csrf_exempt, name="dispatch")
class TokenView(View):
    """The token endpoint."""

    http_method_names = ["get", "post", "options"]
    counts_requests_itself = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer, with every refusal in the registry's error form and never as HTML."""
        response: HttpResponse
        try:
            if request.method not in ("GET", "POST"):
                raise _Refusal(405, "UNSUPPORTED", "use GET or POST", Allow="GET, POST")
            response = self._answer(request)
        except _Refusal as refusal:
            response = refusal.response()
        except SuspiciousOperation:
            response = _Refusal(400, "UNSUPPORTED", "the request is malformed").response()
        response["Cache-Control"] = "no-store"
        response["Vary"] = "Authorization"
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        parameters = request.GET if request.method == "GET" else _form(request)
        if parameters.get("service") != SERVICE:
            raise _Refusal(404, "UNSUPPORTED", "the service is unknown here")
        authorizer = authorizers.current()
        credentials = _basic(request) or _password_grant(request, parameters)
        address = request.META.get("REMOTE_ADDR", "")
        # Before anything is asked: see `issue`.
        began = time.time()
        scopes = _scopes(parameters)
        try:
            with authorizer.expecting(expected(scopes)):
                identity = (
                    authorizer.authenticate(*credentials, address=address) if credentials else None
                )
                if settings.RATE_LIMITS:
                    _count(identity, credentials, address)
                return self._token(identity, scopes, authorizer, began)
        except TooManyRequests as error:
            raise _Refusal(
                429, "TOOMANYREQUESTS", str(error), **{"Retry-After": str(error.retry_after)}
            ) from error
        except authorizers.InsufficientCredentials as error:
            raise _Refusal(403, "DENIED", f"access forbidden{_of(error)}") from error
        except authorizers.LoginRefused as error:
            raise _Refusal(
                401,
                "UNAUTHORIZED",
                f"{_explained(error)}{_of(error)}",
                **{"WWW-Authenticate": 'Basic realm="GitLab", charset="UTF-8"'},
            ) from error
        except authorizers.AccessForbidden as error:
            raise _Refusal(403, "DENIED", str(error)) from error
        except authorizers.RegistryDisabled as error:
            raise _Refusal(404, "UNAVAILABLE", "registry not enabled") from error

    def _token(
        self,
        identity: Identity | None,
        scopes: list[str],
        authorizer: authorizers.Authorizer,
        began: float,
    ) -> HttpResponse:
        try:
            token, _ = grant(identity, scopes, authorizer, began)
        except InvalidScope as error:
            raise _Refusal(400, "UNSUPPORTED", f"malformed scope: {error}") from error
        issued_at = dt.datetime.fromtimestamp(token.issued_at, dt.UTC)
        answer: dict[str, Any] = {
            "token": token.text,
            "access_token": token.text,
            "expires_in": token.expires_in,
            "issued_at": issued_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return JsonResponse(answer)


def _explained(refused: authorizers.LoginRefused) -> str:
    """What a refused login is told: all the same, but for who has shown what is right."""
    return str(refused) if isinstance(refused, authorizers.ExplainedRefusal) else _BAD_CREDENTIALS


def _of(refused: authorizers.LoginRefused) -> str:
    """The id under which a refused login is kept, behind its message."""
    return f" (denial {refused.reference})" if refused.reference else ""


def _count(identity: Identity | None, credentials: tuple[str, str] | None, address: str) -> None:
    """Count the request for its user, and its token where that is what it logs in with.

    After the login, so that nobody uses up what is another's. Raises `TooManyRequests`.
    """
    is_token = identity is not None and identity.auth_type != LOGIN_AUTH_TYPE
    rate_limits.take(
        *rate_limits.keys_of(
            user=identity.subject if identity else "",
            token=credentials[1] if credentials and is_token else "",
            address=address,
        )
    )


def _form(request: HttpRequest) -> QueryDict:
    """The parameters of a POST. Only the OAuth2 form's own media type is read."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise _Refusal(400, "UNSUPPORTED", "POST takes application/x-www-form-urlencoded")
    length = request.META.get("CONTENT_LENGTH") or "0"
    limit: int = settings.TOKENS_MAX_FORM_SIZE
    if not length.isdecimal() or int(length) > limit:
        raise _Refusal(413, "UNSUPPORTED", f"a form of at most {limit} bytes is read")
    try:
        return QueryDict(request.read(int(length)).decode("ascii"))
    except UnicodeDecodeError as error:
        raise _Refusal(400, "UNSUPPORTED", "the form is not percent-encoded") from error


def _scopes(parameters: QueryDict) -> list[str]:
    values = parameters.getlist("scope")
    return [scope for value in values for scope in value.split(" ") if scope]


def _basic(request: HttpRequest) -> tuple[str, str] | None:
    """Name and password of the Authorization field; None where there are none to speak of.

    Some clients send ``Basic Og==``, an empty name with an empty password, to say "anonymous".
    """
    field = request.META.get("HTTP_AUTHORIZATION", "")
    if not field:
        return None
    refused = authorizers.InvalidCredentials()
    scheme, _, encoded = field.partition(" ")
    if scheme.lower() != "basic":
        raise _unauthorized() from refused
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise _unauthorized() from error
    name, separator, password = text.partition(":")
    if separator and not name and not password:
        return None
    return _plausible(name, password)


def _password_grant(request: HttpRequest, parameters: QueryDict) -> tuple[str, str] | None:
    if request.method != "POST":
        return None
    grant = parameters.get("grant_type")
    if grant != "password":
        raise _Refusal(
            400, "UNSUPPORTED", "grant_type is password; refresh tokens are not issued here"
        )
    name, password = parameters.get("username") or "", parameters.get("password") or ""
    if not name and not password:
        return None
    return _plausible(name, password)


def _plausible(name: str, password: str) -> tuple[str, str]:
    """Refuse at once what no account can have, so that nobody makes us hash a megabyte."""
    if not name or not password or len(password) > MAX_PASSWORD_LENGTH or "\0" in name + password:
        raise _unauthorized()
    return name, password


def _unauthorized() -> _Refusal:
    return _Refusal(
        401,
        "UNAUTHORIZED",
        _BAD_CREDENTIALS,
        **{"WWW-Authenticate": 'Basic realm="GitLab", charset="UTF-8"'},
    )
