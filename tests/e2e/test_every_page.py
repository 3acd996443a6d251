"""A walk over every page: axe-core finds nothing, light and dark, on a desk and on a phone.

With menus and dialogs open too. Rules of WCAG 2.2 A and AA and of best practice; all of them at
both widths, those that look at colours in both themes. These are dear, and the same text in the
same colours stands on most pages: they look at what has not been seen in that form. One
installation, one browser, and each page is loaded once. ``SCREENSHOTS=1`` keeps a picture of each
form in ``tests/.artifacts/screenshots/``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, JSHandle, expect

from tests.e2e import company
from tests.e2e.company import filled
from tests.e2e.conftest import Person
from tests.e2e.every_page import NO_PAGE, OF_ALICE, OF_EMIL, OF_ROOT, OF_VISITORS, Where
from tests.e2e.installation import PROJECT, Installation
from tests.e2e.test_pages import sign_in
from tests.people import PASSWORD

pytestmark = [pytest.mark.e2e, pytest.mark.engineless, pytest.mark.xdist_group("every page")]
PICTURES = PROJECT / "tests" / ".artifacts" / "screenshots"
Theme = Literal["light", "dark"]
FORMS: tuple[tuple[Theme, str, int], ...] = (
    ("light", "wide", 1280), ("dark", "wide", 1280), ("dark", "phone", 360), ("light", "phone", 360),
)  # fmt: skip
PATIENCE = 60_000
"""Milliseconds after which something is not there: how fast the machine is says nothing here."""

_AXE = """async ([within, options]) => {
    const { violations } = await axe.run(within ?? document, { resultTypes: ["violations"], ...options });
    return violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map((node) => node.html)]);
}"""
_OF_COLOURS = ("color-contrast", "link-in-text-block")
_ALL = {"rules": {"target-size": {"enabled": True}}}
_BUT_COLOURS = {"rules": {**_ALL["rules"], **{name: {"enabled": False} for name in _OF_COLOURS}}}
_COLOURS = {"runOnly": {"type": "rule", "values": _OF_COLOURS}}
_LOOKS = """() => {
    const known = new Map();
    const hash = (text) => {
        let [high, low] = [0xdeadbeef, 0x41c6ce57];
        for (const letter of text) {
            high = Math.imul(high ^ letter.charCodeAt(0), 2654435761);
            low = Math.imul(low ^ letter.charCodeAt(0), 1597334677);
        }
        return (high >>> 0).toString(36) + (low >>> 0).toString(36);
    };
    const look = (element) => {
        if (!element) return "";
        if (!known.has(element)) {
            const style = getComputedStyle(element);
            known.set(element, hash([
                look(element.parentElement), element.localName, element.getAttribute("class"),
                element.matches(":disabled, [aria-disabled=true]"), style.color, style.opacity,
                style.backgroundColor, style.backgroundImage, style.filter, style.mixBlendMode,
                style.textShadow, style.textDecoration, style.borderBottom, style.fontSize,
                style.fontWeight, style.position,
            ].join()));
        }
        return known.get(element);
    };
    const isText = ({ nodeType, data }) => nodeType === Node.TEXT_NODE && data.trim();
    window.looks = new Map();
    for (const element of document.body.querySelectorAll("*")) {
        const isField = element.matches("input, select, textarea");
        if (element.checkVisibility() && (isField || [...element.childNodes].some(isText))) {
            const text = element.closest("a[href]") ?? element;
            looks.set(`${look(text)} ${look(element)}`, text);
        }
    }
    return [...looks.keys()];
}"""
"""For each way in which text is drawn on a page, by all that decides its colours and what it stands
on: that of its element and of all around it.
"""

_MENUS = """() => [...document.querySelectorAll("[data-menu]")]
    .map((menu, at) => [at, menu.checkVisibility(), menu.querySelector(".menu__panel").innerText])
    .filter(([, shown]) => shown).map(([at, , text]) => [at, text])"""
_DIALOGS = """() => [...document.querySelectorAll("[data-modal], [data-dialog]")]
    .map((opener, at) => [at, opener.textContent.trim()])"""
_OPEN = '(at) => document.querySelectorAll("[data-modal], [data-dialog]")[at].click()'


@pytest.fixture(scope="module")
def moved_in(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Installation, dict[str, Any]]]:
    """The company's installation, and what addresses in it name."""
    with company.installed(tmp_path_factory.mktemp("company")) as found:
        yield found


@pytest.fixture(scope="module")
def berth(moved_in: tuple[Installation, dict[str, Any]]) -> Installation:
    """The company's."""
    return moved_in[0]


@pytest.fixture(scope="module")
def known(moved_in: tuple[Installation, dict[str, Any]]) -> dict[str, Any]:
    """By the words that stand for it in `tests.e2e.every_page`."""
    return moved_in[1]


