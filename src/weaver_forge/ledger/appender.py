"""Many callers of one process share a commit: the price of a durable write is one sync, whoever takes part in it.

For servers, receivers and runs that decide often. A hook that answers one question calls ``Ledger.append``.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from weaver_forge.errors import ContractError, StoreBusy, StoreFull, UsageError
from weaver_forge.ledger.appending import Request, prepared
from weaver_forge.ledger.ledger import Ledger
from weaver_forge.ledger.schema import CURRENT

GATHER_S = 0.002
"""How long the first of a group waits for others; what queues up during a commit joins the next without waiting."""

MOST = 1000
"""Rows after which a group waits for no more: the head lock is not held for longer than this takes."""


@dataclass(frozen=True, slots=True)
class _Asked:
    request: Request
    answer: "Future[int]"


class Appender:
    """Appends for any number of threads over one connection; closing it waits for all that was handed in.

    A caller is answered when its rows are durable. Rows of different callers that come together share a transaction
    and, where they are of one kind, a link; one caller's bad rows cost nobody else's. The order of one caller's calls
    is kept.

    Args:
        open_ledger: Opens the ledger; called in the thread that writes, again after the connection was lost.
        gather_s: How long a group waits for others.
        most: Rows after which it waits for no more.
    """

    def __init__(self, open_ledger: Callable[[], Ledger], *, gather_s: float = GATHER_S, most: int = MOST) -> None:
        self._open, self._gather_s, self._most = open_ledger, gather_s, most
        self._queue: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None
        self._thread = threading.Thread(target=self._run, name="ledger appender", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Use as a context manager to wait for everything at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def append(self, kind: str, rows: Sequence[Mapping[str, Any]], *, now: datetime) -> int:
        """As ``Ledger.append``: returns when the rows are durable.

        Raises:
            ContractError: If a row does not fit, or a known id says something else.
            SourceError: If the ledger could not take the rows. They may be sent again under the same ids.
        """
        return self.submit(kind, rows, now=now).result()

    def submit(self, kind: str, rows: Sequence[Mapping[str, Any]], *, now: datetime) -> "Future[int]":
        """Hand rows in without waiting; the future is answered as ``append`` would.

        Raises:
            ContractError: If a row does not fit its table.
            UsageError: If the appender was closed.
        """
        asked = _Asked(prepared(CURRENT, kind, rows, now), Future())
        with self._lock:
            if self._closed:
                raise UsageError("the appender is closed", where="ledger", do="Open another")
            self._queue.put(asked)
        return asked.answer

    def close(self) -> None:
        """Write what was handed in, then let go of the ledger."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        group = self._group()
        while group:
            self._write(group)
            group = self._group()
        if self._ledger is not None:
            self._ledger.close()

    def _group(self) -> list[_Asked]:
        """What comes together; empty when the appender was closed and nothing is left."""
        first = self._queue.get()
        if first is None:
            return []
        group, n_rows = [first], len(first.request.rows)
        until = time.monotonic() + self._gather_s
        while n_rows < self._most:
            try:
                asked = self._queue.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                break
            if asked is None:
                self._queue.put(None)  # the end, for the next look
                break
            group.append(asked)
            n_rows += len(asked.request.rows)
        return group

    def _write(self, group: list[_Asked]) -> None:
        try:
            if self._ledger is None:
                self._ledger = self._open()
            added = self._ledger.append_all([asked.request for asked in group])
        except ContractError as error:
            if len(group) == 1:
                group[0].answer.set_exception(error)
                return
            for asked in group:  # somebody's rows contradict what is known: each by itself
                self._write([asked])
        except BaseException as error:  # noqa: BLE001 - whatever it was, the callers wait for an answer
            if not isinstance(error, StoreBusy | StoreFull):
                self._let_go()
            for asked in group:
                asked.answer.set_exception(error)
        else:
            for asked, n in zip(group, added, strict=True):
                asked.answer.set_result(n)

    def _let_go(self) -> None:
        """After a connection was lost: the next group opens another."""
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger.close()
