"""Connections over real sockets: nobody holds one by a head that never ends, or by a body that nobody reads."""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from weaver_forge.receivers.app import Answer, Patience, Request, Route, application
from weaver_forge.receivers.auth import Tokens
from weaver_forge.receivers.budget import Budget
from weaver_forge.receivers.http_protocol import GuardedProtocol, Seldom

HEAD_S = 0.3
HEAD = b"POST /taken HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\n"


class Impatient(GuardedProtocol):
    """With less time than usual."""

    head_s = HEAD_S


async def taken(request: Request) -> Answer:
    body = await request.body(100)
    if body == b"slow":
        await asyncio.sleep(3 * HEAD_S)
    return Answer(200, body)


async def refused(_: Request) -> Answer:  # noqa: RUF029 - a handler
    return Answer(400, b"no")


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    routes = [Route("/taken", taken), Route("/refused", refused)]
    app = application(routes, tokens=Tokens(), budget=Budget(1000), patience=Patience(5, 5))
    config = uvicorn.Config(app, http=Impatient, ws="none", lifespan="off", log_config=None, timeout_keep_alive=60)
    server = uvicorn.Server(config)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        yield bound.getsockname()
        server.should_exit = True
        thread.join()


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as one:
        yield one


def closed(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return found


def dripped(connection: socket.socket, data: bytes, every_s: float) -> None:
    """Send byte by byte until the other side is gone."""
    with contextlib.suppress(OSError):
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
            time.sleep(every_s)


def test_what_strangers_can_repeat_is_logged_once_in_a_while(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("uvicorn.error")
    seldom = Seldom()
    logger.addFilter(seldom)

    for _ in range(3):
        with socket.create_connection(address, timeout=10) as one:
            one.sendall(b"this is no HTTP\r\n\r\n")
            assert closed(one).startswith(b"HTTP/1.1 400 ")
    logger.removeFilter(seldom)

    assert [record.getMessage() for record in caplog.records] == ["Invalid HTTP request received."]


def test_a_head_that_comes_byte_by_byte_is_a_408(connection: socket.socket) -> None:
    sender = threading.Thread(target=dripped, args=(connection, HEAD * 5, 0.02))
    sender.start()
    begun = time.monotonic()

    said = connection.recv(1000)

    assert said.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begun < 5 * HEAD_S
    sender.join()


def test_a_connection_on_which_nothing_comes_is_closed(connection: socket.socket) -> None:
    assert closed(connection) == b""


def test_a_second_head_has_its_deadline_too(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"body")
    first = connection.recv(1000)
    connection.sendall(HEAD[:10])

    assert first.startswith(b"HTTP/1.1 200 ")
    assert closed(connection).startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_stays_between_requests(connection: socket.socket) -> None:
    said = []
    for _ in range(2):
        connection.sendall(HEAD + b"body")
        said.append(connection.recv(1000)[:13])
        time.sleep(2 * HEAD_S)

    assert said == [b"HTTP/1.1 200 "] * 2


def test_a_head_without_end_is_a_431(connection: socket.socket) -> None:
    piece = b"X-Filler: " + b"x" * 60_000 + b"\r\n"

    connection.sendall(HEAD[:-2])
    with contextlib.suppress(OSError):  # it has closed already
        for _ in range(100):
            connection.sendall(piece)

    with contextlib.suppress(ConnectionResetError):  # closed with unread bytes of ours on the way
        assert closed(connection).startswith(b"HTTP/1.1 431 ")


def test_the_rest_of_a_body_that_was_answered_early_has_a_deadline(connection: socket.socket) -> None:
    connection.sendall(b"POST /refused HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n")
    begun = time.monotonic()
    sender = threading.Thread(target=dripped, args=(connection, bytes(1000), 0.02))
    sender.start()

    with contextlib.suppress(ConnectionResetError):
        assert closed(connection).startswith(b"HTTP/1.1 400 ")

    assert time.monotonic() - begun < 5 * HEAD_S
    sender.join()


def test_a_slow_answer_is_not_cut_off_by_the_head_behind_it(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"slow" + HEAD[:10])

    said = b""
    while b"slow" not in said and (piece := connection.recv(1000)):
        said += piece

    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body.startswith(b"slow")  # that the head behind it is given up may be read in the same piece
