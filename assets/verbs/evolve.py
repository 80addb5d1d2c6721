"""evolve: a plan from what intelligence finds and the core tables count; writes nothing."""

from collections.abc import Mapping
from typing import Any

from assets.resources import Emit
from assets.verbs.intelligence import about, days_of, run
from weaver_forge.insights.evolution.planning import BUDGET_HOURS, plan, plan_data
from weaver_forge.policy import in_force
from weaver_forge.settings import Settings
from weaver_forge.snapshot import Snapshot, open_snapshot

HOLD = "hold_change"
"""The action that protected paths make a hook take."""


def evolve(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Plan for ``{"days": n, "budget_hours": h, "bound_hours": h}``, all optional."""
    text = settings.policy.read_text(encoding="utf-8") if settings.policy.is_file() else ""
    budget = arguments.get("budget_hours")
    with open_snapshot(settings.published) as snapshot:
        report = run(snapshot, settings.now(), days_of(arguments))
        made = plan(
            report,
            snapshot.rows,
            snapshot.tables(),
            policy=in_force(text, str(settings.policy)),
            holding=_holding(snapshot),
            budget_hours=BUDGET_HOURS if budget is None else float(budget),
            bound_hours=float(arguments.get("bound_hours") or 0.0),
        )
        data = {**plan_data(made), "n_insights": len(report.insights), **about(snapshot)}
    emit({"event": "result", "data": data})
    return 0


def _holding(snapshot: Snapshot) -> list[str]:
    """Decisions with a subject of which a hook may hold a change."""
    return [
        name
        for name, spec in snapshot.specs.items()
        if any(action["name"] == HOLD for kind in spec["kinds"] for action in kind.get("actions", ()))
    ]
