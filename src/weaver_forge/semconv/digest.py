"""Findings of many services -> what a reader needs to see: one row an attribute and finding, worst first.

Rows in are those that a report has: ``service_key, signal, finding_id, level, attribute, n, message``. Nothing is
judged here, and what is left out is counted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

LEVELS = ("violation", "improvement", "information")
"""Worst first."""


@dataclass(frozen=True, slots=True)
class Digest:
    """One finding on one attribute (metric, event), over all services and signals.

    Args:
        level: Of the finding.
        finding_id: Weaver's name of it.
        attribute: What it is about; empty for what was folded.
        n: Times.
        services: Those that have it, the most times first.
        signals: Where it was found.
        message: The most frequent, and how many others there were.
    """

    level: str
    finding_id: str
    attribute: str
    n: int
    services: tuple[str, ...]
    signals: tuple[str, ...]
    message: str


def digests(rows: Iterable[Mapping[str, Any]]) -> list[Digest]:
    """Group findings by attribute and finding id; worst level first, then the most frequent.

    That a deprecated attribute is not stable either is left out: it follows.
    """
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["level"], row["finding_id"], row["attribute"]].append(row)
    deprecated = {attribute for _, finding_id, attribute in groups if finding_id == "deprecated"}
    found = [
        _digest(key, group) for key, group in groups.items() if not (key[1] == "not_stable" and key[2] in deprecated)
    ]
    return sorted(found, key=lambda each: (LEVELS.index(each.level), -each.n, each.finding_id, each.attribute))


def folded(found: Sequence[Digest], most: int) -> list[Digest]:
    """At most so many rows of one finding id, the least frequent of the others folded into one row after them."""
    kinds: dict[str, list[Digest]] = defaultdict(list)
    for each in found:
        kinds[each.finding_id].append(each)
    shown = []
    for each in found:
        kind = kinds[each.finding_id]
        place = kind.index(each)
        if place < most or len(kind) <= most + 1:
            shown.append(each)
        elif place == most:
            shown.append(_rest(kind[most:]))
    return shown


def by_service(quality: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a service, the worst score first: its attributes over all days, as ``bulk`` defines their quality.

    Args:
        quality: ``service_key, n_samples, n_violations, coverage`` a service and day.
    """
    found = []
    for key, group in groupby(sorted(quality, key=itemgetter("service_key")), key=itemgetter("service_key")):
        days = list(group)
        n = sum(day["n_samples"] for day in days)
        violations = sum(day["n_violations"] for day in days)
        defined = sum(round(day["n_samples"] * (day["coverage"] or 0.0)) for day in days)
        found.append(
            {
                "service_key": key,
                "n_samples": n,
                "n_undefined": n - defined,
                "n_violations": violations,
                "coverage": defined / n if n else None,
                "score": (1 - violations / n) * (defined / n) if n else None,
            }
        )
    return sorted(found, key=lambda row: (row["score"] is None, row["score"] or 0.0, row["service_key"]))


def _digest(key: tuple[str, str, str], group: Sequence[Mapping[str, Any]]) -> Digest:
    services: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    for row in group:
        services[row["service_key"]] += row["n"]
        messages[row["message"]] += row["n"]
    (message, _), *others = messages.most_common()
    more = f" (and {len(others)} more of the kind)" if others else ""
    ordered = sorted(services, key=lambda name: (-services[name], name))
    signals = tuple(sorted({str(row["signal"]) for row in group}))
    return Digest(*key, services.total(), tuple(ordered), signals, message + more)


def _rest(kind: Sequence[Digest]) -> Digest:
    services = dict.fromkeys(name for each in kind for name in each.services)
    signals = sorted({name for each in kind for name in each.signals})
    names = ", ".join(each.attribute for each in kind[:5])
    message = f"{len(kind)} more: {names}{', ...' if len(kind) > 5 else ''}"
    return Digest(
        kind[0].level, kind[0].finding_id, "", sum(each.n for each in kind), tuple(services), tuple(signals), message
    )
