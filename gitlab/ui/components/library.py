"""The library that every component registers with, and how a body is split from its slots."""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from django import template
from django.template import Context
from django.template.loader import render_to_string
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
# Slots travel in the body between two comments that nobody outside this run can write.
_NONCE = secrets.token_hex(8)
_SLOT = re.compile(rf"<!--slot:{_NONCE}:(\w+)-->(.*?)<!--/slot:{_NONCE}-->", re.DOTALL)


def slots(content: str) -> tuple[SafeString, dict[str, SafeString]]:
    """Split a rendered body from the slots in it."""
    found: dict[str, SafeString] = {}

    def take(match: re.Match[str]) -> str:
        found[match[1]] = mark_safe(match[2])  # noqa: S308  (a rendered template)
        return ""

    body = _SLOT.sub(take, content).strip()
    return mark_safe(body), found  # noqa: S308


def block(component: str, content: str, **values: Any) -> str:
    """A component that has a body: its template with the body, the slots and `values`."""
    body, filled = slots(content)
    return render_to_string(f"ui/components/{component}.html", {"body": body, **filled, **values})


def attributes(attrs: Mapping[str, Any]) -> SafeString:
    """``hx_get="…"`` as `` hx-get="…"``; a false or empty one is left out, a true one has no value.

    Their names are ours. As Django's ``flatatt``, in a fifth of the time: a page has hundreds.
    """
    valued, bare = [], []
    for key, value in attrs.items():
        if value in (None, False, ""):
            continue
        name = key.rstrip("_").replace("_", "-")
        if value is True:
            bare.append(f" {name}")
        else:
            valued.append(f' {name}="{conditional_escape(value)}"')
    return mark_safe("".join([*sorted(valued), *sorted(bare)]))  # noqa: S308  (escaped above)


def csrf(context: Context) -> Any:
    """The token of forms, where the page has one."""
    return context.get("csrf_token", "")


def csrf_field(context: Context) -> SafeString:
    """The hidden field of a form, as Django's own tag writes it."""
    token = csrf(context)
    if not token or token == "NOTPROVIDED":  # noqa: S105  (Django's word for none)
        return SafeString("")
    return format_html('<input type="hidden" name="csrfmiddlewaretoken" value="{}">', token)


@register.simple_block_tag
def slot(content: str, name: str) -> SafeString:
    """A part of the nearest block component that stands elsewhere than its body."""
    return mark_safe(f"<!--slot:{_NONCE}:{name}-->{content}<!--/slot:{_NONCE}-->")  # noqa: S308
