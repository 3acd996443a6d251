"""What is used of gunicorn's inside, by name: another version that has it no more fails here, in
words.

`requirements.in` keeps gunicorn below 27.1 for that. To go on to a newer one, look at each fault,
mend what uses the name, and move the bound.
"""

from __future__ import annotations

import importlib
import inspect
import re
import socket
from io import BytesIO
from typing import Any

import gunicorn
import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

from tests.e2e.installation import PROJECT

pytestmark = pytest.mark.engineless

NAMES = {
    "gunicorn.workers.gthread:ThreadWorker.init_process": "a worker without a descriptor begins again",
    "gunicorn.workers.gthread:ThreadWorker.get_thread_pool": "our threads take the place of its own",
    "gunicorn.workers.gthread:ThreadWorker.load_wsgi": "the application gets berth.aside",
    "gunicorn.workers.gthread:ThreadWorker.enqueue_req": "what the event loop leaves is a thread's",
    "gunicorn.workers.gthread:PollableMethodQueue.defer": "a connection goes back to the poll",
    "gunicorn.http.wsgi:create": "the event loop makes answers as gunicorn does",
    "gunicorn.http.message:Message.should_close": "such a connection is a thread's",
    "gunicorn.workers.gthread:ThreadWorker.handle": "a thread stays with a client that asks again",
    "gunicorn.workers.gthread:ThreadWorker.handle_error": "a head that is no head gets its 400",
    "gunicorn.workers.gthread:ThreadWorker.finish_request": "a connection is closed once",
    "gunicorn.workers.gthread:ThreadWorker._cap_keepalive": "silent connections end with the worker",
    "gunicorn.workers.gthread:_DEFER": "a connection without a byte goes back to the poll",
    "gunicorn.workers.gthread:ThreadWorker.handle_request": "leave is given when a body is read",
    "gunicorn.http.message:Request._expected_100_continue": "leave is given when a body is read",
    "gunicorn.util:write_error": "what is no HTTP is answered with JSON",
    "gunicorn.util:write_nonblock": "what is no HTTP is answered with JSON",
    "gunicorn.util:close_graceful": "an answered connection is closed after its last byte",
    "gunicorn.http.errors:InvalidRequestLine": "what a head without a method is refused with",
    "gunicorn.http.errors:LimitRequestHeaders": "what a head over 64 KiB is refused with",
    "gunicorn.http.body:Body": "the stream that bodies are read past",
    "gunicorn.http.body:LengthReader": "the same, with a length",
    "gunicorn.http.body:ChunkedReader": "the same, chunked",
    "gunicorn.http.unreader:Unreader.take_buffered": "what was read beyond the head",
    "gunicorn.http.unreader:Unreader.unread": "what belongs to the next request",
}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_there(name: str) -> None:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        assert hasattr(found, part), f"gunicorn {gunicorn.__version__} has no {name}: {NAMES[name]}"
        found = getattr(found, part)


def test_a_parser_shows_what_it_has_read_ahead() -> None:
    """`conn.parser.unreader.buf`, by which a head that came with the request before is seen."""
    parser = RequestParser(Config(), BytesIO(b""), ("127.0.0.1", 1))
    assert hasattr(parser, "unreader")
    assert SocketUnreader(socket.socket()).buf.getvalue() == b""


def test_a_connection_has_what_we_look_at() -> None:
    source = inspect.getsource(TConn)
    for name in ("sock", "client", "parser", "initialized", "data_ready", "timeout"):
        assert re.search(rf"self\.{name}\b", source), f"gunicorn's TConn has no {name} any more"


def test_readers_keep_their_parts_where_the_direct_stream_looks() -> None:
    from gunicorn.http.body import Body, ChunkedReader, LengthReader

    length = LengthReader(SocketUnreader(socket.socket()), 5)
    assert (length.length, length.unreader.take_buffered()) == (5, b"")
    body = Body(length)
    assert body.reader is length
    assert body.buf.tell() == 0
    assert body.failed is False
    chunked = ChunkedReader(object(), SocketUnreader(socket.socket()))
    assert inspect.getgeneratorstate(chunked.parser) == inspect.GEN_CREATED
    assert "unreader" in inspect.getgeneratorlocals(chunked.parser)


def test_requirements_keep_to_what_was_looked_at() -> None:
    assert re.search(
        r"^gunicorn>=27\.0\.1,<27\.1$", (PROJECT / "requirements.in").read_text(), re.MULTILINE
    )
