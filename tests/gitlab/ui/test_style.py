"""What the style sheets and templates promise: tokens only, contrast, nothing inline or foreign."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import gitlab.ui

pytestmark = pytest.mark.engineless

ROOT = Path(gitlab.ui.__file__).parent
STATIC = ROOT / "static" / "ui"
TEMPLATES = sorted(
    path for path in ROOT.parent.glob("*/templates/**/*.html") if path.parent.name != "mail"
)
"""Of pages: a mail has no style sheet and runs no script, so its styles stand in it."""
TOKENS = (STATIC / "tokens.css").read_text()
SHEETS = {
    path.name: re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    for path in STATIC.glob("*.css")
    if path.name != "tokens.css"
}
PAIRS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", TOKENS
    )
}

# Text and what it stands on. Rules that set both are found in the sheets besides.
GROUNDS = ["ground", "surface", "raised", "sunken", "hover"]
STATES = ["good", "warn", "bad", "info"]
STANDS_ON = (
    [(ink, ground) for ink in ("ink", "ink-soft", "ink-faint", "accent") for ground in GROUNDS]
    + [(state, ground) for state in STATES for ground in ("surface", "raised", "sunken")]
    + [(ink, f"{state}-soft") for state in STATES for ink in ("ink", state)]
    + [(ink, "accent-soft") for ink in ("ink", "ink-soft", "ink-faint", "accent", *STATES)]
)
# What is no text but has to be seen: the edge of an input, the part of a meter (WCAG 1.4.11).
SHAPES = [("line-strong", "surface"), ("line-strong", "raised")] + [
    (fill, "surface") for fill in ("accent-fill", "good-fill", "warn-fill", "bad-fill", "info")
]


def rules() -> list[tuple[str, str, dict[str, str]]]:
    """Every (sheet, selector, declarations)."""
    found = []
    for sheet, text in SHEETS.items():
        for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", text):
            pairs = (line.split(":", 1) for line in body.split(";") if ":" in line)
            found.append((sheet, selector.strip(), {k.strip(): v.strip() for k, v in pairs}))
    return found


def written_together() -> list[tuple[str, str]]:
    """Pairs of tokens that one rule sets as colour and background."""
    found = set()
    for _, _, declarations in rules():
        ink = re.fullmatch(r"var\(--([\w-]+)\)", declarations.get("color", ""))
        ground = re.fullmatch(r"var\(--([\w-]+)\)", declarations.get("background", ""))
        if ink and ground:
            found.add((ink[1], ground[1]))
    return sorted(found)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lower, upper = sorted([luminance(one), luminance(other)])
    return (upper + 0.05) / (lower + 0.05)


def test_contrast_is_computed_as_the_standard_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), sorted({*STANDS_ON, *written_together()}))
def test_text_can_be_read(ink: Any, ground: Any, theme: str) -> None:
    at = ["light", "dark"].index(theme)

    assert contrast(PAIRS[ink][at], PAIRS[ground][at]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_shapes_can_be_seen(shape: Any, ground: Any, theme: str) -> None:
    at = ["light", "dark"].index(theme)

    assert contrast(PAIRS[shape][at], PAIRS[ground][at]) >= 3


def test_the_pairs_are_found() -> None:
    assert ("on-accent", "accent-fill") in written_together()
    assert ("on-bad", "bad-fill-hover") not in written_together()
    at_hover = [contrast(*(PAIRS[n][i] for n in ("on-bad", "bad-fill-hover"))) for i in (0, 1)]
    at_hover += [
        contrast(*(PAIRS[n][i] for n in ("on-accent", "accent-fill-hover"))) for i in (0, 1)
    ]
    assert min(at_hover) >= 4.5


LITERAL = re.compile(
    r"#[0-9a-f]{3,8}\b|\b(rgba?|hsla?|hwb|lab|lch|oklab|oklch|color-mix|light-dark)\("
    r"|(?<!-)\b(white|black|gr[ae]y|red|green|blue|teal|orange|yellow)\b",
    re.IGNORECASE,
)


def test_colours_are_tokens() -> None:
    strays = [
        (sheet, selector, name, value)
        for sheet, selector, declarations in rules()
        for name, value in declarations.items()
        if LITERAL.search(value)
    ]

    assert strays == []


@pytest.mark.parametrize("value", ["#fff", "1px solid #12ab34", "rgb(0 0 0 / 1)", "Red"])
def test_a_literal_is_noticed(value: str) -> None:
    assert LITERAL.search(value)
    assert not LITERAL.search("1px solid var(--line)")


@pytest.mark.parametrize("sheet", sorted(SHEETS))
def test_every_token_that_is_used_exists(sheet: Any) -> None:
    defined = set(re.findall(r"(--[\w-]+):", TOKENS))

    assert set(re.findall(r"var\((--[\w-]+)", SHEETS[sheet])) <= defined


def test_no_token_is_idle() -> None:
    everything = TOKENS + "".join(SHEETS.values())
    used = set(re.findall(r"var\((--[\w-]+)", everything))

    assert set(re.findall(r"(--[\w-]+):", TOKENS)) - used == set()


@pytest.mark.parametrize(
    ("properties", "allowed"),
    [
        (("font-size",), r"var\(--(text|heading)-[sml]\)|[\d.]+em|100%"),
        (
            ("border-radius",),
            r"(0|var\(--(radius|radius-l|round)\)|calc\(var\(--radius\) / 2\)| )+",
        ),
        (("box-shadow",), r"none|var\(--shadow(-l)?\)|inset .*var\(--line\).*"),
        (("font-family",), r"var\(--(sans|mono)\)"),
        (("gap", "row-gap", "column-gap"), r"(0|var\(--space-\d+\)| )+"),
    ],
)
def test_sizes_are_tokens(properties: Any, allowed: str) -> None:
    strays = [
        (sheet, selector, name, value)
        for sheet, selector, declarations in rules()
        for name, value in declarations.items()
        if name in properties and not re.fullmatch(allowed, value)
    ]

    assert strays == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_nothing_inline_or_foreign(path: Any) -> None:
    text = path.read_text()

    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert re.findall(r"https?://[^\s\"'<]+", text) in ([], ["http://www.w3.org/2000/svg"])


@pytest.mark.parametrize("name", [*SHEETS, "tokens.css", "app.js", "palette.js"])
def test_files_load_nothing_from_elsewhere(name: Any) -> None:
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|@import|url\(", (STATIC / name).read_text())


def test_icons_in_use_are_in_the_sprite() -> None:
    sprite = set(re.findall(r'symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text()))
    code = "".join(path.read_text() for path in [*TEMPLATES, *ROOT.rglob("*.py")])
    used = set(re.findall(r'{% icon "([\w-]+)"', code)) | set(re.findall(r'icon="([\w-]+)"', code))

    assert used <= sprite


@pytest.mark.parametrize("name", ["icons.LICENSE.txt", "vendor/htmx.LICENSE.txt"])
def test_what_is_not_ours_has_its_licence(name: str) -> None:
    assert (STATIC / name).stat().st_size > 100
