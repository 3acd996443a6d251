"""An ID token that is shown by several at the same time, in transactions that really end."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connections

from gitlab.trusted_issuers import uses
from gitlab.trusted_issuers.models import IdTokenUse
from gitlab.trusted_issuers.uses import Replayed

pytestmark = pytest.mark.django_db(transaction=True)
DIGEST = "d" * 64


def together(trust: int, *exchanges: bool) -> list[Any]:
    """What comes of each use: whether it was the first, or `Replayed`."""
    start = threading.Barrier(len(exchanges))
    answers: list[Any] = [None] * len(exchanges)

    def run(number: int, exchange: bool) -> None:
        try:
            start.wait()
            answers[number] = uses.note(trust, DIGEST, time.time() + 300, exchange=exchange)
        except Exception as error:
            answers[number] = type(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(exchanges)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_one_exchange_wins(app: Any, make_trust: Any) -> None:
    found = together(make_trust(app).pk, *[True] * 6)
    assert sorted(found, key=str) == [Replayed] * 5 + [True]


def test_as_a_password_each_counts(
    app: Any, make_trust: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "MOST_USES", 4)
    found = together(make_trust(app).pk, *[False] * 6)
    assert sorted(found, key=str) == [Replayed] * 2 + [False] * 3 + [True]
    assert IdTokenUse.objects.get().count == 4


def test_an_exchange_and_a_password(app: Any, make_trust: Any) -> None:
    """Whichever comes first; never both."""
    found = together(make_trust(app).pk, True, False)
    assert sorted(found, key=str) == [Replayed, True]
