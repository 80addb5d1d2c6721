"""The envelope of a received webhook: who sent it, what it is about, and its body as it came.

One JSON object a line, written by ``receivers`` and read by the decoders of the sources the webhook belongs to::

    {"sender": "github", "event": "workflow_run", "delivery": "72d3162e-...", "received_at": "2026-03-01T12:00:00Z",
     "body": {...}}

Saved payload files work the same as webhooks: what is no envelope is passed on as a plain document. What a body
means is its decoder's business; checking signatures belongs in ``receivers``.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from weaver_forge.contracts.batch import Frame, Rejected
from weaver_forge.decode.instants import parse_instant
from weaver_forge.decode.json_values import Unreadable, Value, values

SENDERS = ("github", "gitlab", "pagerduty", "alertmanager", "flux", "argocd", "cloudevents")
"""Who may send; an endpoint each."""

KEPT_BYTES = 64 * 1024 * 1024
"""Bytes that are kept of a refused document; of a longer one none, as a part could not be decoded again."""

_KEYS = frozenset({"sender", "event", "delivery", "received_at", "body"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One document, and what is known about how it came.

    Args:
        name: The file it stands in.
        position: Its place there, in words.
        body: The payload as sent.
        sender: One of :data:`SENDERS`; empty for a plain document, whose sender its structure must tell.
        event: The event's name as the sender's header says it (``workflow_run``); empty for a plain document.
        delivery: The sender's id of the delivery, the same when it is delivered again.
        received_at: When it was received, naive UTC; None for a plain document.
        data: The bytes of the whole line or document as they came, its envelope with it: what is refused of it is
            kept with all of them.
        offset: Where they begin in the file.
    """

    name: str
    position: str
    body: Any
    sender: str = ""
    event: str = ""
    delivery: str = ""
    received_at: datetime | None = None
    data: bytes = field(default=b"", compare=False, repr=False)
    offset: int | None = field(default=None, compare=False)

    def rejected(self, reason: str, *, position: str = "", piece: Any = None) -> Rejected:
        """The body, or a piece of it, as refused; kept is the line or document that it came with.

        Args:
            reason: What is wrong.
            position: The piece's place in words; that of the body when it is not given.
            piece: What is shown; the body when it is not given.
        """
        shown = json.dumps(self.body if piece is None and not position else piece, ensure_ascii=False, default=str)
        return Rejected(self.name, position or self.position, reason, shown[:4000], _kept(self.data), self.offset)


def envelopes(frames: Iterable[Frame]) -> Iterator[Envelope | Rejected]:
    """Yield every document of the files, one whole document or one a line; what is no JSON is refused alone."""
    for frame in frames:
        for value in values(frame):
            if isinstance(found := value.content, Unreadable):
                yield Rejected(
                    frame.name, value.position, found.reason, found.raw[:4000], _kept(value.data), value.offset
                )
            else:
                yield _opened(frame.name, value)


def sealed(sender: str, event: str, delivery: str, received_at: datetime, body: bytes) -> bytes:
    """Write one envelope as a line, without its newline. Numbers of the body stay digit for digit.

    Args:
        sender: One of :data:`SENDERS`.
        event: The event's name as the sender's header says it.
        delivery: The sender's id of the delivery.
        received_at: Naive UTC.
        body: The payload as sent, valid JSON: its caller has checked that.
    """
    return msgspec.json.encode(
        {
            "sender": sender,
            "event": event,
            "delivery": delivery,
            "received_at": f"{received_at.isoformat()}Z",
            "body": msgspec.Raw(msgspec.json.format(body, indent=-1)),
        }
    )


def _kept(data: bytes) -> bytes | None:
    return data if len(data) <= KEPT_BYTES else None


def _opened(name: str, line: Value) -> Envelope | Rejected:
    value = line.content
    plain = Envelope(name=name, position=line.position, body=value, data=line.data, offset=line.offset)
    # A GitHub payload has a key "sender" too, but an object under it.
    if not (isinstance(value, dict) and value.keys() == _KEYS and isinstance(value["sender"], str)):
        return plain
    received_at = parse_instant(str(value["received_at"]))
    if received_at is None:
        reason = f"received_at {str(value['received_at'])[:60]!r} of the envelope is not an instant"
        return plain.rejected(reason)
    return replace(
        plain,
        body=value["body"],
        sender=value["sender"],
        event=str(value["event"]),
        delivery=str(value["delivery"]),
        received_at=received_at,
    )
