"""Who may import whom, what modules may be called, and what services may not know.

workers ──► gitlab ──► tokens ◄── registry
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.engineless

PROJECT = Path(__file__).resolve().parent.parent
OURS = ("tokens", "registry", "gitlab", "workers")
MAY_IMPORT = {
    "tokens": {"tokens"},
    "registry": {"registry", "tokens"},
    "gitlab": {"gitlab", "tokens"},
    "workers": {"workers", "gitlab", "tokens"},
}
ASSEMBLY = {"gitlab/settings.py", "gitlab/urls.py", "gitlab/wsgi.py"}
"""Where the parts are put together; they name the other packages as strings."""

BANNED = re.compile(r"(?:utils?|helpers?|common|managers?|handlers?|process(?:es)?)")
MODULES = sorted(path for package in OURS for path in (PROJECT / package).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """The modules that `path` imports, by `import`, `from`, and by name through `import_module`."""
    package = name(path).removesuffix(".py").split("/")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module, node.lineno
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "import_string"}:
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value, node.lineno


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_there_is_something_to_look_at() -> None:
    assert {name(path).partition("/")[0] for path in MODULES} == set(OURS)


@pytest.mark.parametrize("package", OURS)
def test_who_imports_whom(package: str) -> None:
    faults = [
        f"{name(path)}:{line} imports {module}"
        for path in MODULES
        if name(path).startswith(f"{package}/")
        for module, line in imported(path)
        if module.partition(".")[0] in set(OURS) - MAY_IMPORT[package]
    ]
    assert not faults, "\n".join(faults)


def test_the_assembly_imports_neither_side() -> None:
    """Also where all is put together the packages are named in strings, and only there."""
    for path in MODULES:
        if name(path) in ASSEMBLY:
            modules = {module.partition(".")[0] for module, _ in imported(path)}
            assert not modules & {"registry", "workers"}, name(path)


def test_gitlab_and_registry_name_each_other_in_the_assembly_only() -> None:
    """A dotted path in a string is an import as well, only later."""
    other = {
        "gitlab": r"registry\.\w",
        "registry": r"gitlab\.\w",
        "tokens": r"(?:gitlab|registry)\.\w",
    }
    faults = []
    for path in MODULES:
        package = name(path).partition("/")[0]
        if name(path) in ASSEMBLY or package not in other or "/migrations/" in name(path):
            continue
        pattern = re.compile(rf"{other[package]}[\w.]*")
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and _called(node) in _LOADERS):
                continue
            for argument in node.args:
                value = getattr(argument, "value", None)
                if isinstance(value, str) and pattern.fullmatch(value):
                    faults.append(f"{name(path)}:{node.lineno} loads {value}")
    assert not faults, "\n".join(faults)


_LOADERS = {"import_module", "import_string", "include", "get_model", "__import__", "find_spec"}


def test_module_names_say_what_is_inside() -> None:
    banned = [
        name(path)
        for path in MODULES
        if any(BANNED.fullmatch(part) for part in path.relative_to(PROJECT).with_suffix("").parts)
    ]
    assert not banned


def test_the_registry_is_plain_django() -> None:
    """DRF lives in `gitlab.api` only: it costs several times a plain view."""
    faults = [
        f"{name(path)}:{line} imports {module}"
        for path in MODULES
        if not name(path).startswith("gitlab/api/")
        for module, line in imported(path)
        if module.partition(".")[0] == "rest_framework"
    ]
    assert not faults, "\n".join(faults)


def is_service(path: Path) -> bool:
    return "services" in path.relative_to(PROJECT).with_suffix("").parts


def test_services_never_see_a_request() -> None:
    faults = []
    for path in filter(is_service, MODULES):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [node.id] if isinstance(node, ast.Name)
                else [node.arg] if isinstance(node, ast.arg)
                else [node.attr] if isinstance(node, ast.Attribute)
                else []
            )  # fmt: skip
            if "request" in names:
                faults.append(f"{name(path)}:{getattr(node, 'lineno', '?')}")
        faults += [
            f"{name(path)}:{line} imports {module}"
            for module, line in imported(path)
            if module.startswith("django.http") or module.endswith(".views")
        ]
    assert not faults, "\n".join(faults)


def test_the_environment_is_read_in_one_place() -> None:
    """`gitlab.config` reads it. The others may set a default for Django, or hand it to a child."""
    faults = []
    for path in MODULES:
        if name(path) == "gitlab/config.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.getenv", "os.getenvb"}:
                faults.append(f"{name(path)}:{node.lineno}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ.get":
                faults.append(f"{name(path)}:{node.lineno}")
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                faults.append(f"{name(path)}:{node.lineno}")
    # The supervisor puts our interpreter in front of a child's PATH.
    allowed = [fault for fault in faults if fault.startswith("gitlab/management/supervision.py")]
    assert sorted(faults) == sorted(allowed), faults
    assert len(allowed) <= 1
