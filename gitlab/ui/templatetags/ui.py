"""The components, each exactly once. ``{% load ui %}``; the README has an example of every one.

A component with a body is a block (``{% card %}…{% endcard %}``). What belongs elsewhere in it
than its body is put into a slot: ``{% slot "actions" %}…{% endslot %}``, for the nearest block.
"""

import math
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect, Select
from django.forms.utils import flatatt
from django.forms.widgets import FileInput
from django.template import Context
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

MEBIBYTE = 1024 * 1024
NOW = 45  # seconds that are "just now"
UNITS = (  # a unit, its seconds, how many of it make the next one
    ("minute", 60, 60),
    ("hour", 3_600, 24),
    ("day", 86_400, 30),
    ("month", 2_629_800, 12),
    ("year", 31_557_600, math.inf),
)
SHORT_DIGEST = 12
PAGE_PARAMETERS = ("after", "before", "last", "page")
AVATAR_TONES = ("accent", "info", "good", "warn", "plain")
TONE_ICONS = {
    "good": "circle-check",
    "warn": "triangle-alert",
    "bad": "circle-alert",
    "info": "info",
}
JOB_ICONS = {"running": "loader-circle", "waiting": "clock", "done": "circle-check"}

# Slots travel in the body between two comments that nobody outside this run can write.
_NONCE = secrets.token_hex(8)
_SLOT = re.compile(rf"<!--slot:{_NONCE}:(\w+)-->(.*?)<!--/slot:{_NONCE}-->", re.DOTALL)


def _slots(content: str) -> tuple[SafeString, dict[str, SafeString]]:
    """Split a rendered body from the slots in it."""
    found: dict[str, SafeString] = {}

    def take(match: re.Match[str]) -> str:
        found[match[1]] = mark_safe(match[2])  # noqa: S308  (a rendered template)
        return ""

    body = _SLOT.sub(take, content).strip()
    return mark_safe(body), found  # noqa: S308


def _block(component: str, content: str, **values: Any) -> str:
    body, slots = _slots(content)
    return render_to_string(f"ui/components/{component}.html", {"body": body, **slots, **values})


def _attributes(attrs: Mapping[str, Any]) -> SafeString:
    """``hx_get="…"`` as `` hx-get="…"``; a false or empty one is left out."""
    named = {
        key.rstrip("_").replace("_", "-"): value
        for key, value in attrs.items()
        if value not in (None, False, "")
    }
    return flatatt(named)


def _csrf(context: Context) -> Any:
    return context.get("csrf_token", "")


@register.simple_block_tag
def slot(content: str, name: str) -> SafeString:
    """A part of the nearest block component that stands elsewhere than its body."""
    return mark_safe(f"<!--slot:{_NONCE}:{name}-->{content}<!--/slot:{_NONCE}-->")  # noqa: S308


@register.inclusion_tag("ui/components/mark.html")
def mark(size: str = "") -> dict[str, Any]:
    """The mark of Berth: a hull in its berth, seen from above."""
    return {"size": size}


@register.inclusion_tag("ui/components/icon.html")
def icon(name: str, label: str = "", size: str = "") -> dict[str, Any]:
    """An icon of the sprite. Decorative unless it has a ``label``. Size: s, l or nothing."""
    return {"name": name, "label": label, "size": size}


@register.inclusion_tag("ui/components/button.html")
def button(  # noqa: PLR0913  (each is a keyword of the tag)
    label: str,
    variant: str = "default",
    href: str = "",
    icon: str = "",
    type: str = "submit",  # noqa: A002  (HTML's own word)
    size: str = "",
    icon_only: bool = False,
    disabled: bool = False,
    dialog: str = "",
    modal: bool = False,
    **attrs: Any,
) -> dict[str, Any]:
    """A button, or with ``href`` a link that looks like one.

    Variant: default, primary, danger, quiet. Size: s, wide. ``dialog`` opens the dialog of that
    id; ``modal`` fetches the page behind the link or form and shows its confirm panel in a
    dialog. Other keywords become attributes (``hx_get`` → ``hx-get``).
    """
    attrs["data_dialog"] = dialog
    attrs["data_modal"] = modal
    if icon_only:
        attrs.setdefault("title", label)
        attrs["aria_label"] = label
    return {
        "label": label,
        "variant": variant,
        "href": href,
        "icon": icon,
        "type": "button" if dialog and not href else type,
        "size": size,
        "icon_only": icon_only,
        "disabled": disabled,
        "attrs": _attributes(attrs),
    }


