"""A REST server on this machine that misbehaves as real ones do: what the fake GitHub and the fake GitLab share.

Pages with Link headers, ETags and 304, a request budget with a reset, and faults at chosen requests. What is served
belongs in ``fake_github`` and ``fake_gitlab``. Time is simulated: a client that waits moves it on at once.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

Fault = Literal["500", "502", "503", "drop", "cut", "slow", "secondary", "secondary_after", "not_json"]


class FakeClock:
    """A clock that stands until somebody sleeps."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The simulated instant, naive UTC."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.slept.append(seconds)
        self._now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Served:
    """What a route gives: JSON, or nothing found.

    Args:
        data: A list is paged; anything else is sent as it is.
        wrap: Makes the page's list into the answer, given the whole count; None sends the list.
        reachable: Only so many items of a list can be turned to.
    """

    data: Any
    wrap: Callable[[list[Any], int], Any] | None = None
    reachable: int | None = None


@dataclass(slots=True)
class FakeServer:
    """The server. Use as a context manager; it listens from entering on.

    Args:
        clock: Simulated time, shared with the client.
        token: What requests must carry, as ``Authorization: Bearer`` or ``PRIVATE-TOKEN``; empty for none.
        budget: Requests an hour before it says that the limit is reached; an answer 304 is free. None for no limit.
        faults: Gives the fault of the n-th request (from 1), or None.
        prefix: Of limit headers: ``x-ratelimit`` (GitHub) or ``ratelimit`` (GitLab).
        limit_status: What it refuses with when the budget is spent.
    """

    clock: FakeClock
    token: str = ""
    budget: int | None = None
    faults: Callable[[int], Fault | None] = lambda _: None
    prefix: str = "x-ratelimit"
    limit_status: int = 403
    slow_s: float = 0.3
    requests: list[tuple[str, int]] = field(default_factory=list)
    """Every request and the status it got; 0 when the connection was dropped."""
    _left: int = 0
    _resets_at: datetime = datetime.min  # noqa: DTZ901 - naive UTC is the house rule
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _http: ThreadingHTTPServer | None = None

    def route(self, path: str, query: Mapping[str, str]) -> Served | None:
        """What is at a path; None when nothing is. Made by the fakes."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Listen on a free port of the loopback interface."""
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop listening."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()

    @property
    def address(self) -> str:
        """Where it listens, as a base for paths."""
        assert self._http is not None
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def statuses(self, start: int = 0) -> dict[int, int]:
        """How often each status was given from the ``start``-th request on."""
        given = [status for _, status in self.requests[start:]]
        return {status: given.count(status) for status in sorted(set(given))}

    def answer(self, target: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Answer one request that has no fault."""
        if self.token and self.token not in {headers.get("private-token"), headers.get("authorization", "")[7:]}:
            return 401, {}, b'{"message": "Bad credentials"}'
        limits = self._limits()
        if self.budget is not None and self._left <= 0:
            return self.limit_status, limits, b'{"message": "API rate limit exceeded"}'
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        served = self.route(parts.path, query)
        if served is None:
            self._left -= 1
            return 404, limits, b'{"message": "Not Found"}'
        data, links = self._page(served, parts.path, query)
        body = json.dumps(data).encode()
        etag = f'W/"{hashlib.sha256(body + str(links).encode()).hexdigest()}"'
        if headers.get("if-none-match") == etag:
            return 304, {**limits, "ETag": etag}, b""
        self._left -= 1
        return 200, {**limits, "ETag": etag, **links, "Content-Type": "application/json"}, body

    def _limits(self) -> dict[str, str]:
        if self.budget is None:
            return {}
        if self.clock.now() >= self._resets_at:
            self._left, self._resets_at = self.budget, self.clock.now() + timedelta(hours=1)
        reset = int(self._resets_at.replace(tzinfo=UTC).timestamp())
        return {f"{self.prefix}-remaining": str(max(self._left, 0)), f"{self.prefix}-reset": str(reset)}

    def _page(self, served: Served, path: str, query: dict[str, str]) -> tuple[Any, dict[str, str]]:
        if not isinstance(served.data, list):
            return served.data, {}
        size, number = int(query.get("per_page", "30")), int(query.get("page", "1"))
        reachable = served.data[: served.reachable]
        part = reachable[(number - 1) * size : number * size]
        links = {}
        if number * size < len(reachable):
            following = urlencode({**query, "page": str(number + 1)})
            links = {"Link": f'<{self.address}{path}?{following}>; rel="next", <{self.address}{path}>; rel="last"'}
        return served.wrap(part, len(served.data)) if served.wrap else part, links

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10
            wbufsize = 1 << 16  # headers and body in one packet: two would wait for each other 40 ms

            def do_GET(self) -> None:
                with fake._lock:
                    number = len(fake.requests) + 1
                    fault, asked = fake.faults(number), {name.lower(): value for name, value in self.headers.items()}
                    status, headers, body = (
                        fake.faulty(fault, self.path, asked) if fault else fake.answer(self.path, asked)
                    )
                    fake.requests.append((self.path, status))
                if fault == "slow":
                    threading.Event().wait(fake.slow_s)
                self._send(status, headers, body, cut=fault == "cut")

            def _send(self, status: int, headers: Mapping[str, str], body: bytes, *, cut: bool) -> None:
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if cut else body)
                self.close_connection = self.close_connection or cut

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                """Say nothing."""

        return Handler

    def faulty(self, fault: Fault, target: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Answer one request wrongly; status 0 drops the connection."""
        if fault in {"cut", "slow"}:
            return self.answer(target, headers)
        secondary = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}'
        return {
            "drop": (0, {}, b""),
            "500": (500, {}, b"oops"),
            "502": (502, {}, b"<html>Bad Gateway</html>"),
            "503": (503, {"Retry-After": "7"}, b""),
            "secondary": (403, {}, secondary),
            "secondary_after": (429, {"Retry-After": "31"}, secondary),
            "not_json": (200, {}, b"<html>maintenance</html>"),
        }[fault]
