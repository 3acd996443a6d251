"""What people press, open and confirm."""

from collections.abc import Iterable
from typing import Any

from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from gitlab.ui.components.library import attributes, block, csrf, csrf_field, register, slots
from gitlab.ui.components.values import TONE_ICONS, breaks, copy_button, drawing

JOB_ICONS = {"running": "loader-circle", "waiting": "clock", "done": "circle-check"}


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
        "attrs": attributes(attrs),
    }


@register.simple_block_tag
def menu(
    content: str,
    label: str = "More actions",
    icon: str = "ellipsis-vertical",
    variant: str = "quiet",
    size: str = "",
    text: bool = False,
    start: bool = False,
) -> SafeString:
    """A menu that opens under its button. ``text`` shows the label; ``start`` aligns left."""
    body, _ = slots(content)
    named = format_html(' aria-label="{0}" title="{0}"', label)
    shown = format_html("<span>{}</span>{}", label, drawing("chevron-down", size="s"))
    return format_html(
        '<details class="menu{}" name="menu" data-menu><summary class="button button--{}{}{}"{}>'
        '{}{}</summary>\n<div class="menu__panel">{}</div></details>',
        " menu--start" if start else "",
        variant,
        format_html(" button--{}", size) if size else "",
        "" if text else " button--icon",
        "" if text else named,
        drawing(icon) if icon else "",
        shown if text else "",
        body,
    )


@register.simple_tag(takes_context=True)
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
) -> SafeString:
    """A line of a menu: a link, or with ``post`` a form that POSTs there (name=value with it).

    ``copy`` is a text to copy instead (needs JavaScript, hidden without).
    """
    attrs["data_modal"] = modal
    more, drawn = attributes(attrs), drawing(icon) if icon else ""
    of_tone = format_html(" menu__item--{}", tone) if tone else ""
    if copy:
        return format_html(
            '<button type="button" class="menu__item menu__item--copy" data-copy="{}"{}>{}'
            '<span class="copy__todo">{}</span><span class="copy__done">Copied</span></button>',
            copy,
            more,
            drawn or drawing("copy"),
            label,
        )
    if post:
        named = format_html(' name="{}" value="{}"', name, value) if name else ""
        return format_html(
            '<form method="post" action="{}">{}<button type="submit" class="menu__item{}"{}{}>{}'
            "<span>{}</span></button></form>",
            post,
            csrf_field(context),
            of_tone,
            named,
            more,
            drawn,
            label,
        )
    return format_html(
        '<a class="menu__item{}" href="{}"{}>{}<span>{}</span></a>',
        of_tone,
        href,
        more,
        drawn,
        label,
    )


@register.simple_tag
def menu_line() -> SafeString:
    """A line between parts of a menu."""
    return mark_safe('<hr class="menu__line">')


@register.simple_block_tag
def dialog(content: str, id: str, title: str) -> str:
    """A dialog in the page, opened by ``{% button … dialog=id %}``. Slot: foot."""
    return block("dialog", content, id=id, title=title)


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
    return block(
        "confirm",
        content,
        title=title,
        verb=verb,
        action=action,
        cancel=cancel,
        numbers=list(numbers),
        danger=danger,
        csrf_token=csrf(context),
    )


@register.inclusion_tag("ui/components/toast.html", takes_context=True)
def toast(context: Context, toast: Any) -> dict[str, Any]:
    """A toast; the frame shows those of ``add_toast`` by itself."""
    return {
        "toast": toast,
        "icon": TONE_ICONS.get(toast.tone, "info"),
        "csrf_token": csrf(context),
    }


@register.simple_tag
def copy(text: str, label: str = "", inline: bool = False) -> SafeString:
    """A command, or several lines of them, that copies with one click. ``inline``: in a line."""
    text = str(text).strip("\n")
    if inline:
        return format_html(
            '<span class="copy copy--inline"><code>{}</code>{}</span>',
            breaks(text),
            copy_button(text, label),
        )
    return format_html(
        '<div class="copy">{}<div class="copy__box"><code class="copy__text" tabindex="0">{}</code>'
        "{}</div></div>",
        format_html('<div class="copy__label">{}</div>', label) if label else "",
        text,
        copy_button(text, label, words=True),
    )


@register.inclusion_tag("ui/components/job_progress.html")
def job_progress(
    label: str,
    state: str = "running",
    done: int = 0,
    total: int | None = None,
    url: str = "",
    note: str = "",
    id: str = "job",
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
