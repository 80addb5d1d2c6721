"""The envelope of a received webhook: who sent it, what it is about, and its body as it came.

One JSON object a line, written by ``receivers`` and read by the decoders of the sources the webhook belongs to::

    {"sender": "github", "event": "workflow_run", "delivery": "72d3162e-...", "received_at": "2026-03-01T12:00:00Z",
     "body": {...}}

Saved payload files work the same as webhooks: what is no envelope is passed on as a plain document. What a body
means is its decoder's business; checking signatures belongs in ``receivers``.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from weaver_forge.contracts.batch import Frame, Rejected
from weaver_forge.decode.instants import parse_instant
from weaver_forge.decode.json_values import Unreadable, values

SENDERS = ("github", "gitlab", "pagerduty", "alertmanager", "flux", "argocd", "cloudevents")
"""Who may send; an endpoint each."""

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
    """

    name: str
    position: str
    body: Any
    sender: str = ""
    event: str = ""
    delivery: str = ""
    received_at: datetime | None = None

    def rejected(self, reason: str) -> Rejected:
        """The body as a refused piece."""
        return Rejected(self.name, self.position, reason, json.dumps(self.body, ensure_ascii=False)[:4000])


def envelopes(frames: Iterable[Frame]) -> Iterator[Envelope | Rejected]:
    """Yield every document of the files, one whole document or one a line; what is no JSON is refused alone."""
    for frame in frames:
        for position, value in values(frame):
            if isinstance(value, Unreadable):
                yield Rejected(frame.name, position, value.reason, value.raw[:4000])
            else:
                yield _opened(frame.name, position, value)


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


def _opened(name: str, position: str, value: Any) -> Envelope | Rejected:
    # A GitHub payload has a key "sender" too, but an object under it.
    if not (isinstance(value, dict) and value.keys() == _KEYS and isinstance(value["sender"], str)):
        return Envelope(name=name, position=position, body=value)
    received_at = parse_instant(str(value["received_at"]))
    if received_at is None:
        reason = f"received_at {str(value['received_at'])[:60]!r} of the envelope is not an instant"
        return Rejected(name, position, reason, json.dumps(value, ensure_ascii=False)[:4000])
    return Envelope(
        name=name,
        position=position,
        body=value["body"],
        sender=value["sender"],
        event=str(value["event"]),
        delivery=str(value["delivery"]),
        received_at=received_at,
    )