@register.inclusion_tag("ui/components/field.html")
def field(
    bound: BoundField,
    label: str = "",
    help: str = "",  # noqa: A002
    wide: bool = False,
    mono: bool = False,
    placeholder: str = "",
    **attrs: Any,
) -> dict[str, Any]:
    """A form's field with label, help and errors, tied together for screen readers."""
    widget = bound.field.widget
    options = isinstance(widget, RadioSelect | CheckboxSelectMultiple)
    check = isinstance(widget, CheckboxInput)
    classes = [] if options or check or isinstance(widget, FileInput) else ["input"]
    if mono:
        classes.append("input--mono")
    if given := widget.attrs.get("class"):
        classes.append(given)
    identity = bound.auto_id or bound.html_name
    help_text = help or bound.help_text
    described = [f"{identity}_help"] if help_text else []
    described += [f"{identity}_errors"] if bound.errors else []
    wiring: dict[str, Any] = {
        "class": " ".join(classes) or None,
        "placeholder": placeholder or None,
        "aria-describedby": " ".join(described) or None,
        "aria-invalid": "true" if bound.errors else None,
    }
    wiring |= {key.rstrip("_").replace("_", "-"): value for key, value in attrs.items()}
    wiring = {key: value for key, value in wiring.items() if value is not None}
    return {
        "field": bound,
        "widget": bound.as_widget(attrs=wiring),
        "identity": identity,
        "label": label or bound.label,
        "help_text": help_text,
        "kind": "check" if check else "options" if options else "plain",
        "select": isinstance(widget, Select) and not options,
        "optional": not bound.field.required and not check and not options,
        "wide": wide,
    }


@register.inclusion_tag("ui/components/form_errors.html")
def form_errors(form: Any) -> dict[str, Any]:
    """What is wrong with a form as a whole; nothing when nothing is."""
    return {"errors": form.non_field_errors()}


@register.inclusion_tag("ui/components/badge.html")
def badge(label: str | int, tone: str = "", icon: str = "", title: str = "") -> dict[str, Any]:
    """A small label. Tone: good, warn, bad, info, accent or nothing."""
    return {"label": label, "tone": tone, "icon": icon, "title": title}


@register.simple_block_tag
def note(content: str, tone: str = "info", title: str = "") -> str:
    """A sentence that stands in the page. Slot: actions."""
    return _block("note", content, tone=tone, title=title, icon=TONE_ICONS.get(tone, "info"))


@register.simple_block_tag
def page_head(content: str, title: str, mono: bool = False) -> str:
    """The title of a page and a line about it. Slot: actions (buttons), badges."""
    return _block("page_head", content, title=title, mono=mono)


@register.simple_block_tag
def card(
    content: str,
    title: str = "",
    description: str = "",
    icon: str = "",
    flush: bool = False,
    id: str = "",  # noqa: A002
) -> str:
    """A box with a title. Slots: actions, foot. ``flush``: the body brings its own edges."""
    return _block(
        "card", content, title=title, description=description, icon=icon, flush=flush, id=id
    )


@register.inclusion_tag("ui/components/figure.html")
def figure(name: str, value: Any, note: str = "") -> dict[str, Any]:
    """One number with its name."""
    return {"name": name, "value": value, "note": note}


@register.simple_block_tag
def table(content: str, id: str, label: str) -> str:  # noqa: A002
    """A table around thead and tbody. Slots: actions (an action bar), pager."""
    return _block("table", content, id=id, label=label)


@register.inclusion_tag("ui/components/sort_header.html", takes_context=True)
def sort_header(
    context: Context,
    label: str,
    key: str,
    numeric: bool = False,
    descending: bool = False,
    parameter: str = "sort",
) -> dict[str, Any]:
    """A column's head that sorts. The order now is ``sort`` in the context, else in the address.

    ``descending``: the first click sorts from the top (sizes, times). A column that is sorted
    downwards has the key with a minus.
    """
    request = context.get("request")
    given = request.GET.get(parameter, "") if request else ""
    current = str(context.get(parameter, "") or given)
    active = current.lstrip("-") == key
    down = current.startswith("-")
    next_down = not down if active else descending
    return {
        "label": label,
        "numeric": numeric,
        "active": active,
        "down": down if active else descending,
        "url": _address_with(context, **{parameter: f"-{key}" if next_down else key}),
    }


def _address_with(context: Context, **changes: str) -> str:
    """The query of this page with some parameters changed and the page cursors dropped."""
    request = context.get("request")
    if request is None:
        return "?" + urlencode(changes)
    query = request.GET.copy()
    for key in PAGE_PARAMETERS:
        query.pop(key, None)
    for key, value in changes.items():
        query[key] = value
    return "?" + query.urlencode()


