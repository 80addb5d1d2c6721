"""How much of what was sent may be in memory at once: one budget for all protocols and connections.

Put here the counting; what a sender is told who comes too late is the protocols'.
"""

import threading
from types import TracebackType
from typing import Self


class Crowded(Exception):  # noqa: N818 - what it is to the one who gets it
    """Too many bytes of other requests are in memory. Try again soon."""


class Budget:
    """Bytes of requests in memory; threads share it.

    Args:
        limit: The most that may be held.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """What is held now."""
        return self._used

    def ticket(self) -> "Ticket":
        """One request's share, from its first byte to its answer."""
        return Ticket(self)

    def add(self, size: int) -> bool:
        """Count; whether all of it is within the limit."""
        with self._lock:
            self._used += size
            return self._used <= self.limit


class Ticket:
    """One request's share of a budget; as a context manager it is given back at the end."""

    def __init__(self, budget: Budget) -> None:
        self._budget, self._size = budget, 0

    def take(self, size: int) -> None:
        """Count bytes that are in memory; they count until the ticket is given back, also when they are too many.

        Raises:
            Crowded: If there are too many.
        """
        self._size += size
        if not self._budget.add(size):
            raise Crowded

    def __enter__(self) -> Self:
        """The ticket."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The request is answered."""
        self._budget.add(-self._size)
        self._size = 0
