"""What is compressed, for whom, and what never is."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from gitlab.server.compression import SMALLEST, CompressionMiddleware

pytestmark = pytest.mark.engineless
BODY = b"<p>a row of a table</p>" * 200


def answer(response: HttpResponse | None = None, method: str = "get", **headers: str) -> Any:
    """What becomes of a response, for somebody who takes gzip."""
    sent = {"Accept-Encoding": "br;q=1, gzip", **headers}
    request = getattr(RequestFactory(), method)("/", headers=sent)

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(BODY) if response is None else response

    return CompressionMiddleware(view)(request)


def is_compressed(response: HttpResponse) -> bool:
    return response.headers.get("Content-Encoding") == "gzip"


def test_a_page_is_compressed_and_says_so() -> None:
    response = answer()
    assert is_compressed(response)
    assert gzip.decompress(response.content) == BODY
    assert response.headers["Content-Length"] == str(len(response.content))
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_its_own_pages_and_what_is_typed_are(site: str) -> None:
    assert is_compressed(answer(**{"Sec-Fetch-Site": site}))


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_asks_for_is_not(site: str) -> None:
    response = answer(**{"Sec-Fetch-Site": site})
    assert not is_compressed(response)
    assert response.content == BODY


def test_lengths_differ_from_one_answer_to_the_next() -> None:
    assert len({len(answer().content) for _ in range(30)}) > 1


def test_an_answer_with_a_cookie_is_not() -> None:
    response = HttpResponse(BODY)
    response.delete_cookie("new_token")
    assert not is_compressed(answer(response))


def test_the_cookie_of_forms_is_no_matter() -> None:
    response = HttpResponse(BODY)
    response.set_cookie(settings.CSRF_COOKIE_NAME, "x" * 32)
    assert is_compressed(answer(response))


def test_what_a_form_has_sent_is_not() -> None:
    assert not is_compressed(answer(method="post"))


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse(b"x" * (SMALLEST - 1)),
        HttpResponse(BODY, status=404),
        HttpResponse(BODY, content_type="image/png"),
        HttpResponse(BODY, headers={"Content-Encoding": "br"}),
        StreamingHttpResponse([BODY]),
    ],
    ids=["small", "refused", "picture", "compressed", "stream"],
)
def test_nor_is(response: Any) -> None:
    assert not is_compressed(answer(response))


@pytest.mark.parametrize("taken", ["", "identity", "gzip;q=0", "br"])
def test_nobody_gets_it_who_does_not_take_it(taken: str) -> None:
    assert not is_compressed(answer(**{"Accept-Encoding": taken}))


def test_the_token_endpoint_stands_outside() -> None:
    """Tokens are answered past it, whatever they are asked with."""
    names = [name.rpartition(".")[2] for name in settings.MIDDLEWARE]
    assert names.index("TokenEndpointMiddleware") < names.index("CompressionMiddleware")


@pytest.mark.django_db
def test_a_csrf_token_differs_each_time(client: Client) -> None:
    """Masked anew in each answer, so that its length says nothing about the next."""
    pages = [client.get("/users/sign_in").content.decode() for _ in range(2)]
    tokens = [page.partition('name="csrfmiddlewaretoken" value="')[2][:64] for page in pages]
    assert len(tokens[0]) == 64
    assert tokens[0] != tokens[1]
