"""How much has been acted on lately: what the budgets of a policy are counted in.

Put here counts of decisions in a window that ends now; an index on decision and made_at makes them quick however long
the ledger is.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from weaver_forge.ledger.canonical import instant_text

if TYPE_CHECKING:
    from weaver_forge.ledger.ledger import Ledger


def acted_units(
    ledger: "Ledger", *, decision: str, action: str, unit: str, now: datetime, hours: float, stops: bool
) -> int:
    """Different units that a hook held back, or did something about, on a prediction in the window but ``unit``.

    Args:
        ledger: The ledger.
        decision: Its name.
        action: Action class; empty for the decision as a whole.
        unit: The one that is asked about now.
        now: End of the window, naive UTC.
        hours: Length of the window.
        stops: Whether those count that a person could still let through (supervised).
    """
    window = _window(decision, action, unit, now, hours)
    told = {"acts": '%"acts":true%', "person": '%"by":"person"%'}
    return int(ledger.select(_ACTED, {**window, **told, "stops": int(stops)})[0][0])


def decided_units(ledger: "Ledger", *, decision: str, action: str, unit: str, now: datetime, hours: float) -> int:
    """Different units that were decided on in the window; ``unit`` itself is left out."""
    return int(ledger.select(_DECIDED, _window(decision, action, unit, now, hours))[0][0])


def _window(decision: str, action: str, unit: str, now: datetime, hours: float) -> dict[str, Any]:
    about = {"decision": decision, "action": action, "unit": unit}
    return {**about, "since": instant_text(now - timedelta(hours=hours)), "now": instant_text(now)}


_DECIDED = """
-- grain: one row
select count(distinct unit) from decisions
where decision = :decision and made_at > :since and made_at <= :now
  and coalesce(action, '') = :action and unit <> :unit
"""

# What a person's rule or an unknown held back is no act on a prediction. What holds nothing back acts with exit code 0.
# Stored JSON has no spaces.
_ACTED = (
    _DECIDED
    + """  and (level = 'autonomous' or :stops = 1)
  and ((exit_code <> 0 and verdict in ('deny', 'review')) or (exit_code = 0 and inputs like :acts))
  and (inputs is null or inputs not like :person)
"""
)
