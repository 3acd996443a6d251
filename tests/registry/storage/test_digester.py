"""The digest of pieces that a thread hashes beside: always the right one, and no thread is kept."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from registry.storage import digester as digesters
from registry.storage.base import Chunk
from registry.storage.digester import Cores, Digester

PIECE = 256 * 1024


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Cores:
    """Two cores, however many there are; a moment is long."""
    found = Cores(2)
    monkeypatch.setattr(digesters, "_cores", found)
    monkeypatch.setattr(digesters, "_MOMENT", 30.0)
    monkeypatch.setattr(digesters, "_SILENT", 30.0)
    return found


class Noting:
    """A hasher that notes who calls it with what."""

    def __init__(self, before: Callable[[Chunk], None] = lambda _piece: None) -> None:
        self._inner, self._before = hashlib.sha256(), before
        self.threads: list[str] = []
        self.count = 0

    def update(self, piece: Chunk) -> None:
        self.threads.append(threading.current_thread().name)
        self._before(piece)
        self._inner.update(piece)
        self.count += 1

    def digest(self) -> bytes:
        return self._inner.digest()


def in_two_places(content: bytes) -> Iterator[memoryview]:
    """`content` as a stream gives it: each piece lies where the second one before it did."""
    places = [memoryview(bytearray(PIECE)) for _ in range(2)]
    for number, start in enumerate(range(0, len(content), PIECE)):
        piece = content[start : start + PIECE]
        place = places[number % 2]
        place[: len(piece)] = piece
        yield place[: len(piece)]


def digested(pieces: Iterable[Chunk], algorithm: str = "sha256") -> bytes:
    with Digester(algorithm) as digester:
        for piece in pieces:
            digester.update(piece)
        return digester.digest()


def has_no_thread(cores: Cores) -> bool:
    """Whether none works any more; it is waited for."""
    for thread in threading.enumerate():
        if thread.name == "digester":
            thread.join(10)
    return cores._threads == 0


def is_idle(cores: Cores) -> bool:
    """Whether nothing is counted as under way."""
    return has_no_thread(cores) and not cores._uploads


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("size", [0, 1, PIECE, 2**20, 2**20 + 1, 5 * 2**20 + 17])
def test_the_digest_of_any_size(cores: Cores, size: int, algorithm: str) -> None:
    content = os.urandom(size)
    assert digested(in_two_places(content), algorithm) == hashlib.new(algorithm, content).digest()
    assert is_idle(cores)


def test_pieces_of_any_size(cores: Cores) -> None:
    """Small ones between large ones come after those before them."""
    sizes = [PIECE] * 9 + [3, PIECE, 0, 65_536, 65_535, 1] * 5
    pieces = [os.urandom(size) for size in sizes]
    assert digested(pieces) == hashlib.sha256(b"".join(pieces)).digest()
    assert is_idle(cores)


def test_a_large_one_is_hashed_beside(cores: Cores, monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = Noting()
    monkeypatch.setattr(hashlib, "new", lambda _algorithm: hasher)
    content = os.urandom(16 * PIECE)
    assert digested(in_two_places(content)) == hashlib.sha256(content).digest()
    # The first MiB is not worth a thread.
    assert hasher.threads == [threading.current_thread().name] * 4 + ["digester"] * 12
    assert is_idle(cores)


def test_the_place_of_the_piece_before_is_free(
    cores: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow hashing is: when the next but one comes, a piece is hashed."""
    may_go_on = threading.Event()
    hasher = Noting(lambda _piece: may_go_on.wait(0.01) and None)
    monkeypatch.setattr(hashlib, "new", lambda _algorithm: hasher)
    with Digester("sha256") as digester:
        for number, piece in enumerate(in_two_places(bytes(24 * PIECE))):
            # The generator has just written over the piece before the last one.
            assert hasher.count >= number - 1
            digester.update(piece)
    assert hasher.count == 24, "at the end nothing is under way"
    assert is_idle(cores)


