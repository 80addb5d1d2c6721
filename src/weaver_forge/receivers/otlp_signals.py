"""What can be said of an OTLP request before it is stored: is it one, how many items, and which will be refused.

Put here what both encodings share; how each is read is in ``outline_protobuf`` and ``outline_json``, what must hold of
points and records in ``outline_rules``. Looking must cost about as much as parsing. Everything else (attributes,
resources, events, bodies) is judged by the decoder after the fact, in whose quarantine the refused items can be looked
at: a request is stored whole whatever is wrong with single items of it. The rules are the decoder's, and a test holds
both together.
"""

from dataclasses import dataclass
from typing import Literal

Signal = Literal["traces", "metrics", "logs"]
Encoding = Literal["protobuf", "json"]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
ITEMS: dict[Signal, str] = {"traces": "spans", "metrics": "data points", "logs": "log records"}

MAX_TIME = 2**63 - 1
NO_TRACE, NO_SPAN = bytes(16), bytes(8)


class BadData(ValueError):  # noqa: N818 - what the sender is told
    """It is no request of this signal: sending it again cannot help."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What a request has.

    Args:
        items: Spans, data points or log records.
        rejected: How many of them the decoder is known to refuse.
        reason: Why the first of them is.
    """

    items: int
    rejected: int = 0
    reason: str = ""


@dataclass(slots=True)
class Tally:
    """An outline while it is looked at."""

    items: int = 0
    rejected: int = 0
    reason: str = ""

    def look(self, reason: str) -> None:
        """One item, and why it will be refused, or an empty text."""
        self.items += 1
        if reason:
            self.refuse(reason)

    def refuse(self, reason: str, items: int = 1) -> None:
        """Some of the items will be refused."""
        self.rejected += items
        if items and not self.reason:
            self.reason = reason

    def outline(self) -> Outline:
        """What was found."""
        return Outline(self.items, self.rejected, self.reason)


def why(trace_id: bytes, span_id: bytes, parent: bytes, name: bytes, start: int, end: int) -> str:
    """Why a span that breaks a rule is refused, in the decoder's words."""
    if len(trace_id) != 16 or trace_id == NO_TRACE:
        return "the trace id is not 16 bytes with one of them not zero"
    if len(span_id) != 8 or span_id == NO_SPAN:
        return "the span id is not 8 bytes with one of them not zero"
    if len(parent) not in {0, 8}:
        return "the parent span id is not 8 bytes"
    if not is_utf8(name):
        return "the span's name is not UTF-8"
    return "a time is beyond the year 2262" if max(start, end) > MAX_TIME else "the span ends before it starts"


def is_utf8(text: bytes) -> bool:
    """Whether a name can be stored as text."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
