"""npm's oidc-provider, a certified provider of OpenID Connect, started by the tests."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.e2e import components
from tests.played_issuer import private_key

HERE = Path(__file__).parent
MODULES = HERE.parents[2] / ".venv-oidc-provider"
CLIENT, SECRET = "berth", "a-secret-of-tests: %+"
_ACTION = re.compile(r'<form[^>]* action="([^"]+)"')
_PROMPT = re.compile(r'name="prompt" value="(\w+)"')


class OIDCProvider:
    """`people` are by their subjects what is said of them, besides."""

    def __init__(self, folder: Path, callback: str) -> None:
        import jwt

        self.port = components.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.people: dict[str, dict[str, Any]] = {}
        self._file = folder / "provider.json"
        key: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(private_key("RS256"), as_dict=True)
        # It would be given out with the public half, where it is wrong.
        del key["key_ops"]
        self._settings = {
            "port": self.port,
            "key": {**key, "kid": "one", "use": "sig", "alg": "RS256"},
            "client": {
                "client_id": CLIENT,
                "client_secret": SECRET,
                "redirect_uris": [callback],
                "response_types": ["code"],
                "grant_types": ["authorization_code"],
            },
        }

    def save(self) -> None:
        """Let it know its people."""
        self._file.write_text(json.dumps({**self._settings, "people": self.people}))

    @contextmanager
    def serving(self) -> Iterator[OIDCProvider]:
        """Answer until the block ends."""
        self.save()
        node = components.find("node")
        assert node is not None
        with subprocess.Popen(
            [node, HERE / "provider.js", self._file],
            cwd=MODULES, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            try:
                assert process.stdout is not None
                lines = iter(process.stdout.readline, "")
                said = []
                for line in lines:
                    said.append(line)
                    if line.strip() == "listening":
                        break
                else:
                    raise AssertionError("".join(said))
                yield self
            finally:
                process.kill()


def sign_in(browser: httpx.Client, address: str, subject: str) -> str:
    """Go there and sign in as somebody; the address that the browser is sent back to at the end.

    The forms are those of its own pages for development: one asks who it is, one for consent.
    """
    answer = browser.get(address)
    for _ in range(20):
        if answer.is_redirect:
            where = urljoin(str(answer.url), answer.headers["Location"])
            if not where.startswith(address.partition("/auth")[0]):
                return where
            answer = browser.get(where)
            continue
        action, prompt = _ACTION.search(answer.text), _PROMPT.search(answer.text)
        assert action is not None, answer.text
        assert prompt is not None, answer.text
        form = {"prompt": prompt[1], "login": subject, "password": "any"}
        answer = browser.post(urljoin(str(answer.url), action[1]), data=form)
    raise AssertionError("the provider leads nowhere")
