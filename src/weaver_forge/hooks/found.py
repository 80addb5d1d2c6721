"""What was found for a question: the rows of one decision unit, the judged one first, or why there are none. Pure.

Put here what rows of predictions say together. Where they are looked for is ``ci_gate``'s, their judgement policy's.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from weaver_forge.hooks.subject import Kind, unit_of
from weaver_forge.policy import PredictionView

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of one unit, or why they cannot be used."""

    rows: Rows
    reason: str = ""
    contradiction: str = ""
    remark: str = ""


def of_one_unit(rows: Rows, kind: Kind, repo_id: str) -> Found:
    """Keep the rows of one decision unit; several units, or two numbers for one subject, contradict each other."""
    own = [row for row in rows if row.get("repo_id") == repo_id]
    rows = own or rows
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
    return Found(sorted(rows, key=_worst_first))


def _worst_first(row: Mapping[str, Any]) -> tuple[bool, float, float]:
    """A number that is no probability must be seen by policy, so it comes first of all."""
    probability, score = row.get("probability"), row.get("score")
    impossible = probability is not None and not 0 <= probability <= 1
    ranked = [-value if value is not None and not math.isnan(value) else 0.0 for value in (probability, score)]
    return (not impossible, ranked[0], ranked[1])


def view_of(found: Found) -> PredictionView | None:
    """What policy needs to know of the judged row."""
    if not found.rows:
        return None
    worst = found.rows[0]
    return PredictionView(
        probability=worst.get("probability"),
        made_at=worst["made_at"],
        data_as_of=worst.get("data_as_of"),
        contradiction=found.contradiction,
        value=worst.get("value"),
    )


def identity_of(kind: Kind, rows: Rows) -> dict[str, Any]:
    """The key columns that one decision covers, as the rows name them."""
    return {name: rows[0][name] for name in kind["decided_per"] if rows[0].get(name) is not None} if rows else {}


def missing_sources(rows: Rows) -> Sequence[str]:
    """Sources that the prediction would have used and did not have."""
    return cast("list[str]", json.loads(rows[0].get("sources_missing") or "[]")) if rows else []
