"""Documentation that can't rot: every setting is described, every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from gitlab.config import KEYS, load, reference

pytestmark = pytest.mark.engineless

PROJECT = Path(__file__).resolve().parent.parent
CONFIGURATION = PROJECT / "docs" / "configuration.md"
_HEADING = re.compile(r"^### `([a-z_.]+)`$", re.MULTILINE)
_LINK = re.compile(r"(?<!\\)!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"```.*?```", re.DOTALL)


def tracked() -> list[Path]:
    """The files of the repository that are text, without those that others have written."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    binary = {".png", ".jpg", ".ico", ".woff2", ".gz", ".tar", ".bin"}
    paths = [PROJECT / name for name in listed if "/vendor/" not in name]
    return [path for path in paths if path.is_file() and path.suffix not in binary]


def section(key: str) -> str:
    text = CONFIGURATION.read_text()
    return re.split(r"^##", text.split(f"### `{key}`\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_reference_is_what_the_tables_say() -> None:
    _, _, reference_there = CONFIGURATION.read_text().partition("## The addresses\n\n")
    assert reference_there == reference.markdown(), "make reference writes it anew"


def test_every_setting_has_a_heading_and_nothing_else_has() -> None:
    assert _HEADING.findall(CONFIGURATION.read_text()) == list(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_a_setting_is_described_with_default_and_examples(key: str, tmp_path: Path) -> None:
    text = section(key)
    assert re.search(r"^Default: .+?\.\n\n", text, re.MULTILINE | re.DOTALL)
    toml = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    shell = re.search(r"```sh\n(\w+)=(.*)\n```", text)
    assert toml
    assert shell
    variable = key.upper().replace(".", "__")
    assert shell[1] in (variable, f"{variable}_FILE")
    # The examples are accepted.
    table = tomllib.loads(toml[1])
    for part in key.split("."):
        table = table[part]
    (tmp_path / "gitlab.toml").write_text(toml[1])
    file = {"GITLAB_CONFIG": str(tmp_path / "gitlab.toml")}
    assert load(file).origins[key] == str(tmp_path / "gitlab.toml")
    if shell[1] == variable:
        assert load({**file, variable: shell[2].strip("'")}).origins[key].startswith("environment")


def slug(heading: str) -> str:
    """The anchor that a heading gets where Markdown is shown."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


def anchors(path: Path) -> set[str]:
    text = _FENCE.sub("", path.read_text())
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize(
    "path",
    [path for path in tracked() if path.suffix == ".md"],
    ids=lambda path: path.relative_to(PROJECT).as_posix(),
)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for target in _LINK.findall(_FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        is_there = linked.exists() and linked.is_relative_to(PROJECT)
        if not is_there or (anchor and linked.suffix == ".md" and anchor not in anchors(linked)):
            broken.append(target)
    assert not broken, broken


def test_every_command_that_is_named_is_there_and_does_something() -> None:
    """In docs, in settings' descriptions and in what commands print."""
    named = re.compile(r"manage\.py ([a-z_]+)((?: [a-z][a-z_-]*)?)[^`\n]*`")
    ours = {path.stem: path.read_text() for path in PROJECT.glob("*/management/commands/*.py")}
    djangos = {"check", "migrate", "shell", "spectacular", "test", "makemigrations"}
    faults = []
    for path in tracked():
        if path.suffix not in {".md", ".py"} or path.is_relative_to(PROJECT / "tests"):
            continue
        for command, verb in named.findall(path.read_text()):
            text = ours.get(command, "")
            verbs = text if "AdministrationCommand" in text else ""
            refuses = "NoReturn" in text and path.name != "audit.md"
            if (
                (command not in djangos and not text)
                or refuses
                or verb.strip() not in (verbs or verb)
            ):
                faults.append(f"{path.relative_to(PROJECT)}: manage.py {command}{verb}")
    assert not faults


def test_nothing_says_where_packages_come_from() -> None:
    """Whoever installs Berth has a package index of their own choice."""
    hosts = re.compile(
        r"(?:pypi|pythonhosted|npmjs|registry\.npm|unpkg|jsdelivr|cdnjs)(?:\.org|\.com|\.net)",
        re.IGNORECASE,
    )
    options = re.compile(r"^\s*--(?:extra-)?(?:index-url|find-links|trusted-host)\b", re.MULTILINE)
    faults = [
        path.relative_to(PROJECT).as_posix()
        for path in tracked()
        if path != Path(__file__).resolve()
        and (hosts.search(text := path.read_text(errors="replace")) or options.search(text))
    ]
    assert not faults


def test_no_path_of_a_developers_machine() -> None:
    here = rf"(?<![\w.]){re.escape(str(PROJECT))}(?![\w-])"
    pattern = re.compile(rf"{here}|(?<!\w)/(?:home|Users)/\w+/|(?<!\w)/root/\.\w")
    faults = [
        f"{path.relative_to(PROJECT).as_posix()}: {match[0]}"
        for path in tracked()
        if path != Path(__file__).resolve()
        and (match := pattern.search(path.read_text(errors="replace")))
    ]
    assert not faults
