"""uvicorn's HTTP protocol with a deadline for what uvicorn waits for without end: heads, and bodies nobody reads.

Put here what guards a connection before the application sees a request of it and after it has answered, and the log
from those who send what is none. The body in between is the application's (``app.Request.body``).
"""

import logging
import time
from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 15.0
"""Seconds for the whole head of a request, and for the rest of a body that was answered before its end."""

_HEAD_BYTES = 64 * 1024
_SELDOM_S = 60.0


class Seldom(logging.Filter):
    """Lets one line of a kind through in a while: strangers may send any number of requests that are none."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is to be logged."""
        now = time.monotonic()
        if now < self._last.get(str(record.msg), -_SELDOM_S) + _SELDOM_S:
            return False
        self._last[str(record.msg)] = now
        return "WebSocket library" not in str(record.msg)  # advice that is none here


class GuardedProtocol(HttpToolsProtocol):
    """One connection; it is closed where a head is too slow or too large."""

    head_s = HEAD_S
    _deadline: TimerHandle | None = None
    _is_begun = False
    _is_head = True
    _head_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """The first request has to come soon."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._settle()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless a head has no end."""
        if self._is_head:
            # Judged before the newest bytes are counted: with a head's end comes what follows it.
            if self._head_bytes > _HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")
                return
            self._head_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A head begins: also that of a later request of a connection that stays."""
        self._is_begun = self._is_head = True
        self._head_bytes = 0
        if self._deadline is None:
            self._expect()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there; the body is the application's to wait for."""
        self._is_head = False
        self._settle()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there."""
        self._is_begun = False
        self._settle()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """What is left of an answered request has to come soon too."""
        if self._is_begun and not self._is_head and not self.transport.is_closing():
            self._expect()
        super().on_response_complete()

    def _expect(self) -> None:
        self._settle()
        self._deadline = self.loop.call_later(self.head_s, self._is_late)

    def _settle(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _is_late(self) -> None:
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._expect()  # the request before this one is still being answered
        elif self._is_begun and self._is_head:
            self._refuse(b"408 Request Timeout")
        else:
            self.transport.close()

    def _refuse(self, status: bytes) -> None:
        self._settle()
        self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()
