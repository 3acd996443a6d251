"""A provider of OpenID Connect on loopback that says what a test wants, also what none may say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.played_issuer import PlayedIssuer, send

BEGIN, BACK = "/users/auth/sso", "/users/auth/sso/callback"
PERSON = {
    "sub": "1",
    "email": "dora@example.com",
    "email_verified": True,
    "preferred_username": "dora",
    "name": "Dora",
}


class PlayedProvider(PlayedIssuer):
    """`saying` are the claims of its next ID token, `token` makes it from them."""

    settle: Callable[..., None]

    def __init__(self) -> None:
        super().__init__()
        self.configuration = {
            "authorization_endpoint": f"{self.url}/auth",
            "token_endpoint": f"{self.url}/token",
        }
        self.claims: dict[str, Any] = {}
        self.answers["/token"] = lambda handler: send(
            handler, {"access_token": "a", "token_type": "Bearer", "id_token": self.id_token()}
        )
        self.id_token: Callable[[], str] = lambda: self.token("berth", **self.claims)

    def userinfo(self, **claims: Any) -> None:
        """Have an endpoint that says these of whoever asks."""
        self.configuration["userinfo_endpoint"] = f"{self.url}/me"
        self.answers["/me"] = lambda handler: send(handler, claims)

    def asked_with(self, client: Any, back: str = "") -> dict[str, str]:
        """What the browser is sent here with."""
        answer = client.get(BEGIN, {"next": back} if back else {})
        split = urlsplit(answer["Location"])
        assert f"{split.scheme}://{split.netloc}{split.path}" == f"{self.url}/auth"
        return {name: values[0] for name, values in parse_qs(split.query).items()}

    def come(self, client: Any, *, back: str = "", **claims: Any) -> Any:
        """A whole sign-in of somebody; Berth's last answer."""
        asked = self.asked_with(client, back)
        self.claims = {**PERSON, "nonce": asked["nonce"], **claims}
        return client.get(BACK, {"code": "c", "state": asked["state"]})


def unsigned(claims: dict[str, Any]) -> str:
    """An ID token with the algorithm ``none``."""
    import base64

    def part(document: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."
