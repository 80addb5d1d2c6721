"""Whether what was done came true: the item's own query, on the data since then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from weaver_forge.insights.hypothesis import Rows, literal


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a check.

    Args:
        state: "came true", "did not come true" or "insufficient data".
        text: With the numbers: "0.08 of 25 changes, below 0.31", "insufficient data: 4 of 20 changes".
        n: Units seen since then.
        value: What they show; None where there are too few.
    """

    state: str
    text: str
    n: int
    value: float | None


def judged(check: Mapping[str, Any], done_at: datetime, ask: Callable[[str], Rows]) -> Judged:
    """Ask the check's query about the time since it was done.

    Args:
        check: A ``Check`` as data: it was written down when the item was carried out.
        done_at: When that was.
        ask: Runs a query on the published snapshot.
    """
    row = ask(str(check["query"]).replace("$done", literal(done_at)))[0]
    n, noun, least = int(row["n"] or 0), str(check["noun"]), int(check["least"])
    if n < least or row["value"] is None:
        return Judged("insufficient data", f"insufficient data: {n} of {least} {noun}", n, None)
    value, bar = float(row["value"]), float(check["below"])
    came = value < bar
    said = f"{value:.3g} over {n} {noun}, {'below' if came else 'not below'} {bar:.3g}"
    return Judged("came true" if came else "did not come true", said, n, value)
