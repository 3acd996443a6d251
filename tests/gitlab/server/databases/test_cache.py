"""What stands in the shared cache is JSON: nothing that is read from there can run."""

from __future__ import annotations

import pickle

import pytest

from gitlab.server.databases.cache import JSONSerializer

pytestmark = pytest.mark.engineless


def test_values_come_back() -> None:
    written = JSONSerializer()
    for value in ("text", 7, None, [1, "a"], {"a": 1}):
        assert written.loads(written.dumps(value)) == value


def test_what_somebody_else_has_written_is_not_there() -> None:
    assert JSONSerializer().loads(pickle.dumps("text")) is None


def test_what_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(TypeError):
        JSONSerializer().dumps(object())
