"""Webhooks: POST /webhooks/<sender>. A genuine delivery is on disk in the inbox before its sender is answered.

Put here the endpoint: what is answered, and when. Signatures are in ``signatures``, what a delivery is called in
``webhook_events``, the memory of earlier ones in ``deliveries``. No work is done on what was received: the pipeline
takes the envelopes in.

====  ================================================================================================================
202   stored; or known from an earlier delivery; or an event that nothing here uses (counted, not stored)
400   genuine, but nothing that this sender sends
401   the signature or token is missing or wrong
404   no secret is configured for this sender: the endpoint is off, not open
408   the body takes too long
413   the body is larger than 25 MB
415   the body is compressed, which none of the senders does
503   the disk does not take it now, or has too little room left: the sender is asked to come again (Retry-After)
====  ================================================================================================================
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from weaver_forge.decode.envelope import SENDERS, sealed
from weaver_forge.receivers.app import Answer, Request, Route
from weaver_forge.receivers.counters import WEBHOOKS, WEBHOOKS_WRITABLE, Counters, Metric
from weaver_forge.receivers.deliveries import Deliveries
from weaver_forge.receivers.otlp_intake import retry_after
from weaver_forge.receivers.segments import InboxFull, Segments
from weaver_forge.receivers.signatures import CHECKS
from weaver_forge.receivers.webhook_events import SOURCES, Delivery, Unusable, deliveries
from weaver_forge.receivers.webhook_secrets import secrets_of
from weaver_forge.settings import Settings

if TYPE_CHECKING:
    from concurrent.futures import Future

MAX_BYTES = 25_000_000
"""What GitHub, the sender with the largest payloads, caps its own at."""

_LOG = logging.getLogger(__name__)
_HEADER_ONLY = frozenset({"gitlab", "alertmanager", "argocd"})
"""Senders that prove themselves by a header alone: nobody else's body is even read."""
_SEGMENT_BYTES = 16 * 1024 * 1024
_SEGMENT_AGE_S = 5.0
_COUNTED = {"stored": "accepted", "known": "duplicate", "unused": "unused"}
"""What a delivery's sender is told -> what it is counted as."""


