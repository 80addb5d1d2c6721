"""One HTTP server for everything that is received: a table of routes as an ASGI application.

Put here what holds for every route: finding it, authentication, the body with its limit, an answer to whatever goes
wrong. What a route does is in its own module (``otlp_http``, ``webhooks``), which gives a list of ``Route`` to add.
Plain ASGI: with five fixed paths a framework would only cost time on every request.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from weaver_forge.receivers.auth import Tokens
from weaver_forge.receivers.budget import Budget, Crowded, Ticket

_LOG = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

TEXT = "text/plain; charset=utf-8"

_OPEN_BYTES_IN_FLIGHT = 4 * 25_000_000
"""Of bodies of routes whose caller is not known before the body is read: apart, so that strangers cannot use up what
those have who showed a token."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a body may take.

    Args:
        idle_s: Seconds without a byte.
        total_s: Seconds from its beginning to its end.
    """

    idle_s: float = 30.0
    total_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


class BodyTooLarge(Exception):  # noqa: N818
    """The body has more bytes than the route takes."""


class BodyTooSlow(Exception):  # noqa: N818
    """The body did not come in time."""


class Disconnected(Exception):  # noqa: N818
    """The client went away before its body was complete; nobody waits for an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What came.

    Args:
        method: In capitals.
        path: Without query.
        query: The raw query string.
        headers: Names in lower case; of a repeated header the last.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    receive: Receive = field(repr=False)
    ticket: Ticket = field(repr=False)
    patience: Patience = Patience()

    async def body(self, limit: int) -> bytes:
        """Read the body, as sent.

        Raises:
            BodyTooLarge: If it has more than ``limit`` bytes; judged by Content-Length before any is read.
            BodyTooSlow: If it takes too long.
            Crowded: If too many bytes of other requests are in memory.
            Disconnected: If the client went away.
        """
        announced = self.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced) > limit:
            raise BodyTooLarge
        try:
            async with asyncio.timeout(self.patience.idle_s) as deadline:
                return await self._read(limit, deadline)
        except TimeoutError as error:
            raise BodyTooSlow from error

    async def _read(self, limit: int, deadline: asyncio.Timeout) -> bytes:
        now = asyncio.get_running_loop().time
        end = now() + self.patience.total_s
        chunks: list[bytes] = []
        size = 0
        while True:
            deadline.reschedule(min(now() + self.patience.idle_s, end))
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge
            self.ticket.take(len(chunk))
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


Handler = Callable[[Request], Awaitable[Answer]]


def _uncounted(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Route:
    """One path of the server.

    Args:
        path: Exactly as in the URL, without query.
        handle: Answers a request. It may leave what ``Request.body`` raises to the server. Whatever else it raises is
            a fault of ours: logged and answered with 503, so that the sender keeps its data and tries again.
        methods: Others are answered with 405.
        is_open: Whether it is served without the receiver's token: health, and what has a signature of its own.
        count: Told the outcome of requests that the server refuses itself.
    """

    path: str
    handle: Handler
    methods: tuple[str, ...] = ("POST",)
    is_open: bool = False
    count: Callable[[str], None] = _uncounted


CLOSING = {"Connection": "close"}
"""Else the rest of a body would be read, however long it takes."""

_ANSWERS: dict[type[Exception], Answer] = {
    BodyTooLarge: Answer(413, b"the body is too large\n"),
    BodyTooSlow: Answer(408, b"the body took too long\n", headers=CLOSING),
    Crowded: Answer(503, b"too many large requests at once\n", headers={"Retry-After": "1"}),
}
_STOPPING = Answer(503, b"the receiver is stopping\n", headers={"Retry-After": "1"} | CLOSING)
_OUTCOMES = {401: "unauthorized", 405: "unsupported", 408: "too_slow", 413: "too_large", 503: "unavailable"}


def application(
    routes: Iterable[Route],
    *,
    tokens: Tokens,
    budget: Budget,
    max_open_bytes_in_flight: int = _OPEN_BYTES_IN_FLIGHT,
    patience: Patience = Patience(),
) -> Application:
    """Build the ASGI application of some routes.

    Args:
        routes: All of them; a path may be there once.
        tokens: Who may use routes that are not open.
        budget: Of bodies in memory.
        max_open_bytes_in_flight: The budget of open routes, apart.
        patience: How long a body may take.

    Raises:
        ValueError: If two routes have the same path.
    """
    table: dict[str, Route] = {}
    for route in routes:
        if table.setdefault(route.path, route) is not route:
            raise ValueError(f"two routes for {route.path}")
    strangers = Budget(max_open_bytes_in_flight)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        route = table.get(scope["path"])
        with (strangers if route is not None and route.is_open else budget).ticket() as ticket:
            request = Request(scope["method"], scope["path"], query, headers, receive, ticket, patience)
            try:
                answer = await _answer(route, request, tokens)
            except Disconnected:
                return
            except asyncio.CancelledError:  # the server stops and has waited long enough
                answer = _STOPPING
        await _send(answer, send, is_head=request.method == "HEAD")

    return app


async def _answer(route: Route | None, request: Request, tokens: Tokens) -> Answer:
    if route is None:
        return Answer(404, b"there is nothing here\n")
    refusal = _refusal(route, request, tokens)
    if refusal is None:
        try:
            return await route.handle(request)
        except (Disconnected, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence of a server
            refusal = _ANSWERS.get(type(error)) or _fault(request, error)
    route.count(_OUTCOMES[refusal.status])
    return refusal


def _refusal(route: Route, request: Request, tokens: Tokens) -> Answer | None:
    """What is answered without looking at the body."""
    if request.method not in route.methods and not (request.method == "HEAD" and "GET" in route.methods):
        return Answer(405, b"method not allowed\n", headers={"Allow": ", ".join(route.methods)})
    if not (route.is_open or tokens.admits(request.headers)):
        return Answer(401, b"a valid bearer token is needed\n", headers={"WWW-Authenticate": "Bearer"})
    return None


def _fault(request: Request, error: Exception) -> Answer:
    """A retryable answer: what the sender has is not lost by a fault of ours."""
    _LOG.error("%s %s failed, which is a fault of this program: %r", request.method, request.path, error)
    _LOG.debug("where it failed", exc_info=error)
    return Answer(503, b"internal error\n", headers={"Retry-After": "5"})


async def _send(answer: Answer, send: Send, *, is_head: bool) -> None:
    headers = [
        (b"content-type", answer.content_type.encode("latin-1")),
        (b"content-length", str(len(answer.body)).encode()),
        *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else answer.body})
