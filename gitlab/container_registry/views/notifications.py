"""Where a registry that is not ours says what has happened there."""

from __future__ import annotations

import hmac
import logging

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from gitlab.container_registry import notifications, pushes
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.notifications import Malformed

log = logging.getLogger(__name__)


def _refusal(status: int, message: str, **headers: str) -> JsonResponse:
    return JsonResponse({"message": f"{status} {message}"}, status=status, headers=headers)


@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> JsonResponse:
    """``POST /api/v4/container_registry_event/events``, with the shared secret as Authorization.

    Twice is as once. A registry repeats what is not answered with 2xx, for ever and in order: so
    what is about no project of ours is accepted and ignored.
    """
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    secret: str = settings.CONTAINER_REGISTRY_EVENTS_SECRET
    if not hmac.compare_digest(given.encode(), secret.encode()):
        return _refusal(401, "Unauthorized")
    try:
        pushed = notifications.read(request.body)
        noted = pushes.note(pushed, clients.for_pages()) if pushed else []
    except RequestDataTooBig:
        return _refusal(413, "Content Too Large")
    except Malformed as error:
        return _refusal(400, f"Bad Request: {error}")
    except (RegistryUnavailable, RegistryRefused) as error:
        log.warning("a notification waits for the registry: %s", error)
        return _refusal(503, "Service Unavailable", **{"Retry-After": "5"})
    return JsonResponse({"noted": noted})