def addresses(
    berth: Installation, pages: dict[str, list[Where]], known: dict[str, Any]
) -> list[tuple[str, str]]:
    """Each page's name for a picture, and its address."""
    asked = [
        (name, {key: filled(value, known) for key, value in where.items()}, filled(query, known))
        for name, some in pages.items()
        for where, query in some
    ]
    found: list[str] = berth.run_python(
        "from django.urls import reverse\n"
        f"answer = [reverse(name, kwargs=where) + query for name, where, query in {asked!r}]"
    )
    names = [name.replace(":", "-") for name, _, _ in asked]
    return [
        (f"{name}-{names[:at].count(name) + 1}" if names.count(name) > 1 else name, address)
        for at, (name, address) in enumerate(zip(names, found, strict=True))
    ]


class Walk:
    """A person who goes from page to page. What is found is gathered in `faults`."""

    def __init__(self, context: BrowserContext) -> None:
        self.faults: list[str] = []
        self.looked = 0
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", lambda m: self._complain(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self._seen: set[tuple[str, str]] = set()
        self._looks: dict[tuple[str, str], set[str]] = {}
        self._where = ""
        self._theme = ""

    def _complain(self, text: str) -> None:
        # Of a link that is over, which is a page all the same.
        if "status of 404" not in text:
            self.faults.append(f"{self._where}: {text}")

    def look_at(self, name: str, address: str) -> None:
        """One page, in each form."""
        self._set(*FORMS[0])
        self._where = address
        answer = self.page.goto(address)
        is_over = "over" in address
        if answer is None or answer.status != (404 if is_over else 200):
            self.faults.append(f"{name} {address}: {answer and answer.status}")
            return
        if "/users/confirm?" in self.page.url:
            self._confirm()
        led_to = self.page.url.partition("://")[2].partition("/")[2]
        if led_to != address[1:] and not address.startswith("/users/password/edit/"):
            self.faults.append(f"{name} {address}: leads to {led_to}")
            return
        self.look(name)

    def _confirm(self) -> None:
        """What is dangerous asks for the password again."""
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Confirm").click()
        self.page.wait_for_url(lambda url: "/users/confirm" not in url)

    def look(self, name: str) -> None:
        """The page that is there."""
        self.page.evaluate(Axe().axe_script)
        self.looked += 1
        for theme, size, width in FORMS:
            self._set(theme, size, width)
            self._where = f"{self.page.url}, {theme}, {size}"
            whole = theme == ("light" if size == "wide" else "dark")
            if os.environ.get("SCREENSHOTS"):
                self.page.screenshot(path=PICTURES / f"{name}-{theme}-{size}.png", full_page=True)
            self._check_colours(theme, size)
            if whole:
                self._check(None, _BUT_COLOURS)
                self._check_width()
                self._choose()
                self._open_menus(size)
                self._open_dialogs(size)
                # Below the bar that floats stand rows that one can't hit.
                self.page.locator(".table__pick").evaluate_all(
                    "(boxes) => boxes.forEach((box) => { box.checked = false; })"
                )

    def look_at_toast(self, address: str, button: str) -> None:
        """What a page says once something is done, with its undo."""
        self.page.goto(address)
        self.page.get_by_role("button", name=button).first.click()
        expect(self.page.locator("[data-toast]")).to_be_visible()
        self.page.evaluate(Axe().axe_script)
        for form in FORMS:
            self._set(*form)
            self._where = f"toast on {address}, {form}"
            self._check(".toasts")

    def _set(self, theme: Theme, size: str, width: int) -> None:
        if theme != self._theme:
            self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            self._theme = theme
        if (self.page.viewport_size or {}).get("width") != width:
            self.page.set_viewport_size({"width": width, "height": 900})

    def _check(self, within: str | JSHandle | None, options: dict[str, Any] = _ALL) -> None:
        for rule, nodes in self.page.evaluate(_AXE, [within, options]):
            self.faults += [f"{self._where}: {rule}: {html[:200]}" for html in nodes]

    def _check_colours(self, theme: Theme, size: str) -> None:
        """Of text that no page before has drawn in the same way in this form."""
        seen = self._looks.setdefault((theme, size), set())
        fresh = set(self.page.evaluate(_LOOKS)) - seen
        if fresh:
            within = self.page.evaluate_handle(
                "(fresh) => ({ include: fresh.map((look) => looks.get(look)) })", sorted(fresh)
            )
            self._check(within, _COLOURS)
            seen |= fresh

    def _check_width(self) -> None:
        """Nothing is wider than the window: only a table moves sideways, by itself."""
        over = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if over > 0:
            self.faults.append(f"{self._where}: {over} px wider than the window")

    def _is_new(self, size: str, what: str) -> bool:
        """Whether nothing like it has been opened at this width."""
        is_new = (size, what) not in self._seen
        self._seen.add((size, what))
        return is_new

    def _choose(self) -> None:
        """The first row, which shows what may be done with it."""
        first = self.page.locator(".table__pick:enabled").first
        if first.count():
            first.check()
            self._check(".actions")
            self._check_width()

    def _open_menus(self, size: str) -> None:
        for at, text in self.page.evaluate(_MENUS):
            if not self._is_new(size, text):
                continue
            button = self.page.locator("[data-menu]").nth(at).locator("summary")
            button.click()
            self._check("[data-menu][open] .menu__panel")
            self._check_width()
            self.page.keyboard.press("Escape")
            expect(button).to_be_focused()

    def _open_dialogs(self, size: str) -> None:
        for at, text in self.page.evaluate(_DIALOGS):
            if not self._is_new(size, text):
                continue
            self.page.evaluate(_OPEN, at)
            expect(self.page.get_by_role("dialog")).to_be_visible()
            self._check("dialog[open]")
            self._check_width()
            self.page.keyboard.press("Escape")
            expect(self.page.get_by_role("dialog")).to_have_count(0)


