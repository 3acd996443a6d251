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


def is_module(dotted_name: str) -> bool:
    """Whether this is a module or package of ours, and no name inside one."""
    path = PROJECT / dotted_name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


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
            inner = {alias.name for alias in node.names if is_module(f"{module}.{alias.name}")}
            yield from ((f"{module}.{each}", node.lineno) for each in inner)
            if len(inner) < len(node.names):
                yield module, node.lineno
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


LADDER: tuple[tuple[str, ...], ...] = (
    ("gitlab.config", "gitlab.version", "gitlab.application_settings"),
    ("gitlab.principals", "gitlab.refusals", "gitlab.exchange"),
    ("gitlab.pagination",),
    ("gitlab.server.request_id", "gitlab.server.databases"),
    ("gitlab.server.logs",),
    ("gitlab.jobs",),
    ("gitlab.mail",),
    ("gitlab.ui",),
    ("gitlab.audit",),
    ("gitlab.revocations", "gitlab.broadcast_messages"),
    ("gitlab.namespaces",),
    ("gitlab.accounts",),
    ("gitlab.access_tokens",),
    ("gitlab.trusted_issuers",),
    ("gitlab.identity_providers",),
    ("gitlab.container_registry",),
    ("gitlab.storage",),
    ("gitlab.quotas",),
    ("gitlab.path_changes", "gitlab.authorization", "gitlab.search"),
    ("gitlab.node",),
    ("gitlab.doctor",),
    ("gitlab.record", "gitlab.activity"),
    ("gitlab.api", "gitlab.admin_area"),
    ("gitlab.management",),
    ("gitlab.server",),
    ("gitlab.settings", "gitlab.urls", "gitlab.wsgi", "gitlab.apps"),
)
"""The floors of `gitlab`, the lowest first. A room imports from its own floor's self and from
below.

The longest name that fits a module tells its floor. `gitlab.server` is how a process serves: only
what is put together (settings, wsgi, deploy) knows it, but for the three rooms named at the bottom.
"""


def dotted(path: Path) -> str:
    return name(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def room_of(module: str) -> tuple[int, str]:
    """The floor of a module of `gitlab`, and the room on it."""
    fitting = [
        (len(room), floor, room)
        for floor, rooms in enumerate(LADDER)
        for room in rooms
        if module == room or module.startswith(f"{room}.")
    ]
    assert fitting, f"{module} stands on no floor"
    _, floor, room = max(fitting)
    return floor, room


def test_each_room_of_gitlab_stands_on_a_floor() -> None:
    modules = [dotted(path) for path in MODULES if name(path).startswith("gitlab/")]
    assert {room_of(module)[1] for module in modules if module != "gitlab"} <= {
        room for floor in LADDER for room in floor
    }


def test_nobody_imports_upwards() -> None:
    """Imports inside functions and for types count like all others."""
    known = {dotted(path) for path in MODULES}
    faults = []
    for path in MODULES:
        if not name(path).startswith("gitlab/") or dotted(path) == "gitlab":
            continue
        floor, room = room_of(dotted(path))
        for module, line in imported(path):
            if module not in known or module == "gitlab" or not module.startswith("gitlab."):
                continue
            other_floor, other_room = room_of(module)
            if other_floor > floor or (other_floor == floor and other_room != room):
                faults.append(f"{name(path)}:{line} ({room}) imports {module}")
    assert not faults, "\n".join(faults)


def test_there_is_no_circle_of_imports() -> None:
    """Also not through imports inside of functions, nor through those for types."""
    known = {dotted(path) for path in MODULES}
    graph = {
        dotted(path): {module for module, _ in imported(path) if module in known} - {dotted(path)}
        for path in MODULES
    }
    # What is left when everything that imports nothing which is left has gone, again and again,
    # and the same from the other end: the circles.
    while True:
        ends = {module for module, others in graph.items() if not others & graph.keys()}
        ends |= graph.keys() - {other for others in graph.values() for other in others}
        if not ends:
            break
        graph = {module: others - ends for module, others in graph.items() if module not in ends}
    circle = sorted(f"{module} → {', '.join(sorted(others))}" for module, others in graph.items())
    assert not circle, "\n".join(circle)


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


DOORS = {"urls", "views", "forms", "middleware", "backends", "admin", "site", "api"}
DOORS |= {"v2", "gitlab_v1", "adapters", "context_processors"}
"""What modules, or the folders around them, are called that take requests and give responses."""

DOORS_BY_NAME = (
    "gitlab.server.",  # How a process serves, whatever is asked.
    "gitlab.ui.",  # What pages share: decorators, toasts, context processors.
    "registry.auth",  # The bearer token of a request becomes its caller.
    "registry.delivery",  # Builds the response that the kernel or a proxy fills.
    "registry.health",
    "registry.errors",  # The one handler.
)


def is_door(path: Path) -> bool:
    parts = set(path.relative_to(PROJECT).with_suffix("").parts)
    return bool(parts & DOORS) or f"{dotted(path)}.".startswith(DOORS_BY_NAME)


def test_a_rule_never_sees_a_request() -> None:
    """Whatever its name: everything that is no door."""
    faults = []
    for path in MODULES:
        if is_door(path):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [node.id] if isinstance(node, ast.Name)
                else [node.arg] if isinstance(node, ast.arg)
                else [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom)
                else []
            )  # fmt: skip
            if {"request", "HttpRequest", "HttpResponse"} & set(names):
                faults.append(f"{name(path)}:{getattr(node, 'lineno', '?')}")
        faults += [
            f"{name(path)}:{line} imports {module}"
            for module, line in imported(path)
            if {"views", "forms"} & set(module.split(".")[1:])
        ]
    assert not faults, "\n".join(faults)


def test_the_environment_is_read_in_one_place() -> None:
    """`gitlab.config.loading` reads it. The others may set a default for Django, or hand it to a
    child.
    """
    faults = []
    for path in MODULES:
        if name(path) == "gitlab/config/loading.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.getenv", "os.getenvb"}:
                faults.append(f"{name(path)}:{node.lineno}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ.get":
                faults.append(f"{name(path)}:{node.lineno}")
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                faults.append(f"{name(path)}:{node.lineno}")
    # The supervisor puts our interpreter in front of a child's PATH.
    allowed = [fault for fault in faults if fault.startswith("gitlab/node/supervision.py")]
    assert sorted(faults) == sorted(allowed), faults
    assert len(allowed) <= 1
