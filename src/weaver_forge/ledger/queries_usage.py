"""How much has been acted on lately: what the budgets of a policy are counted in.

Put here counts of decisions in a window that ends now. A decision's id begins with its time, so that a window is a
range of the primary key, however long the ledger is.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from weaver_forge.ledger.canonical import instant_text
from weaver_forge.ledger.identity import uuid7

if TYPE_CHECKING:
    from weaver_forge.ledger.ledger import Ledger


def acted_units(ledger: "Ledger", *, decision: str, action: str, unit: str, now: datetime, hours: float) -> int:
    """Different units that a hook held back on a prediction in the window; ``unit`` itself is left out."""
    return _count(ledger, _ACTED, decision, action, unit, now, hours)


def decided_units(ledger: "Ledger", *, decision: str, action: str, unit: str, now: datetime, hours: float) -> int:
    """Different units that were decided on in the window; ``unit`` itself is left out."""
    return _count(ledger, _DECIDED, decision, action, unit, now, hours)


def _count(ledger: "Ledger", sql: str, decision: str, action: str, unit: str, now: datetime, hours: float) -> int:  # noqa: ARG001 - told apart once decisions carry their action
    since = max(now - timedelta(hours=hours), datetime(1970, 1, 2))  # noqa: DTZ001 - instants are naive UTC inside
    parameters: dict[str, Any] = {
        "decision": decision,
        "unit": unit,
        "first": uuid7(since - _CLOCKS, bytes(10)),
        "since": instant_text(since),
        "now": instant_text(now),
    }
    return int(ledger.select(sql, parameters)[0][0])


_CLOCKS = timedelta(hours=1)
"""Ids are made by many clocks; the instants themselves are compared exactly."""

_WINDOW = """
from decisions
where decision_id >= :first and decision = :decision and unit <> :unit
  and made_at > :since and made_at <= :now
"""

_DECIDED = "-- grain: one row\nselect count(distinct unit)" + _WINDOW

_ACTED = _DECIDED + "  and exit_code <> 0 and verdict in ('deny', 'review')"
