"""What holds for every route: nobody holds the memory of the others, and none for ever."""

import asyncio
from typing import Any

import pytest

from weaver_forge.receivers.app import Answer, Application, Patience, Request, Route, application
from weaver_forge.receivers.auth import Tokens
from weaver_forge.receivers.budget import Budget


async def taken(request: Request) -> Answer:
    return Answer(200, str(len(await request.body(1000))).encode())


def app(**changes: Any) -> Application:
    routes = [Route("/open", taken, is_open=True), Route("/closed", taken)]
    return application(routes, tokens=Tokens(("t",)), **({"budget": Budget(1000)} | changes))


async def sent(to: Application, path: str, *chunks: bytes, every_s: float = 0.0, ends: bool = True) -> list[Any]:
    """What is answered to a body in pieces, whose last one may never come."""
    said: list[Any] = []
    left = list(chunks)

    async def receive() -> Any:
        await asyncio.sleep(every_s if left else 3600)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or not ends}

    async def send(message: Any) -> None:  # noqa: RUF029 - ASGI's interface
        said.append(message)

    headers = [(b"authorization", b"Bearer t")] if path == "/closed" else []
    await to({"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}, receive, send)
    return said


def test_strangers_whose_bodies_stall_do_not_use_up_what_known_senders_have() -> None:
    async def run() -> tuple[int, int]:
        to = app(max_open_bytes_in_flight=1000)
        stalled = [asyncio.create_task(sent(to, "/open", bytes(500), ends=False)) for _ in range(2)]
        await asyncio.sleep(0.01)
        known, stranger = await sent(to, "/closed", bytes(900)), await sent(to, "/open", bytes(1))
        for task in stalled:
            task.cancel()
        return known[0]["status"], stranger[0]["status"]

    assert asyncio.run(run()) == (200, 503)


@pytest.mark.parametrize("path", ["/open", "/closed"])
@pytest.mark.parametrize(
    ("patience", "chunks"),
    [(Patience(0.05, 60), 1), (Patience(60, 0.05), 100)],
    ids=["no byte for too long", "byte after byte"],
)
def test_a_body_that_takes_too_long_is_a_408_and_the_connection_is_closed(
    path: str, patience: Patience, chunks: int
) -> None:
    to = app(patience=patience)

    async def run() -> tuple[list[Any], list[Any]]:
        slow = await sent(to, path, *[b"x"] * chunks, every_s=0.01, ends=False)
        return slow, await sent(to, path, bytes(1000))

    slow, after = asyncio.run(run())

    assert slow[0]["status"] == 408
    assert (b"connection", b"close") in slow[0]["headers"]
    assert (after[0]["status"], after[1]["body"]) == (200, b"1000")  # its bytes were given back
