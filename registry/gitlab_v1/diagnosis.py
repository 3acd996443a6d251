"""``GET /gitlab/v1/diagnosis/``: whether this node accepts a token, and how it is set up.

For GitLab's ``doctor``. Everywhere else a refused token is a 401 without a reason; here the holder
of a token is told why it is not accepted. That says nothing of use to others: the signature is
checked before anything else, so that without the key the only answer is that the key is not
trusted.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import time
from typing import Any

from django.conf import settings
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from registry import auth
from registry.errors import Code, RegistryError
from registry.services import database
from registry.v2.base import refusal
from tokens.access import Access
from tokens.keys import UnusableKey
from tokens.verify import Claims, InvalidToken, verify

NODE = Access("registry", "node", ("*",))
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")


class DiagnosisView:
    """Any token is answered; what the node is like is for GitLab's own with ``registry:node:*``."""

    csrf_exempt = True

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """``accepted`` with the ``reason`` where it is not, and the node's details."""
        if request.method not in ("GET", "HEAD"):
            return refusal(RegistryError(Code.UNSUPPORTED, headers={"Allow": "GET, HEAD"}))
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        answer: dict[str, Any] = {"accepted": False, "time": time.time()}
        try:
            if scheme.lower() != "bearer":
                raise InvalidToken("no bearer token")
            claims = auth.admit(verify(text.strip()))
        except InvalidToken as error:
            answer["reason"] = str(error)
        except (OSError, UnusableKey):
            answer["reason"] = "the trusted certificates can't be read"
        else:
            answer["accepted"] = True
            answer |= _details(claims, request.GET.get("nonce", ""))
        response = JsonResponse(answer)
        response.headers["Cache-Control"] = "no-store"
        return response


def _details(claims: Claims, nonce: str) -> dict[str, Any]:
    if claims.subject is not None or not claims.grants(NODE):
        return {}
    return {
        "node": socket.gethostname(),
        "http_secret": _fingerprint(nonce),
        "max_blob_size": settings.REGISTRY_MAX_BLOB_SIZE,
        "pending_migrations": _pending(),
    }


def _fingerprint(nonce: str) -> str:
    """Two nodes with the same secret answer the same to one nonce; it says nothing to another."""
    if not _NONCE.fullmatch(nonce):
        return ""
    key: str = settings.REGISTRY_HTTP_SECRET
    text = f"berth.doctor.http_secret:{nonce}"
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def _pending() -> list[str]:
    """The migrations that this node's code knows and its database has not had."""
    executor = MigrationExecutor(connections[database.ALIAS])
    targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "registry"]
    return [migration.name for migration, _ in executor.migration_plan(targets)]