def test_where_another_upload_is_under_way_each_hashes_alone(
    cores: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashers: list[Noting] = []

    def new(_algorithm: str) -> Noting:
        hashers.append(Noting())
        return hashers[-1]

    monkeypatch.setattr(hashlib, "new", new)
    content, here = os.urandom(8 * PIECE), threading.current_thread().name
    with Digester("sha256") as one, Digester("sha256") as other:
        for piece in in_two_places(content):
            one.update(piece)
        for piece in in_two_places(content):
            other.update(piece)
        one.update(content[:PIECE])
        assert hashers[0].threads[4:] == ["digester"] * 4 + [here], "it gives its thread up"
        assert set(hashers[1].threads) == {here}
        assert other.digest() == hashlib.sha256(content).digest()
        assert one.digest() == hashlib.sha256(content + content[:PIECE]).digest()
    assert is_idle(cores)


def test_an_upload_that_is_silent_keeps_no_thread_from_others(
    cores: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digesters, "_SILENT", 0.0)
    content = os.urandom(8 * PIECE)
    hasher = Noting()
    with Digester("sha256") as silent:
        silent.update(content)
        monkeypatch.setattr(hashlib, "new", lambda _algorithm: hasher)
        assert digested(in_two_places(content)) == hashlib.sha256(content).digest()
    assert "digester" in hasher.threads
    assert is_idle(cores)


def test_one_core_is_enough(cores: Cores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_count", 1)
    hasher = Noting()
    monkeypatch.setattr(hashlib, "new", lambda _algorithm: hasher)
    content = os.urandom(8 * PIECE)
    assert digested(in_two_places(content)) == hashlib.sha256(content).digest()
    assert set(hasher.threads) == {threading.current_thread().name}


def test_a_machine_that_has_no_more_threads(cores: Cores, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    content = os.urandom(8 * PIECE)
    assert digested(in_two_places(content)) == hashlib.sha256(content).digest()
    assert is_idle(cores)


def test_a_client_that_pauses_keeps_no_thread(
    cores: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = Noting()
    monkeypatch.setattr(hashlib, "new", lambda _algorithm: hasher)
    content = os.urandom(24 * PIECE)
    here = threading.current_thread().name
    with Digester("sha256") as digester:
        for number, piece in enumerate(in_two_places(content)):
            if number == 8:
                monkeypatch.setattr(digesters, "_MOMENT", 0.001)
                digester.update(piece)
                assert has_no_thread(cores), "another one may have it"
                # What comes after the pause is hashed here, and what comes quickly then is not.
                monkeypatch.setattr(digesters, "_MOMENT", 0.0)
            elif number == 9:
                digester.update(piece)
                monkeypatch.setattr(digesters, "_MOMENT", 30.0)
            else:
                digester.update(piece)
        assert digester.digest() == hashlib.sha256(content).digest()
    assert hasher.threads[9] == here
    assert set(hasher.threads[10:]) == {"digester"}
    assert is_idle(cores)


def test_an_upload_that_breaks_off_keeps_none(cores: Cores) -> None:
    def broken() -> Iterator[Chunk]:
        yield from in_two_places(os.urandom(8 * PIECE))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        digested(broken())
    assert is_idle(cores)


def test_what_fails_beside_is_raised(cores: Cores, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_piece: Chunk) -> None:
        if threading.current_thread().name == "digester":
            raise MemoryError

    monkeypatch.setattr(hashlib, "new", lambda _algorithm: Noting(fail))
    with pytest.raises(MemoryError):
        digested(in_two_places(bytes(16 * PIECE)))
    assert is_idle(cores)


def test_several_at_once(cores: Cores) -> None:
    """One has the thread, the others hash alone."""
    contents = [os.urandom(12 * PIECE + number) for number in range(4)]
    found: dict[int, bytes] = {}

    def digest(number: int) -> None:
        found[number] = digested(in_two_places(contents[number]))

    threads = [threading.Thread(target=digest, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {n: hashlib.sha256(contents[n]).digest() for n in range(4)}
    assert is_idle(cores)
