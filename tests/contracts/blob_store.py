"""What every store of bytes has to do. Subclass `BlobStoreContract` and give it a ``store``."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import threading
import time
import uuid
from collections.abc import Iterator

import pytest

from registry.storage.base import CHUNK, BlobStore


def digest_of(body: bytes, algorithm: str = "sha256") -> str:
    """The digest of a body."""
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def put(store: BlobStore, body: bytes) -> str:
    """A blob in the store; its digest."""
    session = uuid.uuid4()
    part = store.write(session, [body])
    store.commit(session, part, part.digest)
    store.discard(session)
    return part.digest


def read(store: BlobStore, digest: str) -> bytes:
    """The bytes of a blob."""
    with store.open(digest) as file:
        return file.read()


class BlobStoreContract:
    """The sentences of `registry.storage.base.BlobStore`, each as a test."""

    def parts_left(self, store: BlobStore) -> int:
        """How many parts of uploads lie in the store."""
        raise NotImplementedError

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    @pytest.mark.parametrize(
        "chunks", [[], [b""], [b"a"], [b"hello", b"", b" world"], [bytes(CHUNK)] * 3 + [b"x"]]
    )
    def test_a_part_has_size_and_digest(
        self, store: BlobStore, chunks: list[bytes], algorithm: str
    ) -> None:
        whole = b"".join(chunks)
        part = store.write(uuid.uuid4(), iter(chunks), algorithm)
        assert (part.size, part.digest) == (len(whole), digest_of(whole, algorithm))

    def test_chunks_may_take_turns_in_two_places(self, store: BlobStore) -> None:
        """As those of a request's body do. Of more bytes than go to a store at once."""
        pieces = [bytes([number]) * (CHUNK // 2) for number in range(40)]

        def chunks() -> Iterator[memoryview]:
            places = [bytearray(CHUNK // 2), bytearray(CHUNK // 2)]
            for number, piece in enumerate(pieces):
                place, other = places[number % 2], places[(number + 1) % 2]
                place[:] = piece
                yield memoryview(place)
                # Whoever looks at the one before it from now on finds something else.
                other[:] = bytes(len(other))

        session, whole = uuid.uuid4(), b"".join(pieces)
        part = store.write(session, chunks())
        assert (part.size, part.digest) == (len(whole), digest_of(whole))
        store.commit(session, part, part.digest)
        assert read(store, part.digest) == whole

    def test_parts_of_several_chunks_are_joined_in_their_order(self, store: BlobStore) -> None:
        """Whatever their ends do to the places in which they are read."""
        session = uuid.uuid4()
        contents = [os.urandom(size * CHUNK + 7) for size in (5, 1, 0, 4)]
        parts = [store.write(session, iter([content])) for content in contents]
        whole = b"".join(contents)
        for _ in range(5):
            joined = store.join(session, parts)
            assert (joined.size, joined.digest) == (len(whole), digest_of(whole))
            assert store.digest(session, parts) == digest_of(whole)
            store.discard(session, joined)

    def test_a_committed_part_is_a_blob(self, store: BlobStore) -> None:
        digest = put(store, b"hello")
        assert read(store, digest) == b"hello"
        assert store.size(digest) == 5
        assert self.parts_left(store) == 0

    def test_an_empty_blob_is_a_blob(self, store: BlobStore) -> None:
        digest = put(store, b"")
        assert (read(store, digest), store.size(digest)) == (b"", 0)

    def test_a_blob_is_seekable(self, store: BlobStore) -> None:
        with store.open(put(store, b"hello world")) as file:
            file.seek(6)
            assert file.read(5) == b"world"

    def test_sha512_and_sha256_are_apart(self, store: BlobStore) -> None:
        session = uuid.uuid4()
        part = store.write(session, [b"hello"], "sha512")
        store.commit(session, part, part.digest)
        assert store.size(digest_of(b"hello", "sha512")) == 5
        assert store.size(digest_of(b"hello")) is None

    def test_joined_parts_are_one(self, store: BlobStore) -> None:
        session = uuid.uuid4()
        parts = [store.write(session, [piece]) for piece in (b"hello", b"", b" ", b"world")]
        for algorithm in ("sha256", "sha512"):
            assert store.digest(session, parts, algorithm) == digest_of(b"hello world", algorithm)
            whole = store.join(session, parts, algorithm)
            assert (whole.size, whole.digest) == (11, digest_of(b"hello world", algorithm))
        assert self.parts_left(store) == 6
        store.commit(session, whole, whole.digest)
        assert read(store, whole.digest) == b"hello world"
        store.discard(session)
        assert self.parts_left(store) == 0

    def test_joining_what_is_lost_says_so(self, store: BlobStore) -> None:
        session = uuid.uuid4()
        part = store.write(session, [b"hello"])
        store.discard(session, part)
        with pytest.raises(FileNotFoundError):
            store.join(session, [part, part])
        with pytest.raises(FileNotFoundError):
            store.digest(session, [part])
        assert self.parts_left(store) == 0

    def test_committing_what_is_lost_says_so(self, store: BlobStore) -> None:
        session = uuid.uuid4()
        part = store.write(session, [b"hello"])
        store.discard(session)
        with pytest.raises(FileNotFoundError):
            store.commit(session, part, part.digest)
        assert store.size(part.digest) is None

    def test_committing_twice_is_no_error(self, store: BlobStore) -> None:
        session = uuid.uuid4()
        part = store.write(session, [b"hello"])
        for _ in range(2):
            store.commit(session, part, part.digest)
        assert read(store, part.digest) == b"hello"

    def test_a_commit_replaces_what_lies_there(self, store: BlobStore) -> None:
        digest = put(store, b"hello")
        reader = store.open(digest)
        session = uuid.uuid4()
        part = store.write(session, [b"HELLO"])
        store.commit(session, part, digest)
        with reader:
            assert reader.read() == b"hello"
        assert read(store, digest) == b"HELLO"

    def test_chunks_that_raise_leave_nothing(self, store: BlobStore) -> None:
        class Broken(Exception):
            pass

        def chunks() -> Iterator[bytes]:
            yield b"hello"
            raise Broken

        with pytest.raises(Broken):
            store.write(uuid.uuid4(), chunks())
        assert self.parts_left(store) == 0

    def test_a_writer_that_is_stopped_leaves_nothing(self, store: BlobStore) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"hello"
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.write(uuid.uuid4(), chunks())
        assert self.parts_left(store) == 0

    def test_discarding_is_idempotent_and_leaves_others(self, store: BlobStore) -> None:
        one, two = uuid.uuid4(), uuid.uuid4()
        part, other, third = (store.write(s, [b"hello"]) for s in (one, one, two))
        for _ in range(2):
            store.discard(one, part)
        assert self.parts_left(store) == 2
        for _ in range(2):
            store.discard(one)
        store.discard(one, other)
        assert self.parts_left(store) == 1
        store.commit(two, third, third.digest)

    def test_a_staged_part_is_committed(self, store: BlobStore) -> None:
        session = uuid.uuid4()
        part = store.write(session, [b"hello"])
        store.stage(session, part, part.digest)
        store.commit(session, part, part.digest, staged=True)
        assert read(store, part.digest) == b"hello"

    def test_what_the_collector_takes_after_staging_is_made_again(self, store: BlobStore) -> None:
        session = uuid.uuid4()
        part = store.write(session, [b"hello"])
        store.stage(session, part, part.digest)
        store.delete(part.digest)
        store.commit(session, part, part.digest, staged=True)
        assert read(store, part.digest) == b"hello"

    def test_staging_heals_what_lies_there(self, store: BlobStore) -> None:
        session = uuid.uuid4()
        wrong = store.write(session, [b"HELLO"])
        store.commit(session, wrong, digest_of(b"hello"))
        part = store.write(session, [b"hello"])
        store.stage(session, part, part.digest)
        store.commit(session, part, part.digest, staged=True)
        assert read(store, part.digest) == b"hello"

    def test_sizes_of_many(self, store: BlobStore) -> None:
        pushed = {put(store, bytes(number)): number for number in range(12)}
        missing = digest_of(b"missing")
        assert store.sizes([]) == {}
        assert store.sizes([missing]) == {missing: None}
        assert store.sizes([*pushed, missing]) == {**pushed, missing: None}

    def test_a_blob_is_read_from_where_one_wants(self, store: BlobStore) -> None:
        digest = put(store, b"hello world")
        with store.open(digest, 6) as file:
            assert file.read(3) == b"wor"
            assert file.tell() == 9
            assert file.read() == b"ld"
            assert file.read(10) == b""
            file.seek(-5, 2)
            assert file.read() == b"world"
            file.seek(0)
            assert file.read(5) == b"hello"

    def test_the_sweep_takes_what_is_old_and_not_live(self, store: BlobStore) -> None:
        live, left = uuid.uuid4(), uuid.uuid4()
        for session in (live, left, left):
            store.write(session, [b"hello"])
        blob = put(store, b"blob")
        now = dt.datetime.now(dt.UTC)
        assert store.sweep(now - dt.timedelta(hours=1), lambda session: False) == 0
        assert self.parts_left(store) == 3
        assert store.sweep(now + dt.timedelta(minutes=1), lambda session: session == live) > 0
        assert self.parts_left(store) == 1
        assert read(store, blob) == b"blob"

    def test_deleting(self, store: BlobStore) -> None:
        digest = put(store, b"hello")
        assert store.delete(digest) is True
        assert store.delete(digest) is False
        assert store.size(digest) is None
        with pytest.raises(FileNotFoundError):
            store.open(digest)
        assert put(store, b"hello") == digest
        assert read(store, digest) == b"hello"

    def test_an_open_blob_can_be_read_after_its_deletion(self, store: BlobStore) -> None:
        digest = put(store, b"hello")
        with store.open(digest) as file:
            store.delete(digest)
            assert file.read() == b"hello"

    def test_listing(self, store: BlobStore) -> None:
        assert list(store.blobs()) == []
        pushed = {put(store, bytes([number])) for number in range(20)}
        store.write(uuid.uuid4(), [b"part"])
        found = list(store.blobs())
        assert {blob.digest for blob in found} == pushed
        assert {blob.size for blob in found} == {1}
        assert all(blob.modified_at.tzinfo is not None for blob in found)

    def test_listing_by_the_first_digits(self, store: BlobStore) -> None:
        put_here = {put(store, body) for body in (b"1", b"2", b"3", b"4")}
        one = min(put_here)
        start = one.partition(":")[2][:2]
        alike = {digest for digest in put_here if digest.partition(":")[2].startswith(start)}
        assert {blob.digest for blob in store.blobs(start)} == alike

    def test_what_is_quarantined_is_out_of_the_way(self, store: BlobStore) -> None:
        digest = put(store, b"hello")
        found = store.status(digest)
        assert found is not None
        assert found.size == 5
        assert store.quarantine(found)
        assert store.size(digest) is store.status(digest) is None
        assert digest not in {blob.digest for blob in store.blobs()}
        assert not store.quarantine(found)
        put(store, b"hello")
        assert read(store, digest) == b"hello"

    def test_what_has_been_replaced_is_not_quarantined(self, store: BlobStore) -> None:
        digest = put(store, b"hello")
        found = store.status(digest)
        assert found is not None
        time.sleep(1.1)  # S3 tells seconds apart, no less.
        put(store, b"hello")
        assert not store.quarantine(found)
        assert read(store, digest) == b"hello"

    def test_the_check_leaves_nothing(self, store: BlobStore) -> None:
        store.check()
        assert list(store.blobs()) == []

    def test_many_commit_the_same_digest_at_once(self, store: BlobStore) -> None:
        body = bytes(100_000)
        digest = digest_of(body)
        failures: list[BaseException] = []
        start = threading.Barrier(8)

        def work() -> None:
            try:
                start.wait(10)
                for _ in range(5):
                    assert put(store, body) == digest
                    assert read(store, digest) == body
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not failures
        assert store.size(digest) == len(body)
        assert self.parts_left(store) == 0

    def test_sessions_come_and_go_at_once(self, store: BlobStore) -> None:
        """Making a session's place and removing another's next to it don't disturb each other."""
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for count in range(60):
                    # The same first byte, so that the places are neighbours.
                    session = uuid.UUID(int=(0xAA << 120) | (number << 32) | count)
                    part = store.write(session, [b"hello"])
                    if count % 2:
                        store.commit(session, part, part.digest)
                    store.discard(session)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not failures
        assert self.parts_left(store) == 0
