"""The answers of OTLP receivers, as protobuf and JSON: success, partial success, google.rpc.Status.

The messages have three fields between them, so they are written by hand: google.rpc's classes are in a package of
their own, and those of the three partial successes have the same numbers.
"""

import json
from typing import Literal

from weaver_forge.receivers.otlp_signals import Encoding, Outline, Signal

MEDIA: dict[Encoding, str] = {"protobuf": "application/x-protobuf", "json": "application/json"}

INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE = 3, 4, 8, 14
"""Codes of google.rpc.Code."""

_REJECTED: dict[Signal, str] = {
    "traces": "rejectedSpans",
    "metrics": "rejectedDataPoints",
    "logs": "rejectedLogRecords",
}
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_MAX_MESSAGE = 4000
"""Characters of an error message; an answer has to stay under 4 MiB."""


def success(signal: Signal, encoding: Encoding, outline: Outline) -> bytes:
    """An Export response: empty on full success, else with what was refused and why."""
    if not outline.rejected:
        return b"{}" if encoding == "json" else b""
    message = f"{outline.rejected} of {outline.items} are kept aside unread; the first: {outline.reason}"
    if encoding == "json":
        partial = {_REJECTED[signal]: str(outline.rejected), "errorMessage": message}
        return json.dumps({"partialSuccess": partial}).encode()
    return _bytes(1, _integer(1, outline.rejected) + _bytes(2, message.encode()))


def status(encoding: Encoding, code: int, message: str, *, retry_after_s: int | None = None) -> bytes:
    """A google.rpc.Status.

    Args:
        encoding: That of the request.
        code: Of google.rpc.Code.
        message: For the sender's log.
        retry_after_s: Adds a RetryInfo: the same may succeed later.
    """
    message = message[:_MAX_MESSAGE]
    if encoding == "json":
        document: dict[str, object] = {"code": code, "message": message}
        if retry_after_s is not None:
            document["details"] = [{"@type": _RETRY_INFO, "retryDelay": f"{retry_after_s}s"}]
        return json.dumps(document).encode()
    body = _integer(1, code) + _bytes(2, message.encode("utf-8", "replace"))
    if retry_after_s is not None:
        info = _bytes(1, _integer(1, retry_after_s))
        body += _bytes(3, _bytes(1, _RETRY_INFO.encode()) + _bytes(2, info))
    return body


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _integer(number: Literal[1], value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
