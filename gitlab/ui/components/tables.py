"""Tables, with what stands around them: filter, order, selection, pages."""

from collections.abc import Iterable
from typing import Any

from django.template import Context
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from gitlab.ui.components.library import block, csrf, register

PAGE_PARAMETERS = ("after", "before", "last", "page")


@register.simple_block_tag
def table(content: str, id: str, label: str) -> str:
    """A table around thead and tbody. Slots: actions (an action bar), pager."""
    return block("table", content, id=id, label=label)


@register.inclusion_tag("ui/components/sort_header.html", takes_context=True)
def sort_header(
    context: Context,
    label: str,
    key: str,
    numeric: bool = False,
    descending: bool = False,
    parameter: str = "sort",
    wide: bool = False,
) -> dict[str, Any]:
    """A column's head that sorts. The order now is ``sort`` in the context, else in the address.

    ``descending``: the first click sorts from the top (sizes, times). A column that is sorted
    downwards has the key with a minus. ``wide``: it is there only where there is room for it.
    """
    request = context.get("request")
    given = request.GET.get(parameter, "") if request else ""
    current = str(context.get(parameter, "") or given)
    active = current.lstrip("-") == key
    down = current.startswith("-")
    next_down = not down if active else descending
    return {
        "label": label,
        "kind": " ".join((["num"] if numeric else []) + (["wide-only"] if wide else [])),
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


@register.simple_tag
def select_row(value: Any, label: str, form: str, name: str = "selected") -> SafeString:
    """A row's first cell: a checkbox that belongs to the action bar with id ``form``."""
    return format_html(
        '<td class="table__select"><input type="checkbox" class="table__pick" name="{}" value="{}"'
        ' form="{}" aria-label="Select {}" autocomplete="off"></td>',
        name,
        value,
        form,
        label,
    )


@register.simple_block_tag(takes_context=True)
def action_bar(
    context: Context,
    content: str,
    id: str,
    action: str,
    method: str = "post",
    noun: str = "chosen",
) -> str:
    """The form of a table with selectable rows; appears when something is chosen."""
    return block(
        "action_bar",
        content,
        id=id,
        action=action,
        method=method,
        noun=noun,
        csrf_token=csrf(context),
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
    return block(
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
