"""Where the settings come from: the environment, files, one TOML file, the defaults.

The later ones are weaker: the environment (``REGISTRY__TOKEN_REALM``), files named in it
(``REGISTRY__HTTP_SECRET_FILE``), the TOML file (``GITLAB_CONFIG``, else ``/etc/gitlab/gitlab.toml``
where it exists), the defaults. An unknown key or a bad value raises `BadConfiguration`, which says
which, where, and what is allowed. Nothing outside this module reads the environment.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gitlab.config import reference
from gitlab.config.configuration import Configuration

DEFAULT_FILE = Path("/etc/gitlab/gitlab.toml")


class BadConfiguration(Exception):
    """The settings can't be used. The message names each key, its source, and what is allowed."""


@dataclass(frozen=True)
class Loaded:
    """A configuration with where each value came from, by dotted key."""

    configuration: Configuration
    origins: Mapping[str, str] = field(default_factory=dict)


KEYS = tuple(setting.key for setting in reference.settings())
"""Every key, dotted: ``registry.token_realm``."""

_TABLES = {"REGISTRY", "GITLAB_RAILS", "BERTH"}
_SHORT_NAMES = {"BERTH_HOME": "berth.home", "ROLES": "berth.roles"}


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    known = {key.upper().replace(".", "__"): key for key in KEYS} | _SHORT_NAMES
    for variable, value in environ.items():
        if key := _key(known, variable):
            yield key, value, f"environment {variable}"
        elif variable.endswith("_FILE") and (key := _key(known, variable.removesuffix("_FILE"))):
            try:
                content = Path(value).read_text().strip()
            except OSError as error:
                raise BadConfiguration(f"{variable}: {value} can't be read ({error})") from error
            yield key, content, f"file {value}"
        elif variable.partition("__")[0] in _TABLES and "__" in variable:
            raise BadConfiguration(
                f"{variable} in the environment is no setting; those of its table are: "
                + ", ".join(name for name in known if name.startswith(variable.partition("__")[0]))
            )


def _key(known: Mapping[str, str], variable: str) -> str | None:
    """The key of a variable; also of one of several tables, by whatever name."""
    if variable in known:
        return known[variable]
    key = variable.lower().replace("__", ".")
    return key if variable.isupper() and reference.pattern(key) in KEYS else None


def _from_table(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _from_table(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def load(environ: Mapping[str, str] | None = None) -> Loaded:
    """The configuration in force. Raises `BadConfiguration`."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    path = Path(environ["GITLAB_CONFIG"]) if "GITLAB_CONFIG" in environ else DEFAULT_FILE
    if "GITLAB_CONFIG" in environ or path.exists():
        try:
            table = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise BadConfiguration(f"{path}: {error}") from error
        for key, value in _from_table(table):
            values[key], origins[key] = value, str(path)
    for key, value, origin in sorted(_from_environment(environ), key=lambda item: item[2]):
        if key in origins and origins[key].startswith("environment"):
            continue
        values[key], origins[key] = value, origin
    try:
        configuration = Configuration.model_validate(_nested(values))
    except ValidationError as error:
        raise BadConfiguration(_explain(error, origins)) from error
    return Loaded(configuration, origins)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *tables, name = key.split(".")
        branch = tree
        for table in tables:
            branch = branch.setdefault(table, {})
            if not isinstance(branch, dict):
                raise BadConfiguration(f"{table} is a table of settings and not a value")
        branch[name] = value
    return tree


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    """One line for each fault. A value is not repeated: it may be a secret."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        # Of a table's name that is none, pydantic says ``[key]`` besides.
        key = ".".join(str(part) for part in fault["loc"] if part != "[key]")
        source = next((o for k, o in origins.items() if key.startswith(k) or k.startswith(key)), "")
        reason = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            table = key.rpartition(".")[0]
            pattern = reference.pattern(f"{table}.")[:-1]
            names = [k.rpartition(".")[2] for k in KEYS if k.rpartition(".")[0] == pattern]
            reason = f"is no setting; those of [{table or 'the top'}] are {', '.join(names)}"
        lines.append(f"{key} ({source or 'default'}): {reason}")
    return "Berth can't start with these settings:\n  " + "\n  ".join(lines)
