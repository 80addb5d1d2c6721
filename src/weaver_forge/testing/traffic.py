"""Simulated requests: how many arrive when, how long each call takes, and which fail.

Numbers only, vectorised a day at a time: a day is about 17,000 spans in the demo. Their bytes are made in
``otlp_writer``. The profile is a parameter of the truth, so that a forecast can be held against the real rate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from weaver_forge.testing.operations import Production
from weaver_forge.testing.plan import OrganisationPlan, unix_ns
from weaver_forge.testing.topology import Call, Route, routes, services, walk

BASE_ERROR = 0.003
NOT_FOUND = 0.008
PROPAGATION = 0.7
"""Probability that a failed call makes its caller fail as well."""

GROWTH_PER_DAY = 0.003
_WEEK = np.array([1.0, 1.02, 1.03, 1.05, 1.12, 0.82, 0.72])
_MINUTE_NS = 60_000_000_000

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of one kind (a place in the call tree of a route, and how it ended), as columns of equal length.

    Args:
        call: The server call; a client or database span is named after the call it makes or belongs to.
        caller: Service of a client span's own side; empty for server spans.
        kind: server, client or database.
        outcome: ok, error or not_found.
        ids: Trace id, span id and parent id, shape (n, 16 + 8 + 8); the parent is zeros in a root.
        start_ns: Nanoseconds since 1970.
    """

    call: Call
    caller: str
    kind: str
    outcome: str
    is_root: bool
    ids: Bytes
    start_ns: Ints
    end_ns: Ints

    @property
    def service(self) -> str:
        """Service whose resource the spans belong to."""
        return self.caller or self.call.service


_Below = tuple[Call, Callable[[Ints, Bytes], Iterator[Spans]], Ints]
"""A called service, how to emit its spans, and the time on the wire."""


