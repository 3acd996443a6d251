"""Many rows at once from a CSV file: all of them or none, by the rules that pages have.

A file has a line of names first, in UTF-8. What can't be taken is named by its line, every one of
them up to `MOST_FAULTS`, and nothing is changed then.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import CommandError
from django.db import transaction
from django.http import Http404

MOST_LINES = 1000
"""Lines of one file: on SQLite everybody else who writes waits until all are taken."""

MOST_BYTES = 2 * 1024**2
MOST_FAULTS = 50

_YES = {"true", "yes", "1"}
_NO = {"false", "no", "0", ""}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Line(NamedTuple):
    """A line of a file: its number there, and its values by the names of columns."""

    number: int
    values: Mapping[str, str]


class Taken(NamedTuple):
    """What came of a file: how many rows were made or changed, and how many were there already."""

    changed: int
    there: int


def add_arguments(parser: ArgumentParser, columns: str) -> None:
    """What each import takes."""
    parser.add_argument("file", help=f"CSV, - for standard input; columns: {columns}")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would come of it, and change nothing"
    )


def read(source: str, *, required: Sequence[str], optional: Collection[str] = ()) -> list[Line]:
    """The lines of a file, `-` for standard input. Raises `CommandError`."""
    text = _text(source)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_names(names, required, optional)
        return list(_lines(reader, names))
    except csv.Error as error:
        raise CommandError(f"line {reader.line_num}: this is no CSV: {error}") from error


def _text(source: str) -> str:
    try:
        if source == "-":
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise CommandError(f"{source} has more than {MOST_BYTES // 1024**2} MiB: make several.")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"{source} can't be read ({error})") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{source} is not in UTF-8 ({error})") from error


def _check_names(names: list[str], required: Sequence[str], optional: Collection[str]) -> None:
    missing = [name for name in required if name not in names]
    unknown = [name for name in names if name not in {*required, *optional}]
    if missing:
        raise CommandError(f"line 1: there is no column {', '.join(missing)}")
    if unknown:
        raise CommandError(f"line 1: unknown columns: {', '.join(map(repr, unknown))}")
    if len(set(names)) < len(names):
        raise CommandError("line 1: a column stands there twice")


def _lines(reader: Iterator[list[str]], names: list[str]) -> Iterator[Line]:
    """Each line that is not empty, numbered by where it begins."""
    number, count = 2, 0
    for cells in reader:
        here, number = number, getattr(reader, "line_num", 0) + 1
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MOST_LINES:
            raise CommandError(f"line {here}: more than {MOST_LINES:,} lines: make several files")
        if len(cells) != len(names):
            raise CommandError(f"line {here}: {len(cells)} values for {len(names)} columns")
        yield Line(here, dict(zip(names, map(_value, cells), strict=True)))


def _value(cell: str) -> str:
    """Without the apostrophe that an export puts before what looks like a formula."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def take(
    lines: Sequence[Line], rule: Callable[[Mapping[str, str]], bool], *, dry_run: bool
) -> Taken:
    """Have a rule take each line; it answers whether anything was changed.

    Raises `CommandError` with all that is refused, and changes nothing then.
    """
    changed = 0
    faults: list[str] = []
    with transaction.atomic():
        for line in lines:
            try:
                with transaction.atomic():
                    changed += rule(line.values)
            except (ValidationError, PermissionDenied, Http404, CommandError) as error:
                faults.append(f"line {line.number}: {_why(error)}")
                if len(faults) == MOST_FAULTS:
                    faults.append("and perhaps more")
                    break
        if faults or dry_run:
            transaction.set_rollback(True)
    if faults:
        raise CommandError("\n".join(["Nothing was changed.", *faults]))
    return Taken(changed, len(lines) - changed)


def _why(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return "; ".join(
        " ".join(messages) if name == "__all__" else f"{name}: {' '.join(messages)}"
        for name, messages in error.message_dict.items()
    )


def said(taken: Taken, *, dry_run: bool) -> str:
    """A sentence for people."""
    would = "would be made or changed" if dry_run else "made or changed"
    return f"{taken.changed} {would}, {taken.there} there already."


def flag(name: str, text: str) -> bool:
    """A value that is yes or no. Raises `ValidationError`."""
    if text.lower() in _YES | _NO:
        return text.lower() in _YES
    raise ValidationError({name: "true or false"})


def day(name: str, text: str) -> dt.date | None:
    """A day, None for an empty value. Raises `ValidationError`."""
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ValidationError({name: "a day, as in 2027-01-31"}) from error
