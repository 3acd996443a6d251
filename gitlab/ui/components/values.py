"""How a value is shown: names, digests, sizes, times, people, states."""

import functools
import math
import re
from datetime import UTC, date, datetime
from typing import Any

from django.templatetags.static import static
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from gitlab.ui.components.library import register

KIBIBYTE, MEBIBYTE = 1024, 1024 * 1024
NOW = 45  # seconds that are "just now"
UNITS = (  # a unit, its seconds, how many of it make the next one
    ("minute", 60, 60),
    ("hour", 3_600, 24),
    ("day", 86_400, 30),
    ("month", 2_629_800, 12),
    ("year", 31_557_600, math.inf),
)


SHORT_DIGEST = 12
AVATAR_TONES = ("accent", "info", "good", "warn", "plain")
TONE_ICONS = {
    "good": "circle-check",
    "warn": "triangle-alert",
    "bad": "circle-alert",
    "info": "info",
}


@register.inclusion_tag("ui/components/mark.html")
def mark(size: str = "") -> dict[str, Any]:
    """The mark of Berth: a hull in its berth, seen from above."""
    return {"size": size}


# What stands in each row of a table is written out here: as templates of their own these made up
# nine tenths of what a page of fifty rows cost.


@functools.lru_cache(maxsize=512)
def _drawn(name: str, label: str, size: str) -> SafeString:
    of_size = format_html(" icon--{}", size) if size else ""
    role = format_html('role="img" aria-label="{}"', label) if label else 'aria-hidden="true"'
    return format_html(
        '<svg class="icon{}" {} focusable="false"><use href="{}#{}"/></svg>',
        of_size,
        mark_safe(role),  # noqa: S308  (escaped)
        static("ui/icons.svg"),
        name,
    )


def drawing(name: str, label: str = "", size: str = "") -> SafeString:
    """The icon, for other components."""
    return _drawn(str(name), str(label), str(size))


@register.simple_tag
def icon(name: str, label: str = "", size: str = "") -> SafeString:
    """An icon of the sprite. Decorative unless it has a ``label``. Size: s, l or nothing."""
    return drawing(name, label, size)


@register.simple_tag
def badge(label: str | int, tone: str = "", icon: str = "", title: str = "") -> SafeString:
    """A small label. Tone: good, warn, bad, info, accent or nothing."""
    return format_html(
        '<span class="badge{}"{}>{}{}</span>',
        format_html(" badge--{}", tone) if tone else "",
        format_html(' title="{}"', title) if title else "",
        drawing(icon) if icon else "",
        label,
    )


@register.filter
def breaks(text: str) -> SafeString:
    """A path or a mail's address that may break after its slashes and its @, before anywhere."""
    return mark_safe(escape(text).replace("/", "/<wbr>").replace("@", "@<wbr>"))  # noqa: S308  (escaped)


def copy_button(value: object, what: object = "", *, words: bool = False) -> SafeString:
    """What copies `value` when pressed; `what` it is, for who can't see. ``words`` beside icons."""
    return format_html(
        '<button type="button" class="copy__button" data-copy="{}" aria-label="Copy{}"'
        ' title="Copy"><span class="copy__todo">{}{}</span>'
        '<span class="copy__done">{}{}</span></button>',
        value,
        format_html(": {}", what) if what else "",
        drawing("copy", size="s"),
        mark_safe("<span>Copy</span>") if words else "",
        drawing("check", size="s"),
        mark_safe("<span>Copied</span>") if words else "",
    )


@register.simple_tag
def digest(value: str, copy: bool = True) -> SafeString:
    """A digest: twelve characters to read, the whole on hover and when copied."""
    return format_html(
        '<span class="copy copy--inline digest"><code title="{}">{}</code>{}</span>',
        value,
        value.partition(":")[2][:SHORT_DIGEST] or value,
        copy_button(value, "digest") if copy else "",
    )


@register.filter
def mebibytes(count: int) -> str:
    """``228590133`` as ``218.0 MiB``: one unit, so that a column compares by eye.

    What is less than a tenth of it is told in KiB or in bytes, so that no two look alike.
    """
    if 0 < count < KIBIBYTE:
        return f"{count} B"
    if 0 < count < MEBIBYTE / 20:
        return f"{count / KIBIBYTE:,.1f} KiB"
    return f"{count / MEBIBYTE:,.1f} MiB"


@register.simple_tag
def size(count: int | None) -> SafeString:
    """Bytes as MiB, the exact number on hover. In a table its cell has the class ``num``."""
    text, exact = "–", "not known"
    if count is not None:
        text, exact = mebibytes(count), f"{count:,} byte" + ("" if count == 1 else "s")
    return format_html('<span class="size" title="{}">{}</span>', exact, text)


@register.filter
def relative(moment: datetime, now: datetime | None = None) -> str:
    """A moment as people say it: ``3 minutes ago``, ``in 2 days``."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if abs(seconds) < NOW:
        return "just now" if seconds >= 0 else "in a moment"
    words = next(
        f"{count} {unit}" + ("" if count == 1 else "s")
        for unit, length, limit in UNITS
        if (count := max(1, round(abs(seconds) / length))) < limit
    )
    return f"{words} ago" if seconds >= 0 else f"in {words}"


@register.simple_tag
def time(moment: datetime | date | None, none: str = "never") -> SafeString:
    """A moment relative to now, the exact one (UTC) on hover."""
    if moment is None or moment == "":
        return format_html('<span class="muted">{}</span>', none)
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return format_html(
        '<time class="time" datetime="{}" title="{}">{}</time>',
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        relative(moment),
    )


@register.inclusion_tag("ui/components/meter.html")
def meter(
    value: float, maximum: float, label: str, text: str = "", tone: str = "", warn_at: float = 0
) -> dict[str, Any]:
    """How full something is. ``warn_at`` 0.8: from 80 % on it warns, and at the end it is bad."""
    share = min(max(value / maximum, 0.0), 1.0) if maximum else 0.0
    if warn_at and not tone:
        tone = "bad" if share >= 1 else "warn" if share >= warn_at else ""
    return {
        "value": value,
        "maximum": maximum,
        "label": label,
        "text": text or f"{share:.0%}",
        "tone": tone,
        "percent": f"{share * 100:.2f}",
    }


@register.inclusion_tag("ui/components/avatar.html")
def avatar(name: str, size: str = "", square: bool = False) -> dict[str, Any]:
    """The initials of a person, or with ``square`` of a group or project. Decorative."""
    words = re.findall(r"[^\W_]+", str(name)) or ["?"]
    initials = words[0][0] + (words[1][0] if len(words) > 1 else words[0][1:2])
    tone = AVATAR_TONES[sum(map(ord, str(name))) % len(AVATAR_TONES)]
    return {"initials": initials, "tone": tone, "size": size, "square": square}
