"""What clients send: in the query, as a form, or as JSON; GitLab takes each of them anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from django.http import QueryDict
from rest_framework import parsers, serializers
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from gitlab.api.errors import ApiError, BadParameter

MAX_BODY = 1024 * 1024
"""Bytes."""

MAX_ID = 2**63 - 1

_SAYS = {
    "required": "{} is missing",
    "null": "{} is empty",
    "blank": "{} is empty",
    "empty": "{} is empty",
    "invalid_choice": "{} does not have a valid value",
}


class JSONParser(parsers.JSONParser):
    """JSON, refused where it is nested so deeply that reading it would need the whole stack."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """The value. Raises `ParseError`."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("the JSON is nested too deeply") from error


class Parameters(serializers.Serializer[Any]):
    """The parameters of an operation: its fields are read, and are in the schema."""

    @classmethod
    def read(cls, sent: Mapping[str, Any]) -> dict[str, Any]:
        """The values, of those only that were sent. Raises `BadParameter`."""
        reader = cls(data=dict(sent))
        if reader.is_valid():
            return dict(reader.validated_data)
        raise BadParameter(", ".join(_faults(reader.errors)))


def _faults(errors: Mapping[str, Any], above: str = "") -> list[str]:
    found: list[str] = []
    for name, details in errors.items():
        whole = f"{above}[{name}]" if above else str(name)
        if isinstance(details, Mapping):
            found += _faults(details, whole)
        else:
            first = details[0] if isinstance(details, list) and details else details
            code = getattr(first, "code", "invalid")
            found.append(_SAYS.get(code, "{} is invalid").format(whole))
    return found


def take_body(request: Request) -> None:
    """Let the body be read, a chunked one too, which Django would take for empty.

    Raises `ApiError` for one that is larger than `MAX_BODY`, breaks off, or does not say where it
    ends.
    """
    meta = request.META
    if not meta.get("HTTP_TRANSFER_ENCODING"):
        length = meta.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY:
            raise _too_large()
        return
    if not meta.get("wsgi.input_terminated") or not _is_chunked(meta):
        raise ApiError(411, {"error": "411 Length Required"})
    try:
        body = meta["wsgi.input"].read(MAX_BODY + 1)
    except Exception as error:
        raise BadParameter("the body broke off") from error
    if len(body) > MAX_BODY:
        raise _too_large()
    meta["CONTENT_LENGTH"] = str(len(body))
    request._request._stream = BytesIO(body)  # noqa: SLF001


def _too_large() -> ApiError:
    return ApiError(413, {"error": "413 Request Entity Too Large"})


def _is_chunked(meta: Mapping[str, Any]) -> bool:
    return str(meta["HTTP_TRANSFER_ENCODING"]).strip().lower() == "chunked"


def sent_with(request: Request) -> dict[str, Any]:
    """The parameters of a request; where query and body have the same, the body's counts.

    Raises `ApiError` for what no database could hold, and for a body that is no object.
    """
    found = _of_form(request.query_params)
    body = request.data
    if isinstance(body, QueryDict):
        found |= _of_form(body)
    elif isinstance(body, Mapping):
        found |= body
    elif body:
        raise BadParameter("body is invalid")
    _check_texts(found)
    return found


def _of_form(fields: QueryDict) -> dict[str, Any]:
    """Fields of a form: ``scopes[]=a&scopes[]=b`` is a list, ``a[b]=c`` an object."""
    found: dict[str, Any] = {}
    for name, values in fields.lists():
        if name.endswith("[]"):
            found[name[:-2]] = values
        elif name.endswith("]") and "[" in name:
            outer, _, inner = name[:-1].partition("[")
            within = found.setdefault(outer, {})
            if isinstance(within, dict):
                within[inner] = values[-1]
        else:
            found[name] = values[-1]
    return found


def _check_texts(found: Any) -> None:
    """Neither engine stores a NUL, and no encoding has half of a surrogate pair."""
    waiting = [found]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and ("\0" in value or not _is_encodable(value)):
            raise BadParameter("the parameters hold a character that is none")


def _is_encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Commas(serializers.ListField):
    """A list, or its values in one text with commas between them."""

    def to_internal_value(self, data: Any) -> Any:
        """The values."""
        if isinstance(data, str):
            data = [part.strip() for part in data.split(",") if part.strip()]
        elif isinstance(data, int) and not isinstance(data, bool):
            data = [data]
        return super().to_internal_value(data)


class Day(serializers.DateField):
    """A day, ``2026-11-29``; an empty text takes it away."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """The day, or None."""
        return super().run_validation(None if data == "" else data)


def identifier(**options: Any) -> serializers.IntegerField:
    """The field of an id."""
    return serializers.IntegerField(min_value=0, max_value=MAX_ID, **options)


def text(**options: Any) -> serializers.CharField:
    """The field of a text that may be left out, and may be empty."""
    given = {"required": False, "allow_blank": True, "max_length": 4096, **options}
    return serializers.CharField(**given)


def choice(values: Any, **options: Any) -> serializers.ChoiceField:
    """The field of one of some values, which may be left out."""
    return serializers.ChoiceField(choices=values, **{"required": False, **options})


def flag(**options: Any) -> serializers.BooleanField:
    """The field of a yes or no, which may be left out."""
    return serializers.BooleanField(**{"required": False, **options})


def moment(**options: Any) -> serializers.DateTimeField:
    """The field of a time (ISO 8601), which may be left out; without a zone it is UTC."""
    return serializers.DateTimeField(**{"required": False, **options})
