"""Deadlines for messages of gRPC calls: grpc itself waits for them without end.

One thread for all of them: a timer each would be a thread a call.
"""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

_LOOKS = 4
"""How often it is looked within the time that a message has."""


class Call(Protocol):
    """A call whose message is waited for."""

    def cancel(self) -> None:
        """End it; whoever waits for its message wakes up."""
        ...


class Deadlines:
    """Cancels calls whose message takes too long.

    Args:
        total_s: Seconds that a message may take; it is cancelled up to a quarter later.
    """

    def __init__(self, total_s: float) -> None:
        self._total_s = total_s
        self._waiting: dict[Call, float] = {}
        self._late: set[Call] = set()
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp-grpc deadlines", daemon=True)
        self._thread.start()

    @contextmanager
    def over(self, call: Call) -> Generator[None]:
        """Watch the wait for a call's message.

        Raises:
            TimeoutError: If it took too long; the call is cancelled, and what the wait ended with is its cause.
        """
        with self._lock:
            self._waiting[call] = time.monotonic() + self._total_s
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[call]
                is_late = call in self._late
                self._late.discard(call)
            if is_late:
                raise TimeoutError("the message took too long")

    def close(self) -> None:
        """End the thread."""
        self._is_closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed.wait(self._total_s / _LOOKS):
            now = time.monotonic()
            with self._lock:
                late = [call for call, end in self._waiting.items() if now > end and call not in self._late]
                self._late.update(late)
            for call in late:
                call.cancel()