@register.inclusion_tag("ui/components/select_all.html")
def select_all(label: str = "Select all on this page") -> dict[str, Any]:
    """The head cell that chooses every row of the page (needs JavaScript, hidden without)."""
    return {"label": label}


@register.inclusion_tag("ui/components/select_row.html")
def select_row(value: Any, label: str, form: str, name: str = "selected") -> dict[str, Any]:
    """A row's first cell: a checkbox that belongs to the action bar with id ``form``."""
    return {"value": value, "label": label, "form": form, "name": name}


@register.simple_block_tag(takes_context=True)
def action_bar(
    context: Context,
    content: str,
    id: str,  # noqa: A002
    action: str,
    method: str = "post",
    noun: str = "chosen",
) -> str:
    """The form of a table with selectable rows; appears when something is chosen."""
    return _block(
        "action_bar",
        content,
        id=id,
        action=action,
        method=method,
        noun=noun,
        csrf_token=_csrf(context),
    )


@register.simple_block_tag(takes_context=True)
def filter_bar(
    context: Context,
    content: str,
    target: str = "",
    name: str = "q",
    placeholder: str = "Filter",
    keep: str = "sort",
) -> str:
    """The filter above a table: a search, and selects in the body. Slot: end.

    ``target`` is the table's id: with JavaScript only that part is fetched, as one types.
    ``keep`` names parameters of the address that stay (comma-separated).
    """
    request = context.get("request")
    query = request.GET if request else {}
    kept = [(key, query[key]) for key in keep.split(",") if query.get(key)]
    return _block(
        "filter_bar",
        content,
        target=target,
        name=name,
        value=query.get(name, ""),
        placeholder=placeholder,
        kept=kept,
        keep=keep,
        path=request.path if request else "",
    )


@register.simple_tag(takes_context=True)
def filter_select(
    context: Context, name: str, label: str, choices: Iterable[tuple[Any, Any]]
) -> str:
    """A select for a filter bar; choices are (value, label), the present one from the address."""
    request = context.get("request")
    current = request.GET.get(name, "") if request else ""
    options = [(str(value), text, str(value) == current) for value, text in choices]
    return render_to_string(
        "ui/components/filter_select.html", {"name": name, "label": label, "options": options}
    )


@register.inclusion_tag("ui/components/pagination.html")
def pagination(
    previous: str = "",
    next: str = "",  # noqa: A002
    text: str = "",
    label: str = "Pages",
) -> dict[str, Any]:
    """Keyset pages: addresses of the previous and the next one, empty where there is none."""
    return {"previous": previous, "next": next, "text": text, "label": label}


@register.simple_block_tag
def menu(
    content: str,
    label: str = "More actions",
    icon: str = "ellipsis-vertical",
    variant: str = "quiet",
    size: str = "",
    text: bool = False,
    start: bool = False,
) -> str:
    """A menu that opens under its button. ``text`` shows the label; ``start`` aligns left."""
    return _block(
        "menu",
        content,
        label=label,
        icon=icon,
        variant=variant,
        size=size,
        text=text,
        start=start,
    )


@register.inclusion_tag("ui/components/menu_item.html", takes_context=True)
def menu_item(  # noqa: PLR0913  (each is a keyword of the tag)
    context: Context,
    label: str,
    href: str = "",
    post: str = "",
    copy: str = "",
    icon: str = "",
    tone: str = "",
    modal: bool = False,
    name: str = "",
    value: Any = "",
    **attrs: Any,
) -> dict[str, Any]:
    """A line of a menu: a link, or with ``post`` a form that POSTs there (name=value with it).

    ``copy`` is a text to copy instead (needs JavaScript, hidden without).
    """
    attrs["data_modal"] = modal
    return {
        "label": label,
        "href": href,
        "post": post,
        "copy": copy,
        "icon": icon,
        "tone": tone,
        "name": name,
        "value": value,
        "attrs": _attributes(attrs),
        "csrf_token": _csrf(context),
    }


@register.simple_tag
def menu_line() -> SafeString:
    """A line between parts of a menu."""
    return mark_safe('<hr class="menu__line">')


@register.simple_block_tag
def dialog(content: str, id: str, title: str) -> str:  # noqa: A002
    """A dialog in the page, opened by ``{% button … dialog=id %}``. Slot: foot."""
    return _block("dialog", content, id=id, title=title)


@register.inclusion_tag("ui/components/toast.html", takes_context=True)
def toast(context: Context, toast: Any) -> dict[str, Any]:
    """A toast; the frame shows those of ``add_toast`` by itself."""
    return {
        "toast": toast,
        "icon": TONE_ICONS.get(toast.tone, "info"),
        "csrf_token": _csrf(context),
    }


