"""The frame, the error pages, the theme."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.template.loader import render_to_string
from django.test import RequestFactory

from gitlab.ui import views
from gitlab.ui.context_processors import frame
from gitlab.ui.navigation import Heading, Link, Section
from gitlab.ui.toasts import add_toast

pytestmark = pytest.mark.engineless


@pytest.fixture
def request_of() -> Any:
    def make(path: str = "/", method: str = "get", cookies: Any = None, **data: Any) -> Any:
        request = getattr(RequestFactory(), method)(path, data)
        request.COOKIES.update(cookies or {})
        request.user = AnonymousUser()
        request._messages = CookieStorage(request)
        return request

    return make


class TestTheme:
    def test_is_remembered(self, request_of: Any) -> None:
        request = request_of("/-/theme", "post", theme="dark", next="/groups?q=1")
        response = views.switch_theme(request)

        assert response.cookies["theme"].value == "dark"
        assert response.url == "/groups?q=1"

    @pytest.mark.parametrize("back", ["https://elsewhere.example/", "//elsewhere.example", ""])
    def test_does_not_lead_elsewhere(self, request_of: Any, back: str) -> None:
        assert views.switch_theme(request_of("/", "post", theme="dark", next=back)).url == "/"

    def test_takes_only_what_there_is(self, request_of: Any) -> None:
        response = views.switch_theme(request_of("/", "post", theme='"><script>'))

        assert response.cookies["theme"].value == "auto"

    def test_is_on_the_page(self, request_of: Any) -> None:
        page = render_to_string("ui/frame.html", {}, request_of(cookies={"theme": "dark"}))

        assert 'data-theme="dark"' in page

    def test_a_strange_cookie_is_nothing(self, request_of: Any) -> None:
        assert frame(request_of(cookies={"theme": "x"}))["theme"] == "auto"


class TestFrame:
    def test_shows_place_sidebar_and_breadcrumbs(self, request_of: Any) -> None:
        context = {
            "heading": Heading("tools", "/tools", "Project"),
            "sidebar": [Section("Registry", [Link("Images", "/i", "container", True, 12)])],
            "breadcrumbs": [("harbour", "/harbour"), ("<tools>", "")],
        }
        page = render_to_string("ui/frame.html", context, request_of())

        assert 'href="/i" aria-current="page"' in page
        assert '<a href="/harbour">harbour</a>' in page
        assert '<span aria-current="page">&lt;tools&gt;</span>' in page
        assert 'popovertarget="sidebar"' in page

    def test_without_a_sidebar_has_no_drawer(self, request_of: Any) -> None:
        assert "popovertarget" not in render_to_string("ui/frame.html", {}, request_of())

    def test_takes_dictionaries(self, request_of: Any) -> None:
        sidebar = [{"title": "T", "links": [{"label": "L", "url": "/l"}]}]

        assert 'href="/l"' in render_to_string("ui/frame.html", {"sidebar": sidebar}, request_of())


class TestToasts:
    def test_carry_their_undo_through(self, request_of: Any) -> None:
        request = request_of()
        add_toast(request, "3 tags deleted.", undo_url="/undo", undo_fields={"id": "7"})
        add_toast(request, "No answer.", "bad")
        page = render_to_string("ui/frame.html", {}, request)

        assert 'action="/undo"' in page
        assert 'name="id" value="7"' in page
        assert "toast--bad" in page

    def test_wait_for_a_page_that_shows_them(self, request_of: Any) -> None:
        request = request_of()
        add_toast(request, "Saved.")
        frame(request)

        assert not request._messages.used


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "answer"),
        [
            (400, lambda request: views.bad_request(request, ValueError())),
            (403, lambda request: views.permission_denied(request, PermissionDenied())),
            (403, views.csrf_failure),
            (404, lambda request: views.page_not_found(request, Http404())),
            (500, views.server_error),
        ],
    )
    @pytest.mark.parametrize("log", ["off", "errors", "all"])
    def test_say_what_happened_with_an_id_that_is_in_the_log(
        self, status: int, answer: Any, log: str, settings: Any
    ) -> None:
        settings.ACCESS_LOG = log
        request = RequestFactory().get("/x")
        request.request_id = "abc123"
        response = answer(request)

        assert response.status_code == status
        assert ("abc123" in response.content.decode()) == (log == "all" or status == 500)

    def test_a_refusal_gives_its_reason(self) -> None:
        refusal = PermissionDenied("Only an owner may rename <web>.")
        response = views.permission_denied(RequestFactory().get("/x"), refusal)

        page = response.content.decode()
        assert "Only an owner may rename &lt;web&gt;." in page
        assert "Ask an owner" not in page, "whoever refuses says what to do"

    def test_not_found_says_nothing_of_why(self) -> None:
        response = views.page_not_found(RequestFactory().get("/x"), Http404("secret project"))

        assert "secret" not in response.content.decode()


class TestComponentPage:
    def test_shows_everything_in_both_themes(self, request_of: Any, settings: Any) -> None:
        settings.DEBUG = True
        page = views.components(request_of("/-/components")).content.decode()

        assert '<div class="gallery__pane" data-theme="light">' in page
        assert '<div class="gallery__pane" data-theme="dark">' in page
        assert page.count("Delete 3 tags of web?") == 2

    def test_is_for_development(self, request_of: Any, settings: Any) -> None:
        settings.DEBUG = False

        with pytest.raises(Http404):
            views.components(request_of("/-/components"))
