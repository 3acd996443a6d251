"""The reference of all settings, as Markdown, from the text below each key in its table.

That text says what the setting is for, then ``Default:`` and ``Example:``, a line of the TOML file.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from gitlab.config.configuration import Configuration

NAME = "name"
"""Stands in a key for the name that somebody gives one of several tables of a kind."""

_QUOTED = set(" ()&")
"""What a shell would read for itself."""

FILES = {"registry.internal_certificate"}
"""Keys whose values are no secrets, and too long for the environment all the same."""


class Setting(NamedTuple):
    """What is said of one key. `toml` and `shell` are how to set it in the file, in the
    environment.
    """

    key: str
    description: str
    default: str
    toml: str
    shell: str


def settings(model: type[BaseModel] = Configuration, prefix: str = "") -> Iterator[Setting]:
    """Every setting, in the order of the tables: those of a table, then the tables in it."""
    own, tables = _divided(model)
    for name, field in own.items():
        yield _setting(f"{prefix}{name}", field)
    for name, inner in tables.items():
        yield from settings(inner, f"{prefix}{name}.")


def _divided(model: type[BaseModel]) -> tuple[dict[str, FieldInfo], dict[str, type[BaseModel]]]:
    """The settings of a table, and the tables in it; of several of a kind one stands for all."""
    own: dict[str, FieldInfo] = {}
    tables: dict[str, type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        if get_origin(field.annotation) is dict:
            tables[f"{name}.{NAME}"] = get_args(field.annotation)[1]
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            tables[name] = field.annotation
        else:
            own[name] = field
    return own, tables


def pattern(key: str) -> str:
    """A key as it stands in `settings`, whatever somebody has named one of several tables.

    ``berth.oidc.keycloak.issuer`` → ``berth.oidc.name.issuer``
    """
    for table in _SEVERAL:
        if key.startswith(f"{table}."):
            name, dot, rest = key.removeprefix(f"{table}.").partition(".")
            return f"{table}.{NAME}{dot}{rest}" if name else key
    return key


_SEVERAL = ("berth.oidc", "berth.ldap")
"""The tables of which each holds several of a kind."""


def _setting(key: str, field: FieldInfo) -> Setting:
    text = inspect.cleandoc(field.description or "")
    description, _, rest = text.rpartition("\n\nDefault: ")
    default, _, example = rest.partition("\nExample: ")
    value = tomllib.loads(example)[key.rpartition(".")[2]]
    return Setting(key, description, default, example, _in_environment(key, field, value))


def _in_environment(key: str, field: FieldInfo, value: Any) -> str:
    variable = key.upper().replace(".", "__")
    if SecretStr in _types_of(field) or key in FILES:
        return f"{variable}_FILE=/run/secrets/{key.rpartition('.')[2]}"
    if isinstance(value, bool):
        value = str(value).lower()
    text = ",".join(value) if isinstance(value, list) else str(value)
    return f"{variable}='{text}'" if set(text) & _QUOTED else f"{variable}={text}"


def _types_of(field: FieldInfo) -> tuple[Any, ...]:
    return getattr(field.annotation, "__args__", (field.annotation,))


def markdown() -> str:
    """The reference: a section for each table, a heading for each key."""
    return "\n".join(_sections(Configuration, "")).rstrip() + "\n"


def _sections(model: type[BaseModel], prefix: str) -> Iterator[str]:
    table = prefix.rstrip(".")
    if table:
        yield f"## `[{table}]`\n\n{inspect.cleandoc(model.__doc__ or '')}\n"
    own, tables = _divided(model)
    for name, field in own.items():
        yield _entry(_setting(f"{prefix}{name}", field), table)
    for name, inner in tables.items():
        yield from _sections(inner, f"{prefix}{name}.")


def _entry(setting: Setting, table: str) -> str:
    header = f"[{table}]\n" if table else ""
    return (
        f"### `{setting.key}`\n\n{setting.description}\n\nDefault: {setting.default}\n\n"
        f"```toml\n{header}{setting.toml}\n```\n\n```sh\n{setting.shell}\n```\n"
    )
