"""What a link to the form of a new token proposes: nothing is made before somebody sends the form.

No more than access to images: a link of somebody else's proposes no key to everything.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

_SCOPES = ("read_registry", "write_registry")
_MAX_NAME = 100


def of(request: HttpRequest) -> dict[str, Any]:
    """The ``name`` and ``scopes`` of the address."""
    name = request.GET.get("name", "").replace("\0", "")[:_MAX_NAME]
    wanted = [scope for scope in request.GET.getlist("scopes") if scope in _SCOPES]
    return {**({"name": name} if name else {}), **({"scopes": wanted} if wanted else {})}
