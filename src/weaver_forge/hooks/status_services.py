"""What the published snapshot says of services and bills: p95 around actions, and what was billed.

Put here queries of a snapshot for ``status``. What follows from the numbers is ``insights.status_effects``'.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from weaver_forge.insights.status_effects import Change

if TYPE_CHECKING:
    from weaver_forge.snapshot import Snapshot

MINUTES, CHARGES = "core_trace__red_minutes", "core_cost__charges"
AROUND = timedelta(hours=24)
"""How long before and after an action is looked at: a whole day on both sides, so that its hours are alike."""

LEAST_MINUTES = 30
"""Minutes with requests on both sides below which a service's p95 is not compared."""


def billed(snapshot: "Snapshot", since: datetime, until: datetime) -> dict[str, Decimal]:
    """Currency -> what was billed for charge periods that lie wholly in the window; without those of nothing billed."""
    if CHARGES not in snapshot.tables():
        return {}
    rows = snapshot.rows(
        f"select billing_currency, sum(billed_cost) as billed from {CHARGES} "  # noqa: S608 - a constant
        "where charge_period_start >= ? and charge_period_end <= ? group by billing_currency order by billing_currency",
        [since, until],
    )
    return {row["billing_currency"]: Decimal(row["billed"]) for row in rows if row["billed"] > 0}


def has_p95(snapshot: "Snapshot") -> bool:
    """Whether any service's p95 is published."""
    return MINUTES in snapshot.tables() and bool(snapshot.rows(f"select 1 from {MINUTES} limit 1"))  # noqa: S608 - a constant


def changes(snapshot: "Snapshot", acts: Sequence[Mapping[str, Any]], since: datetime, now: datetime) -> list[Change]:
    """How p95 changed around each action on a service, beside the services that nothing was done to then.

    An action counts when the day after it is over and neither that day nor the one before has another one on the same
    service.

    Args:
        snapshot: The published one.
        acts: ``service_key`` and ``made_at`` of everything that was ever done to services.
        since: Actions from then on are measured.
        now: Naive UTC.
    """
    found = []
    for act in acts:
        at, service = act["made_at"], act["service_key"]
        touched = {other["service_key"] for other in acts if other is not act and abs(other["made_at"] - at) < AROUND}
        if service in touched or at < since or at + AROUND > now:
            continue
        ratios = _log_ratios(snapshot, at)
        if service in ratios:
            untouched = [ratio for name, ratio in ratios.items() if name != service and name not in touched]
            found.append(Change(service=service, log_ratio=ratios[service], untouched=untouched))
    return found


def _log_ratios(snapshot: "Snapshot", at: datetime) -> dict[str, float]:
    """Service -> log of its median p95 a minute in the day after an instant, to that of the day before."""
    rows = snapshot.rows(
        f"""
        select service_key, ln(after_ms / before_ms) as log_ratio from (
            select service_key,
                median(duration_p95_ms) filter (where minute_at < ?) as before_ms,
                median(duration_p95_ms) filter (where minute_at >= ?) as after_ms,
                count(*) filter (where minute_at < ?) as n_before,
                count(*) filter (where minute_at >= ?) as n_after
            from {MINUTES} where minute_at >= ? and minute_at < ? group by service_key
        ) where least(n_before, n_after) >= ? and before_ms > 0 and after_ms > 0
        order by service_key
        """,  # noqa: S608 - a constant
        [at, at, at, at, at - AROUND, at + AROUND, LEAST_MINUTES],
    )
    return {row["service_key"]: row["log_ratio"] for row in rows}
