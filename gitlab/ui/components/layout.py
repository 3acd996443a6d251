"""What arranges a page: its head, cards, notes, tabs, the empty state."""

from collections.abc import Iterable, Mapping
from typing import Any

from gitlab.ui.components.library import block, register
from gitlab.ui.components.values import TONE_ICONS


@register.simple_block_tag
def page_head(content: str, title: str, mono: bool = False) -> str:
    """The title of a page and a line about it. Slot: actions (buttons), badges."""
    return block("page_head", content, title=title, mono=mono)


@register.simple_block_tag
def note(content: str, tone: str = "info", title: str = "") -> str:
    """A sentence that stands in the page. Slot: actions."""
    return block("note", content, tone=tone, title=title, icon=TONE_ICONS.get(tone, "info"))


@register.simple_block_tag
def card(
    content: str,
    title: str = "",
    description: str = "",
    icon: str = "",
    flush: bool = False,
    id: str = "",
) -> str:
    """A box with a title. Slots: actions, foot. ``flush``: the body brings its own edges."""
    return block(
        "card", content, title=title, description=description, icon=icon, flush=flush, id=id
    )


@register.inclusion_tag("ui/components/figure.html")
def figure(name: str, value: Any, note: str = "") -> dict[str, Any]:
    """One number with its name."""
    return {"name": name, "value": value, "note": note}


@register.simple_block_tag
def empty(content: str, title: str, icon: str = "container", text: str = "") -> str:
    """A page where nothing stands yet: what would, and in the body how it gets there.

    Slot: actions.
    """
    return block("empty", content, title=title, icon=icon, text=text)


@register.inclusion_tag("ui/components/tabs.html")
def tabs(items: Iterable[Mapping[str, Any]], label: str = "Sections") -> dict[str, Any]:
    """Pages beside each other: items with label, url, active, and a count if it has one."""
    return {"items": items, "label": label}
