"""The notifications of docker's registry: an envelope of events, posted after the fact.

Source: distribution's documentation, "Work with notifications".
"""

from __future__ import annotations

import json
import re
from typing import Any

from gitlab.container_registry.client.connection import USER_AGENT
from gitlab.container_registry.client.responses import moment
from gitlab.container_registry.pushes import Push
from tokens.access import is_repository_name

MEDIA_TYPE = "application/vnd.docker.distribution.events.v1+json"
MAX_EVENTS = 1000

_MANIFESTS = ("manifest", "image.index")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]{32,128}")
"""A digest by OCI's grammar: other text never becomes a part of a URL."""


class Malformed(ValueError):
    """The body is no envelope of events. The message says why."""


def read(envelope: bytes) -> list[Push]:
    """The pushes of manifests in `envelope`. Everything else that happened is ignored.

    So is what we did ourselves: deleting a tag there begins with a push. Raises `Malformed`.
    """
    try:
        document = json.loads(envelope)
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON") from error
    events = document.get("events") if isinstance(document, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise Malformed("the body has no list of events")
    if len(events) > MAX_EVENTS:
        raise Malformed(f"at most {MAX_EVENTS} events at once")
    return [push for push in map(_push, events) if push is not None]


def _push(event: dict[str, Any]) -> Push | None:
    if event.get("action") != "push":
        return None
    target, actor = _part(event, "target"), _part(event, "actor")
    path, at = target.get("repository"), moment(event.get("timestamp"))
    if not isinstance(path, str) or not is_repository_name(path) or at is None:
        raise Malformed("a push has a repository and a timestamp")
    is_manifest = any(word in str(target.get("mediaType", "")) for word in _MANIFESTS)
    if not is_manifest or _part(event, "request").get("useragent") == USER_AGENT:
        return None
    digest = str(target.get("digest") or "")
    return Push(
        path, at, str(actor.get("name") or "")[:255], digest if _DIGEST.fullmatch(digest) else ""
    )


def _part(event: dict[str, Any], name: str) -> dict[str, Any]:
    found = event.get(name)
    return found if isinstance(found, dict) else {}
