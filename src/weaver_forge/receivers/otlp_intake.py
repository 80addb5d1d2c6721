"""An OTLP message, however it came, on its way to the inbox: look at it, queue it, count it.

Put here what OTLP/HTTP and OTLP/gRPC share. Each turns the result into an answer of its protocol.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from weaver_forge.receivers import outline_json, outline_protobuf
from weaver_forge.receivers.budget import Crowded
from weaver_forge.receivers.counters import (
    BYTES,
    ITEMS,
    QUEUED_BYTES,
    QUEUED_RECORDS,
    REQUESTS,
    WRITABLE,
    Counters,
    Metric,
)
from weaver_forge.receivers.otlp_signals import SIGNALS, Encoding, Outline, Signal
from weaver_forge.receivers.segments import InboxFull, InboxUnwritable, Segments

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

DISK_S = 60.0
"""Seconds that a sender waits for the disk at most. What is unwritten then is dropped; what is just being written may
be stored although its sender is told to come again: nothing is lost, and the same span, point or record is one row."""

LARGE_AT_ONCE = 2
"""Large messages that a protocol unpacks at a time: memory, not processors, is what they take."""

_RETRY_SOON_S = 1
_RETRY_LATER_S = 5
"""Seconds until a sender tries again: a queue is short, a full disk lasts."""


class Clock(Protocol):
    """The deployment's clock."""

    def __call__(self) -> datetime:
        """The current instant."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is taken, in bytes and seconds.

    Args:
        message: Of one request, before and after it is unpacked.
        queued: That may wait for the disk, a signal.
        free: That must be left on the disk.
        segment: After which a file is handed over.
        segment_age_s: After which a file is handed over.
    """

    message: int = 64 * 2**20
    queued: int = 64 * 2**20
    free: int = 256 * 2**20
    segment: int = 64 * 2**20
    segment_age_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that was understood.

    Args:
        outline: What it has.
        stored: Done once it is on disk; None where there is nothing to store.
    """

    outline: Outline
    stored: "Future[None] | None"


def retry_after(error: Exception) -> tuple[str, int]:
    """What a sender is told who should come again, and in how many seconds."""
    if isinstance(error, InboxFull):
        return error.what, _RETRY_LATER_S if isinstance(error, InboxUnwritable) else _RETRY_SOON_S
    if isinstance(error, Crowded):
        return "too many large requests at once", _RETRY_SOON_S
    return "the disk takes too long", _RETRY_LATER_S


class OtlpIntake:
    """The three signals' segments, and the counts.

    Raises:
        OSError: If the folder cannot be made or what a crash left in it cannot be sealed.
    """

    def __init__(self, folder: Path, limits: Limits, now: Clock) -> None:
        self.limits = limits
        self.counters = Counters(REQUESTS, ITEMS, BYTES)
        self._segments: Mapping[Signal, Segments] = {
            signal: Segments(
                folder,
                prefix=f"{signal}-",
                suffix=".otlp",
                max_bytes=limits.segment,
                max_age_s=limits.segment_age_s,
                max_queued_bytes=limits.queued,
                min_free_bytes=limits.free,
                now=now,
            )
            for signal in SIGNALS
        }

    @property
    def recovered(self) -> list[Path]:
        """Files that a crash had left growing, sealed at the start."""
        return [path for segments in self._segments.values() for path in segments.recovered]

    @property
    def problem(self) -> str:
        """What the disk says, or an empty text."""
        return next((s.state.problem for s in self._segments.values() if s.state.problem), "")

    def take(self, signal: Signal, encoding: Encoding, data: bytes) -> Taken:
        """Look at a message and queue it.

        Raises:
            BadData: If it is no such message.
            InboxFull: If too much is waiting already.
        """
        if not data.strip():
            return Taken(Outline(0), None)
        found = (outline_json if encoding == "json" else outline_protobuf).outline(signal, data)
        if not found.items:
            return Taken(found, None)
        return Taken(found, self._segments[signal].put(data.strip() if encoding == "json" else data))

    def count_accepted(self, protocol: str, signal: Signal, outline: Outline, size: int) -> None:
        """Count a message that is on disk."""
        self.counters.add(REQUESTS, (protocol, signal, "partial" if outline.rejected else "accepted"))
        self.counters.add(BYTES, (signal,), size)
        self.counters.add(ITEMS, (signal, "accepted"), outline.items - outline.rejected)
        if outline.rejected:
            self.counters.add(ITEMS, (signal, "rejected"), outline.rejected)

    def count_refused(self, protocol: str, signal: Signal, outcome: str) -> None:
        """Count a request that was not taken."""
        self.counters.add(REQUESTS, (protocol, signal, outcome))

    def values(self) -> dict[Metric, dict[tuple[str, ...], int]]:
        """Everything for the exposition."""
        states = {signal: segments.state for signal, segments in self._segments.items()}
        return {
            **self.counters.snapshot(),
            QUEUED_RECORDS: {(signal,): state.queued_records for signal, state in states.items()},
            QUEUED_BYTES: {(signal,): state.queued_bytes for signal, state in states.items()},
            WRITABLE: {(signal,): int(not state.problem) for signal, state in states.items()},
        }

    def close(self) -> None:
        """Store what is queued and hand all files over."""
        for segments in self._segments.values():
            segments.close()