def assert_nothing_found(*walks: Walk) -> None:
    faults = [fault for walk in walks for fault in walk.faults]
    assert not faults, "\n".join(faults)


@pytest.fixture
def walk_as(chromium: Browser, berth: Installation) -> Iterator[Callable[[str, str], Walk]]:
    """``walk_as("alice", PASSWORD)``: somebody who has signed in; ``""`` is a visitor."""
    contexts: list[BrowserContext] = []
    expect.set_options(timeout=PATIENCE)

    def begin(username: str, password: str) -> Walk:
        contexts.append(chromium.new_context(base_url=berth.url))
        walk = Walk(contexts[-1])
        if username:
            sign_in(walk.page, Person(username, password))
        return walk

    yield begin
    for context in contexts:
        context.close()


def test_there_is_no_other_page() -> None:
    from tests.gitlab.test_largest_pages import routes

    walked = [OF_VISITORS, OF_ALICE, OF_EMIL, OF_ROOT]
    names = {name for pages in walked for name in pages}
    assert set(routes()) - {"admin:index"} == names - {"admin:index"} | NO_PAGE.keys()
    assert not names & NO_PAGE.keys()


def test_pages_of_visitors(walk_as: Any, berth: Installation, known: dict[str, Any]) -> None:
    berth.set_visibility(company.PROJECT, "public")
    walk = walk_as("", "")
    for name, address in addresses(berth, OF_VISITORS, known):
        walk.look_at(f"visitor-{name}", address)
    assert_nothing_found(walk)


def test_pages_of_people(walk_as: Any, berth: Installation, known: dict[str, Any]) -> None:
    walk = walk_as("alice", PASSWORD)
    pages = addresses(berth, OF_ALICE, known)
    for name, address in pages:
        walk.look_at(name, address)
    walk.look_at("error-404", "/nothing/that/is/over")
    moved = [address for name, address in pages if address.endswith(f"?on={known['today']}")]
    walk.look_at_toast(moved[0], "Restore")
    assert_nothing_found(walk)


def test_pages_of_who_has_an_app(walk_as: Any, berth: Installation, known: dict[str, Any]) -> None:
    walk = walk_as("emil", PASSWORD)
    berth.run_python("from tests.e2e import company; company.set_up_app()")
    for name, address in addresses(berth, OF_EMIL, known):
        walk.look_at(f"with-app-{name}", address)
    on_the_way = walk_as("", "")
    page = on_the_way.page
    page.goto("/users/sign_in")
    page.get_by_label("User name").fill("emil")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile("/two_factor"))
    on_the_way.look("mfa_authenticate")
    assert_nothing_found(walk, on_the_way)


def test_pages_of_administrators(walk_as: Any, berth: Installation, known: dict[str, Any]) -> None:
    walk = walk_as("root", berth.root_password)
    models = berth.run_python(
        "from django.contrib import admin\n"
        "from django.urls import reverse\n"
        "answer = []\n"
        "for model in admin.site._registry:\n"
        "    name = f'admin:{model._meta.app_label}_{model._meta.model_name}'\n"
        "    answer.append(reverse(f'{name}_changelist'))\n"
        "    if row := model._default_manager.order_by('-pk').first():\n"
        "        answer += [reverse(f'{name}_{page}', args=[row.pk]) for page in ('change', 'history')]"
    )
    for name, address in addresses(berth, OF_ROOT, known):
        walk.look_at(name, address)
    for address in models:
        walk.look_at(address.strip("/").replace("/", "-"), address)
    assert_nothing_found(walk)