class Webhooks:
    """The endpoints of one deployment.

    Args:
        secrets: Sender -> its secrets; the endpoint of a sender without is off.
        inbox: The deployment's inbox.
        now: The deployment's clock.
        segment_age_s: How long a received delivery waits at most until the pipeline can see it.
        min_free_bytes: That must be left on the disk.
    """

    def __init__(
        self,
        secrets: Mapping[str, Sequence[bytes]],
        inbox: Path,
        *,
        now: Callable[[], datetime],
        segment_age_s: float = _SEGMENT_AGE_S,
        min_free_bytes: int = 0,
    ) -> None:
        self._secrets = {sender: found for sender, found in secrets.items() if found}
        self._now = now
        self._counters = Counters(WEBHOOKS)
        self._told: set[tuple[str, str]] = set()
        self._waiting: dict[tuple[str, ...], Future[None]] = {}
        self._segments: dict[str, Segments] = {}
        if not self._secrets:
            return
        for source in SOURCES:
            self._segments[source] = Segments(
                inbox / source / "received",
                suffix=".jsonl",
                max_bytes=_SEGMENT_BYTES,
                max_age_s=segment_age_s,
                now=now,
                prefix="webhooks-",
                framing="lines",
                min_free_bytes=min_free_bytes,
            )
        # A name with a dot: neither the intake nor the sensor takes it for input.
        self._deliveries = Deliveries(inbox / ".webhook-deliveries")

    @property
    def routes(self) -> list[Route]:
        """An endpoint a sender, also for those that are off; none needs the receiver's token."""
        return [
            Route(
                f"/webhooks/{sender}", partial(self._receive, sender), is_open=True, count=partial(self._count, sender)
            )
            for sender in SENDERS
        ]

    @property
    def senders(self) -> tuple[str, ...]:
        """Whose endpoints are on."""
        return tuple(self._secrets)

    @property
    def problem(self) -> str:
        """What the disk says, or an empty text."""
        return next((s.state.problem for s in self._segments.values() if s.state.problem), "")

    def values(self) -> dict[Metric, dict[tuple[str, ...], int]]:
        """What happened to deliveries since the start, by sender and outcome; and whether the inbox takes them."""
        writable: dict[tuple[str, ...], int] = {
            (source,): int(not segments.state.problem) for source, segments in self._segments.items()
        }
        return {**self._counters.snapshot(), WEBHOOKS_WRITABLE: writable}

    def close(self) -> None:
        """Store what is queued and seal the files."""
        for segments in self._segments.values():
            segments.close()

    async def _receive(self, sender: str, request: Request) -> Answer:
        secrets = self._secrets.get(sender)
        if not secrets:
            return self._off(sender)
        if sender in _HEADER_ONLY and not CHECKS[sender](secrets, request.headers, b"", self._now()):
            return self._refused(sender)
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            self._count(sender, "unsupported")
            return _answer(415, "a compressed body is not taken")
        return await self._taken(sender, secrets, request)

    async def _taken(self, sender: str, secrets: Sequence[bytes], request: Request) -> Answer:
        raw = await request.body(MAX_BYTES)
        if not CHECKS[sender](secrets, request.headers, raw, self._now()):
            return self._refused(sender)
        try:
            return await self._stored(sender, list(deliveries(sender, request.headers, raw)))
        except Unusable as problem:
            self._tell(sender, "bad_data", f"webhook of {sender} refused: {problem}")
            return _answer(400, str(problem))
        except InboxFull as problem:
            self._count(sender, "unavailable")
            said, after = retry_after(problem)
            return _answer(503, said, {"Retry-After": str(after)})

    def _off(self, sender: str) -> Answer:
        said = f"a webhook came for {sender}, which has no secret in [webhooks.{sender}]: its endpoint is off"
        self._tell(sender, "off", said)
        return _answer(404, "this endpoint is off: no secret is configured for it")

    def _refused(self, sender: str) -> Answer:
        said = "its signature or token is missing or wrong"
        self._tell(sender, "unauthorized", f"webhook of {sender} refused: {said}")
        return _answer(401, f"the {said.removeprefix('its ')}")

    def _tell(self, sender: str, outcome: str, said: str) -> None:
        """Count a refusal; the first of its kind is logged, until a delivery is taken: strangers may send many."""
        self._count(sender, outcome)
        if (sender, outcome) not in self._told:
            self._told.add((sender, outcome))
            _LOG.warning("%s (said once; /metrics counts all)", said)

    def _count(self, sender: str, outcome: str) -> None:
        self._counters.add(WEBHOOKS, (sender, outcome))

    async def _stored(self, sender: str, received: Sequence[Delivery]) -> Answer:
        outcomes = await asyncio.gather(*(self._store(sender, delivery) for delivery in received))
        for outcome in outcomes:
            self._count(sender, _COUNTED[outcome])
        self._told -= {(sender, "unauthorized"), (sender, "bad_data")}
        return _answer(202, ", ".join(dict.fromkeys(outcomes)) or "empty")

    async def _store(self, sender: str, delivery: Delivery) -> str:
        """Have it on disk, once; of two at the same time the second waits for the first."""
        if not delivery.source:
            return "unused"
        if delivery.key in self._deliveries:
            return "known"
        # Shielded, both: a sender that hangs up must not take the record from another that waits for it too.
        before = self._waiting.get(delivery.key)
        if before is not None:
            await asyncio.shield(asyncio.wrap_future(before))
            return "known"
        line = sealed(sender, delivery.event, " ".join(delivery.key[1:]), self._now(), delivery.body)
        future = self._segments[delivery.source].put(line)
        self._waiting[delivery.key] = future
        try:
            await asyncio.shield(asyncio.wrap_future(future))
        finally:
            self._waiting.pop(delivery.key, None)
        try:
            self._deliveries.add(delivery.key)
        except OSError as error:
            _LOG.warning("a delivery is stored, but its id could not be: %s", error)
        return "stored"


def open_webhooks(settings: Settings, *, min_free_bytes: int = 0) -> Webhooks:
    """The endpoints that weaver-forge.toml asks for.

    Args:
        settings: The deployment.
        min_free_bytes: That must be left on the disk.

    Raises:
        OSError: If the inbox cannot be written.
        ConfigurationError: If a secret is not understood, not there or empty.
    """
    webhooks = Webhooks(secrets_of(settings), settings.inbox, now=settings.now, min_free_bytes=min_free_bytes)
    off = [sender for sender in SENDERS if sender not in webhooks.senders]
    _LOG.info("webhooks on: %s; off, no secret: %s", ", ".join(webhooks.senders) or "none", ", ".join(off) or "none")
    return webhooks


def _answer(status: int, said: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, msgspec.json.encode({"status": said}), "application/json", headers or {})