@register.simple_block_tag
def empty(content: str, title: str, icon: str = "container", text: str = "") -> str:
    """A page where nothing stands yet: what would, and in the body how it gets there.

    Slot: actions.
    """
    return _block("empty", content, title=title, icon=icon, text=text)


@register.inclusion_tag("ui/components/copy.html")
def copy(text: str, label: str = "", inline: bool = False) -> dict[str, Any]:
    """A command, or several lines of them, that copies with one click. ``inline``: in a line."""
    return {"text": str(text).strip("\n"), "label": label, "inline": inline}


@register.filter
def breaks(text: str) -> SafeString:
    """A path that may break after its slashes rather than anywhere."""
    return mark_safe(escape(text).replace("/", "/<wbr>"))  # noqa: S308  (escaped)


@register.inclusion_tag("ui/components/digest.html")
def digest(value: str, copy: bool = True) -> dict[str, Any]:
    """A digest: twelve characters to read, the whole on hover and when copied."""
    return {"value": value, "short": value.partition(":")[2][:SHORT_DIGEST] or value, "copy": copy}


@register.filter
def mebibytes(count: int) -> str:
    """``228590133`` as ``218.0 MiB``: one unit everywhere, so that a column compares by eye."""
    if count and count < MEBIBYTE / 20:
        return "<0.1 MiB"
    return f"{count / MEBIBYTE:,.1f} MiB"


@register.inclusion_tag("ui/components/size.html")
def size(count: int | None) -> dict[str, Any]:
    """Bytes as MiB, the exact number on hover. In a table its cell has the class ``num``."""
    if count is None:
        return {"text": "–", "exact": "not known"}
    exact = f"{count:,} byte" + ("" if count == 1 else "s")
    return {"text": mebibytes(count), "exact": exact}


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


@register.inclusion_tag("ui/components/time.html")
def time(moment: datetime | date | None, none: str = "never") -> dict[str, Any]:
    """A moment relative to now, the exact one (UTC) on hover."""
    if moment is None:
        return {"none": none}
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return {
        "machine": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "exact": moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "text": relative(moment),
    }


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


@register.inclusion_tag("ui/components/tabs.html")
def tabs(items: Iterable[Mapping[str, Any]], label: str = "Sections") -> dict[str, Any]:
    """Pages beside each other: items with label, url, active, and a count if it has one."""
    return {"items": items, "label": label}


@register.inclusion_tag("ui/components/avatar.html")
def avatar(name: str, size: str = "", square: bool = False) -> dict[str, Any]:
    """The initials of a person, or with ``square`` of a group or project. Decorative."""
    words = re.findall(r"[^\W_]+", str(name)) or ["?"]
    initials = words[0][0] + (words[1][0] if len(words) > 1 else words[0][1:2])
    tone = AVATAR_TONES[sum(map(ord, str(name))) % len(AVATAR_TONES)]
    return {"initials": initials, "tone": tone, "size": size, "square": square}


@register.simple_block_tag(takes_context=True)
def confirm(  # noqa: PLR0913  (each is a keyword of the tag)
    context: Context,
    content: str,
    title: str,
    verb: str,
    action: str,
    cancel: str,
    numbers: Iterable[tuple[str, Any]] = (),
    danger: bool = True,
) -> str:
    """A decision: a sentence in the body, the numbers, one button that repeats the verb.

    The body stands inside the form, so hidden inputs may go there.
    """
    return _block(
        "confirm",
        content,
        title=title,
        verb=verb,
        action=action,
        cancel=cancel,
        numbers=list(numbers),
        danger=danger,
        csrf_token=_csrf(context),
    )


@register.inclusion_tag("ui/components/job_progress.html")
def job_progress(
    label: str,
    state: str = "running",
    done: int = 0,
    total: int | None = None,
    url: str = "",
    note: str = "",
    id: str = "job",  # noqa: A002
) -> dict[str, Any]:
    """Work that takes time: waiting, running, done, failed.

    While it waits or runs it is fetched anew from ``url`` every two seconds; that view answers
    with this component alone. ``total`` None: a count that moves, without an end.
    """
    share = min(done / total, 1.0) if total else 0.0
    return {
        "label": label,
        "state": state,
        "tone": {"done": "good", "failed": "bad"}.get(state, ""),
        "icon": JOB_ICONS.get(state, "circle-alert"),
        "done": done,
        "total": total,
        "percent": f"{share * 100:.2f}",
        "url": url if state in ("waiting", "running") else "",
        "note": note,
        "id": id,
    }
