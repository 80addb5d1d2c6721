"""How much has been acted on lately: what the budgets of a policy are counted in.

Put here counts of decisions in a window that ends now; an index on decision and made_at makes them quick however long
the ledger is.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from weaver_forge.ledger.canonical import instant_text

if TYPE_CHECKING:
    from weaver_forge.ledger.ledger import Ledger


def acted_units(ledger: "Ledger", *, decision: str, action: str, unit: str, now: datetime, hours: float) -> int:
    """Different units that a hook held back on a prediction in the window; ``unit`` itself is left out."""
    return _count(ledger, _ACTED, decision, action, unit, now, hours)


def decided_units(ledger: "Ledger", *, decision: str, action: str, unit: str, now: datetime, hours: float) -> int:
    """Different units that were decided on in the window; ``unit`` itself is left out."""
    return _count(ledger, _DECIDED, decision, action, unit, now, hours)


def _count(ledger: "Ledger", sql: str, decision: str, action: str, unit: str, now: datetime, hours: float) -> int:
    parameters: dict[str, Any] = {
        "decision": decision,
        "action": action,
        "unit": unit,
        "since": instant_text(now - timedelta(hours=hours)),
        "now": instant_text(now),
    }
    return int(ledger.select(sql, parameters)[0][0])


_DECIDED = """
-- grain: one row
select count(distinct unit) from decisions
where decision = :decision and made_at > :since and made_at <= :now
  and coalesce(action, '') = :action and unit <> :unit
"""

# What a person's rule or an unknown held back is no act on a prediction. Stored JSON has no spaces.
_ACTED = (
    _DECIDED
    + """  and exit_code <> 0 and verdict in ('deny', 'review')
  and (inputs is null or inputs not like '%"by":"person"%')
"""
)
