"""Who calls whom, as known at a time: the services downstream and upstream of one.

Put what a neighbour's evidence adds in ``features.py``, and the ranking of causes in ``causes.py``.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

FARTHEST = 4
"""Calls between a hurt service and a cause that is still considered."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Calls between services, each with the time from which it is known.

    Args:
        times: Distinct times at which a new call between two services became known, ascending.
        calls: The calls known from each of these times on: caller -> callees in order of their key.
    """

    times: list[datetime]
    calls: list[dict[str, list[str]]]
    memory: dict[tuple[int, str], dict[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, edges: pl.DataFrame) -> "Topology":
        """From rows of ``core_trace__edges``; row order does not matter."""
        firsts = (
            edges.filter(pl.col("caller_key") != pl.col("callee_key"))
            .group_by("caller_key", "callee_key")
            .agg(pl.col("known_at").min())
            .sort("known_at", "caller_key", "callee_key")
        )
        times: list[datetime] = []
        calls: list[dict[str, list[str]]] = []
        now: dict[str, list[str]] = {}
        for caller, callee, known_at in firsts.iter_rows():
            now = {**now, caller: sorted([*now.get(caller, []), callee])}
            if times and times[-1] == known_at:
                calls[-1] = now
            else:
                times.append(known_at)
                calls.append(now)
        return cls(times, calls)

    def version(self, at: datetime) -> int:
        """Number of the set of calls known at a time; 0 = none."""
        return bisect_right(self.times, at)

    def callees(self, version: int, service_key: str) -> list[str]:
        """Services it calls directly."""
        return self.calls[version - 1].get(service_key, []) if version else []

    def callers(self, version: int, service_key: str) -> list[str]:
        """Services that call it directly."""
        return sorted(c for c, to in self.calls[version - 1].items() if service_key in to) if version else []

    def downstream(self, version: int, service_key: str) -> dict[str, int]:
        """Everything reachable, itself included, with its distance in calls, nearest first."""
        known = self.memory.get((version, service_key))
        if known is not None:
            return known
        distance = {service_key: 0}
        edge = [service_key]
        for far in range(1, FARTHEST + 1):
            found = sorted({callee for service in edge for callee in self.callees(version, service)} - set(distance))
            distance.update(dict.fromkeys(found, far))
            edge = found
        self.memory[version, service_key] = distance
        return distance
