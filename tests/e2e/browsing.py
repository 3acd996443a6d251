"""A person at the pages, without JavaScript."""

from __future__ import annotations

import re
from typing import Any

import httpx

from tests.e2e.conftest import Person
from tests.e2e.installation import Installation


class Browser:
    """Somebody who has signed in and fills in forms."""

    def __init__(self, berth: Installation, person: Person) -> None:
        self.http = httpx.Client(base_url=berth.url, follow_redirects=True, timeout=60)
        self.send("/users/sign_in", login=person.username, password=person.password)

    def send(self, address: str, **fields: Any) -> httpx.Response:
        """Fill in the form of a page."""
        page = self.http.get(address)
        page.raise_for_status()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, page.text
        answer = self.http.post(
            address,
            data={"csrfmiddlewaretoken": token[1], **fields},
            headers={"Referer": str(page.url)},
        )
        answer.raise_for_status()
        return answer

    def read(self, address: str) -> str:
        """The words of a page, as a person sees them."""
        page = self.http.get(address)
        page.raise_for_status()
        words = re.sub(r"<wbr>|\u200b|<style.*?</style>|<script.*?</script>", "", page.text)
        return " ".join(re.sub(r"<[^>]+>", " ", words).split())
