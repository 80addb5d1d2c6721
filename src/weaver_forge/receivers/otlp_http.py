"""OTLP/HTTP: ``POST /v1/traces``, ``/v1/metrics``, ``/v1/logs``, as protobuf or JSON.

Put here how a request becomes a message and what happened to it an answer. Under pressure the answer is 503, not
429: both are for trying again, but some SDKs (Python's) try again only after the former.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from weaver_forge.receivers.app import CLOSING, TEXT, Answer, BodyTooSlow, Request, Route
from weaver_forge.receivers.app import BodyTooLarge as TooLargeAsSent
from weaver_forge.receivers.budget import Crowded
from weaver_forge.receivers.otlp_answers import (
    DEADLINE_EXCEEDED,
    INVALID_ARGUMENT,
    MEDIA,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    status,
    success,
)
from weaver_forge.receivers.otlp_bodies import ENCODINGS, BodyTooLarge, BodyUnreadable, unpacked
from weaver_forge.receivers.otlp_intake import DISK_S, LARGE_AT_ONCE, OtlpIntake, Taken, retry_after
from weaver_forge.receivers.otlp_signals import SIGNALS, BadData, Encoding, Signal
from weaver_forge.receivers.segments import InboxFull

if TYPE_CHECKING:
    from collections.abc import Callable

_ENCODING: dict[str, Encoding] = {media: encoding for encoding, media in MEDIA.items()}
_REFUSED = (
    TooLargeAsSent,
    BodyTooLarge,
    BodyTooSlow,
    BadData,
    BodyUnreadable,
    InboxFull,
    Crowded,
    TimeoutError,
)
_INLINE_PACKED, _INLINE_PLAIN = 64 * 1024, 1024 * 1024
"""Larger bodies are read in a thread, so that the others are not kept waiting; a packed one may unpack a lot."""


def routes(intake: OtlpIntake) -> list[Route]:
    """One for each of the three signals."""
    large = asyncio.Semaphore(LARGE_AT_ONCE)
    return [
        Route(
            f"/v1/{signal}",
            partial(_export, intake, large, signal),
            count=partial(intake.count_refused, "http", signal),
        )
        for signal in SIGNALS
    ]


async def _export(intake: OtlpIntake, large: asyncio.Semaphore, signal: Signal, request: Request) -> Answer:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = _ENCODING.get(media)
    if encoding is None:
        intake.count_refused("http", signal, "unsupported")
        return Answer(415, f"the content type is one of {', '.join(_ENCODING)}\n".encode(), TEXT)
    said = _Said(intake, signal, encoding)
    packing = request.headers.get("content-encoding", "").strip().lower()
    if packing not in ENCODINGS:
        return said.refused(415, INVALID_ARGUMENT, "unsupported", f"content encodings are {', '.join(ENCODINGS[1:])}")
    try:
        body = await request.body(intake.limits.message)
        taken, size = await _taken(intake, large, signal, encoding, body, packing)
        if taken.stored is not None:
            async with asyncio.timeout(DISK_S):  # what is still unwritten then never will be
                await asyncio.wrap_future(taken.stored)
    except _REFUSED as error:
        return said.why(error, intake.limits.message)
    intake.count_accepted("http", signal, taken.outline, size)
    return Answer(200, success(signal, encoding, taken.outline), MEDIA[encoding])


async def _taken(
    intake: OtlpIntake, large: asyncio.Semaphore, signal: Signal, encoding: Encoding, body: bytes, packing: str
) -> tuple[Taken, int]:
    """Unpack, look, queue; gives the message's size too."""

    def work() -> tuple[Taken, int]:
        data = unpacked(body, packing, intake.limits.message)
        return intake.take(signal, encoding, data), len(data)

    if len(body) <= (_INLINE_PLAIN if packing in ENCODINGS[:2] else _INLINE_PACKED):
        return work()
    async with large:
        return await asyncio.to_thread(work)


class _Said:
    """Refusals of one request, counted, in its own encoding."""

    def __init__(self, intake: OtlpIntake, signal: Signal, encoding: Encoding) -> None:
        self._encoding: Encoding = encoding
        self._count: Callable[[str], None] = partial(intake.count_refused, "http", signal)

    def why(self, error: Exception, limit: int) -> Answer:
        """The answer to one of ``_REFUSED``."""
        if isinstance(error, TooLargeAsSent | BodyTooLarge):
            said = f"a request has at most {limit} bytes, unpacked too"
            return self.refused(413, RESOURCE_EXHAUSTED, "too_large", said)
        if isinstance(error, BadData | BodyUnreadable):
            return self.refused(400, INVALID_ARGUMENT, "bad_data", str(error))
        if isinstance(error, BodyTooSlow):
            return self.refused(408, DEADLINE_EXCEEDED, "too_slow", "the body took too long", headers=CLOSING)
        said, after = retry_after(error)
        return self.refused(503, UNAVAILABLE, "unavailable", said, after)

    def refused(
        self,
        http: int,
        code: int,
        outcome: str,
        message: str,
        retry_after_s: int | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A google.rpc.Status under an HTTP status."""
        self._count(outcome)
        again = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        body = status(self._encoding, code, message, retry_after_s=retry_after_s)
        return Answer(http, body, MEDIA[self._encoding], again | dict(headers or {}))
