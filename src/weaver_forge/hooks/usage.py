"""What has been acted on before, for the budgets of a policy: counted in the ledger, or said to be unknown.

Put here how hooks count. The query itself is the ledger's; what a used-up budget means is policy's.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from weaver_forge.errors import WeaverForgeError
from weaver_forge.hooks.asking import CountUsage
from weaver_forge.hooks.record import Record
from weaver_forge.ledger.queries_usage import acted_units, decided_units
from weaver_forge.policy import Rule, Usage

if TYPE_CHECKING:
    from weaver_forge.ledger import Ledger


def counting(record: Record, now: datetime) -> CountUsage:
    """A way to count during one answer; where no ledger answers, the usage is unknown and a note says so."""

    def count(rule: Rule, unit: str) -> Usage | None:
        if record.ledger is None:
            return None
        try:
            return _counted(record.ledger, rule, unit, now)
        except (OSError, WeaverForgeError) as error:
            record.notes.append(f"the ledger did not say what has been acted on: {error}")
            return None

    return count


def _counted(ledger: "Ledger", rule: Rule, unit: str, now: datetime) -> Usage:
    about: dict[str, Any] = {"decision": rule.decision, "action": rule.action, "unit": unit, "now": now}
    rate = blast = decided = 0
    if rule.rate_limit is not None:
        rate = acted_units(ledger, hours=rule.rate_limit.per_hours, **about)
    if rule.blast_radius is not None:
        blast = acted_units(ledger, hours=rule.blast_radius.per_hours, **about)
        decided = decided_units(ledger, hours=rule.blast_radius.per_hours, **about)
    return Usage(rate_units=rate, blast_units=blast, decided_units=decided)
