"""What has been acted on before, for the budgets of a policy: counted in the ledger, or said to be unknown.

Put here how hooks count. The query itself is the ledger's; what a used-up budget means is policy's.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from weaver_forge.contracts.values import Level
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
    # What is done at the level that a used-up budget leaves in force uses nothing of it up.
    if (limit := rule.rate_limit) is not None:
        rate = acted_units(ledger, hours=limit.per_hours, stops=limit.then is Level.ASSISTED, **about)
    if (blast_radius := rule.blast_radius) is not None:
        hours = blast_radius.per_hours
        blast = acted_units(ledger, hours=hours, stops=blast_radius.then is Level.ASSISTED, **about)
        decided = decided_units(ledger, hours=hours, **about)
    return Usage(rate_units=rate, blast_units=blast, decided_units=decided)
