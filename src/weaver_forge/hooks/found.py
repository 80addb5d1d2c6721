"""What was found for a question: the rows of one decision unit, the judged one first, or why there are none. Pure.

Put here what rows of predictions say together. Where they are looked for is ``ci_gate``'s, their judgement policy's.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, cast

from weaver_forge.hooks.subject import Kind, unit_of
from weaver_forge.policy import PredictionView

Rows = list[dict[str, Any]]
Durations = Mapping[str, float | None]
"""Test -> milliseconds; None where a test is known and its duration is not."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of one unit, or why they cannot be used."""

    rows: Rows
    reason: str = ""
    contradiction: str = ""
    remark: str = ""


def of_one_unit(rows: Rows, kind: Kind, repo_id: str) -> Found:
    """Keep the rows of one decision unit; several units, or two numbers for one subject, contradict each other.

    Of units that differ in an instant alone (the windows of a service) the newest is meant: how it is now.
    """
    own = [row for row in rows if row.get("repo_id") == repo_id]
    rows, remark = _newest(own or rows, kind)
    units = sorted({unit_of(kind, row) for row in rows})
    if len(units) > 1:
        shown = ", ".join(units[:3]) + (", ..." if len(units) > 3 else "")
        return Found([], contradiction=f"the question matches {len(units)} subjects: {shown}")
    said: dict[tuple[Any, ...], float | None] = {}
    for row in rows:
        subject = tuple(row.get(name) for name in kind["key"])
        if subject in said and said[subject] != row.get("probability"):
            return Found(rows, contradiction="two predictions for the same subject disagree")
        said[subject] = row.get("probability")
    return Found(sorted(rows, key=_worst_first), remark=remark)


def _newest(rows: Rows, kind: Kind) -> tuple[Rows, str]:
    """The rows of the newest instant, and a remark on it, where nothing but an instant tells the units apart."""
    names = list(kind["decided_per"])
    instants = [name for name in names if rows and all(isinstance(row.get(name), datetime) for row in rows)]
    others = {tuple(row.get(name) for name in names if name not in instants) for row in rows}
    found = sorted({tuple(row[name] for name in instants) for row in rows})
    if len(found) < 2 or len(others) > 1:
        return rows, ""
    at = ", ".join(f"{name} {value:%Y-%m-%d %H:%M} UTC" for name, value in zip(instants, found[-1], strict=True))
    newest = [row for row in rows if tuple(row[name] for name in instants) == found[-1]]
    return newest, f"the newest of {len(found)} is meant: {at}"


def _worst_first(row: Mapping[str, Any]) -> tuple[bool, float, float]:
    """A number that is no probability must be seen by policy, so it comes first of all."""
    probability, score = row.get("probability"), row.get("score")
    impossible = probability is not None and not 0 <= probability <= 1
    ranked = [-value if value is not None and not math.isnan(value) else 0.0 for value in (probability, score)]
    return (not impossible, ranked[0], ranked[1])


def view_of(found: Found, durations: Durations = MappingProxyType({})) -> PredictionView | None:
    """What policy needs to know of the judged row, the first."""
    return replace(seen(found.rows[0], durations), contradiction=found.contradiction) if found.rows else None


def seen(row: Mapping[str, Any], durations: Durations = MappingProxyType({})) -> PredictionView:
    """What policy needs to know of one row.

    Args:
        row: A prediction.
        durations: Test -> what it takes in ms; None or absent where that is not known.
    """
    return PredictionView(
        probability=row.get("probability"),
        made_at=row["made_at"],
        data_as_of=row.get("data_as_of"),
        duration_ms=durations.get(str(row.get("test_id"))),
        value=row.get("value"),
    )


def judged_first(found: Found, waits: Iterable[bool]) -> Found:
    """Of what an action on low probability is asked about, the row that policy judges: first of those that may wait.

    Rows are likeliest first, so it is the one that comes nearest to having to run. A number that is no probability
    stays first: it makes all of them unknown.
    """
    impossible = bool(found.rows) and not _worst_first(found.rows[0])[0]
    place = next((place for place, may in enumerate(waits) if may), 0)
    if impossible or not place:
        return found
    rows = found.rows
    return replace(found, rows=[rows[place], *rows[:place], *rows[place + 1 :]])


def identity_of(kind: Kind, rows: Rows) -> dict[str, Any]:
    """The key columns that one decision covers, as the rows name them."""
    return {name: rows[0][name] for name in kind["decided_per"] if rows[0].get(name) is not None} if rows else {}


def missing_sources(rows: Rows) -> Sequence[str]:
    """Sources that the prediction would have used and did not have."""
    return cast("list[str]", json.loads(rows[0].get("sources_missing") or "[]")) if rows else []
