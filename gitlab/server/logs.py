"""How a log line looks, and what never stands in one.

Text for people or one JSON object a line, as ``berth.log_format`` says. Either way a line is one
event, has the id of its request, and is cleaned of secrets: those that this installation is
configured with by their value, what clients send by its form.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from gitlab.server import request_id

MASK = "[masked]"
ACCESS = "access"
"""The logger of requests. A record's ``fields`` say more than its message, for machines."""

_NAMED = (
    r"(?:new_?|old_?|current_?|root_?)?password\d?|passwd|pwd|(?:http_|events_|secret_|client_)?secret"
    r"|_state|(?:access_|refresh_|id_|metrics_)?token|csrfmiddlewaretoken|csrftoken|sessionid"
    r"|berth_session_\d*|(?:secret|access|internal|private|api)_key"
)
_SECRETS = re.compile(
    # Fields of a header, and what stands in an Authorization field.
    r"(?:(?:proxy-)?authorization|(?:set-)?cookie|x-registry-auth)['\"]?\s*[:,]\s*[^\r\n]+"
    r"|(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"
    # A token of GitLab's kinds.
    r"|gl(?:pat|dt|cbt|rt|ft|soat)-[A-Za-z0-9_.-]{8,}"
    # name=value of a query or form, "name": "value" of JSON and of Python.
    rf"|(?<![A-Za-z0-9])(?:{_NAMED})['\"]?(?:=|%3D|\s*:\s*)(?:['\"][^'\"]*['\"]?|[^\s&\"',;}}]+)"
    # A password in an address.
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL | re.IGNORECASE,
)
_RUN = re.compile(r"[A-Za-z0-9_.-]{12,}")
"""What a JSON web token may stand in. Looked for as a whole, and not from each of its characters:
that would cost the square of its length.
"""

_LONGEST = 16 * 1024
_LONGEST_TRACE = 64 * 1024
"""Characters of a message, of a stack trace. What is longer is cut before it is searched."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_SHORTEST = 6
"""A configured secret that is shorter would mask half of each line."""

_own: list[re.Pattern[str]] = []
_process = ["manage"]


def hide(secrets: Iterable[str]) -> None:
    """Never print these values, whatever stands around them."""
    found = sorted({text for text in secrets if len(text) >= _SHORTEST}, key=len, reverse=True)
    _own[:] = [re.compile("|".join(re.escape(text) for text in found))] if found else []


def name_process(name: str) -> None:
    """What this process is called in its lines: ``web``, ``registry``, ``worker``."""
    _process[:] = [name]


def clean(text: str, longest: int = _LONGEST) -> str:
    """`text` without secrets, and with control characters escaped so that a line stays a line.

    At most `longest` characters are looked at and given. It takes time in proportion to them,
    whatever a stranger has written.
    """
    if len(text) > longest:
        text = _cut(text, longest)
    for pattern in _own:
        text = pattern.sub(MASK, text)
    masked = _SECRETS.sub(MASK, _RUN.sub(_without_web_token, text))
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", masked)


def _cut(text: str, longest: int) -> str:
    """The beginning of `text`. What the cut goes through is left out: it may be a secret's half."""
    kept = text[:longest]
    end = max(kept.rfind(mark) for mark in " \n\t&,;")
    return f"{kept[:end] if end > 0 else ''}… [{len(text):,} characters]"


def _without_web_token(run: re.Match[str]) -> str:
    """The run, masked from where a JSON web token begins in it: two parts at least, and a dot."""
    text = run[0]
    start = text.find("eyJ")
    dot = text.find(".", start + 8) if start >= 0 else -1
    if dot < 0 or dot + 1 == len(text):
        return text
    return text[:start] + MASK


def _request_id_of(record: logging.LogRecord) -> str:
    # Django logs an answer of 500 after the request has left our middleware, and hands it along.
    known: str = getattr(getattr(record, "request", None), "request_id", "")
    return known or request_id.current()


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class _Formatter(logging.Formatter):
    def trace(self, record: logging.LogRecord) -> str:
        """The stack trace of an exception, cleaned; "" where there is none."""
        parts = []
        if record.exc_info:
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return clean("\n".join(parts), _LONGEST_TRACE)


class TextFormatter(_Formatter):
    """``2026-11-24T10:00:00.123Z INFO registry.auth [request id] message``.

    A stack trace follows, indented: nothing that stands in an exception can pass for an event.
    """

    def format(self, record: logging.LogRecord) -> str:
        known = _request_id_of(record)
        mark = f" [{known}]" if known else ""
        message = clean(record.getMessage()).replace("\n", "\\n")
        trace = self.trace(record).replace("\n", "\n    ")
        line = f"{_time(record)} {record.levelname} {record.name}{mark} {message}"
        return f"{line}\n    {trace}" if trace else line


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, process, logger, request_id, message, and what it has.

    ``exception`` is a stack trace. Lines of requests have client, method, path, route, status,
    seconds, bytes_in and bytes_out.
    """

    def format(self, record: logging.LogRecord) -> str:
        body: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "process": _process[0],
            "logger": record.name,
            "message": clean(record.getMessage()),
        }
        if known := _request_id_of(record):
            body["request_id"] = known
        fields: dict[str, Any] = getattr(record, "fields", {})
        for name, value in fields.items():
            body[name] = clean(value) if isinstance(value, str) else value
        if trace := self.trace(record):
            body["exception"] = trace
        return json.dumps(body, ensure_ascii=False)


Format = Literal["text", "json"]
_FORMATTERS: dict[Format, type[_Formatter]] = {"text": TextFormatter, "json": JsonFormatter}


def formatter(form: Format) -> logging.Formatter:
    """The formatter of ``berth.log_format``."""
    return _FORMATTERS[form]()


_ALWAYS_QUIET = {
    # Refusals are the registry's daily bread: docker asks without a token first, always.
    "django.request": "ERROR",
    # At debug level each of these prints what is secret: statements with their values, header
    # fields, signatures. They stay quiet whatever the level is.
    "django.db.backends": "INFO",
    "httpx": "WARNING",
    "httpcore": "WARNING",
    "boto3": "WARNING",
    "botocore": "WARNING",
    "s3transfer": "WARNING",
    "urllib3": "ERROR",
}


def configuration(form: Format, level: str) -> dict[str, Any]:
    """What ``LOGGING`` of Django is: everything to stderr, in one form."""
    debugging = level == "debug"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "gitlab.server.logs.formatter", "form": form}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            **{name: {"level": quiet} for name, quiet in _ALWAYS_QUIET.items()},
            # That a task was received and has succeeded, of each of them.
            "celery": {"level": "INFO" if debugging else "WARNING"},
            "kombu": {"level": "INFO" if debugging else "WARNING"},
            # Whether requests are logged is a setting of its own.
            ACCESS: {"level": "INFO"},
            # So is whether mail stands here.
            "gitlab.mail.log": {"level": "INFO"},
        },
    }