class Traffic:
    """The requests of a plan, given what happened in production."""

    def __init__(self, plan: OrganisationPlan, production: Production) -> None:
        self.plan = plan
        self.routes = routes(plan.services)
        self._effects = [
            (i.culprit, unix_ns(i.started_at), unix_ns(i.resolved_at), i.mode, i.strength) for i in production.incidents
        ]
        self._own_ms = {service.name: service.own_ms for service in services(plan.services)}

    def day(self, day: int) -> Iterator[Spans]:
        """All spans of the traces that begin on this day (0-based), grouped by kind; the order is fixed."""
        rng = self.plan.rng("traffic", day)
        for route, per_minute in zip(self.routes, rates(self.plan, day), strict=True):
            counts = rng.poisson(per_minute * day_noise(self.plan, day))
            minutes = np.repeat(np.arange(1440, dtype=np.int64), counts)
            first = unix_ns(self.plan.starts_at + timedelta(days=day))
            start = first + minutes * _MINUTE_NS + rng.integers(0, _MINUTE_NS, size=minutes.size)
            yield from self._trace(route.root, np.sort(start), rng)

    def _trace(self, root: Call, start: Ints, rng: np.random.Generator) -> Iterator[Spans]:
        trace_ids = rng.integers(0, 256, size=(start.size, 16), dtype=np.uint8)
        _, _, _, emit = self._server(root, start, trace_ids, rng)
        yield from emit(start, np.zeros((start.size, 8), dtype=np.uint8))

    def _server(
        self, call: Call, at: Ints, trace_ids: Bytes, rng: np.random.Generator
    ) -> tuple[Ints, Flags, Flags, Callable[[Ints, Bytes], Iterator[Spans]]]:
        """Duration, failure and 404 of a server span, and how to emit it once its own start and parent are known."""
        n = at.size
        slower, failing = self._trouble(call.service, at)
        own = (self._own_ms[call.service] * rng.lognormal(0.0, 0.45, n) * slower * 1e6).astype(np.int64)
        failed = rng.random(n) < BASE_ERROR + failing
        offset = own * 3 // 10
        children: list[tuple[Ints, Ints, Flags, Flags, _Below | None]] = []
        none = np.zeros(n, dtype=np.bool_)
        if call.statement:
            waiting = (4.0 * rng.lognormal(0.0, 0.6, n) * 1e6).astype(np.int64)
            children.append((offset, waiting, none, none, None))
            offset = np.add(offset, waiting)  # never in place: the old one is kept in children
        for child in call.calls:
            inner, child_failed, child_missing, emit = self._server(child, at, trace_ids, rng)
            network = (0.8 * rng.lognormal(0.0, 0.5, n) * 1e6).astype(np.int64)
            failed |= child_failed & (rng.random(n) < PROPAGATION)
            children.append((offset, inner + network, child_failed, child_missing, (child, emit, network)))
            offset = np.add(offset, inner + network)
        missing = ~failed & (rng.random(n) < NOT_FOUND) & (call.method == "GET")
        duration = offset + own - own * 3 // 10
        span_ids = rng.integers(0, 256, size=(n, 8), dtype=np.uint8)
        client_ids = [rng.integers(0, 256, size=(n, 8), dtype=np.uint8) for _ in children]

        def emit_all(start: Ints, parent: Bytes) -> Iterator[Spans]:
            ids = np.hstack([trace_ids, span_ids, parent])
            yield from _split(call, "", "server", ids, start, duration, failed, missing)
            for (begin, length, child_failed, child_missing, below), own_ids in zip(children, client_ids, strict=True):
                ids = np.hstack([trace_ids, own_ids, span_ids])
                if below is None:
                    yield from _split(call, call.service, "database", ids, start + begin, length, none, none)
                    continue
                child, emit, network = below
                yield from _split(
                    child, call.service, "client", ids, start + begin, length, child_failed, child_missing
                )
                yield from emit(start + begin + network // 2, own_ids)

        return duration, failed, missing, emit_all

    def _trouble(self, service: str, at: Ints) -> tuple[Floats, Floats]:
        """Factor on the latency and added probability of an error of a service at these instants."""
        slower, failing = np.ones(at.size), np.zeros(at.size)
        for culprit, start, end, mode, strength in self._effects:
            if culprit == service:
                inside = (at >= start) & (at < end)
                if mode == "latency":
                    slower[inside] = np.maximum(slower[inside], strength)
                else:
                    failing[inside] = np.maximum(failing[inside], strength)
        return slower, failing


def rates(plan: OrganisationPlan, day: int) -> Floats:
    """Expected traces a minute, shape (routes, 1440), on a 0-based day, without the day's own noise."""
    found = routes(plan.services)
    lengths = [n_spans(route.root) for route in found]
    total = sum(
        r.weight * n * _day_factor(plan, d) for r, n in zip(found, lengths, strict=True) for d in range(plan.days)
    )
    scale = plan.spans / (total * 1440)
    expected: Floats = np.array([route.weight * scale * _day_factor(plan, day) * _shape(route) for route in found])
    return expected


def entry_rates(plan: OrganisationPlan, day: int) -> dict[str, Floats]:
    """Expected entry (server) spans a minute per service name, shape (1440,): what a perfect forecast would say."""
    found = {service.name: np.zeros(1440) for service in services(plan.services)}
    for route, per_minute in zip(routes(plan.services), rates(plan, day), strict=True):
        for call in walk(route.root):
            found[call.service] += per_minute
    return found


def day_noise(plan: OrganisationPlan, day: int) -> float:
    """The day's own factor on all rates, lognormal with mean one and 4 % spread: nobody can foresee it."""
    return float(plan.rng("day", day).lognormal(-0.0008, 0.04))


def holidays(plan: OrganisationPlan) -> tuple[int, ...]:
    """Days on which half the customers stay away."""
    return tuple(day for day in (24, 47) if day < plan.days)


def n_spans(call: Call) -> int:
    """Spans that one request makes from this call down, client and database spans included."""
    return 1 + bool(call.statement) + sum(1 + n_spans(child) for child in call.calls)


def _day_factor(plan: OrganisationPlan, day: int) -> float:
    weekday = (plan.start.weekday() + day) % 7
    return float(_WEEK[weekday] * (1 + GROWTH_PER_DAY) ** day * (0.55 if day in holidays(plan) else 1.0))


def _shape(route: Route) -> Floats:
    """Two peaks over the day, the higher one at the route's own hour; mean one."""
    hours = np.arange(1440) / 60.0
    main = np.exp(1.1 * np.cos(2 * np.pi * (hours - route.peak_hour) / 24))
    second = 0.5 * np.exp(1.6 * np.cos(2 * np.pi * (hours - route.peak_hour + 7.5) / 24))
    shape: Floats = (main + second) / (main + second).mean()
    return shape


def _split(
    call: Call,
    caller: str,
    kind: str,
    ids: Bytes,
    start: Ints,
    duration: Ints,
    failed: Flags,
    missing: Flags,
) -> Iterator[Spans]:
    """One group an outcome, so that every group has one template of bytes."""
    is_root = bool(ids.size) and not ids[0, 24:].any()
    for outcome, chosen in (("ok", ~failed & ~missing), ("error", failed), ("not_found", missing)):
        if chosen.any():
            begin = start[chosen]
            yield Spans(call, caller, kind, outcome, is_root, ids[chosen], begin, begin + duration[chosen])
