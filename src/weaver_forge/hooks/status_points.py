"""Automation coverage and active optimizations: what hooks decided and did at the decision points of the catalogue.

Put here when a decision counts as covered and when something that was done is still in force. Rows come from
``ledger.queries_status``.
"""

import operator
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from weaver_forge.contracts.values import Freshness, Origin, Scope, Verdict
from weaver_forge.hooks.acts import State as Acted
from weaver_forge.hooks.status_sight import Sight
from weaver_forge.insights.status_figure import NEEDED, Figure, insufficient, measured, unknown
from weaver_forge.insights.status_intervals import wilson
from weaver_forge.ledger import queries_status as queries
from weaver_forge.ledger.queries_status_units import predictions_behind
from weaver_forge.policy import effective

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

COVERAGE, ACTIVE = "automation_coverage", "active_optimizations"
COVERED = "of decisions at catalogued decision points"
IN_FORCE = "in force now"
_EVENTS = "decisions (unit, hook and action)"
_SHOWN = 20

Standings = Mapping[tuple[str, str, str, str], Sequence[tuple[datetime, str]]]
Row = Mapping[str, Any]


def coverage(ledger: "Reading", sight: Sight) -> Figure:
    """Decisions taken above assisted by a live, fresh, calibrated model, of all at catalogued points, by scope."""
    if not sight.specs:
        return unknown(COVERAGE, COVERED, f"there is no catalogue of decision points: {sight.no_snapshot}")
    every = queries.points(ledger, sight.window)
    counted = [row for row in every if row["decision"] in sight.specs]
    rows = [row for row in queries.above_assisted(ledger, sight.window) if row["decision"] in sight.specs]
    standings, known = queries.standings_until(ledger, sight.window.now), predictions_behind(ledger, rows)
    said = [(row["scope"], *_covered(row, standings, known, sight)) for row in rows]
    names = [sight.window.scope] if sight.window.scope != queries.ALL else [scope.value for scope in Scope]
    parts = tuple(_share([r for r in counted if r["scope"] == n], [s for s in said if s[0] == n], n) for n in names)
    whole = _share(counted, said, sight.window.scope)
    outside = sum(row["n"] for row in every) - sum(row["n"] for row in counted)
    evidence = {**whole.evidence, "n_not_catalogued": outside, "open": "weaver-forge ledger tail decisions"}
    return replace(whole, components=parts if len(names) > 1 else (), evidence=evidence)


def active(ledger: "Reading", sight: Sight) -> Figure:
    """What was done or is held back because of a prediction, still valid and not taken back: counted, with its rows."""
    window = sight.window
    acts = [row for row in queries.newest_acts(ledger) if window.scope in {queries.ALL, row["scope"], None}]
    n_decisions = queries.n_decisions(ledger, window.scope)
    if not acts and not n_decisions:
        within = "" if window.scope == queries.ALL else f" in scope {window.scope}"
        return unknown(ACTIVE, IN_FORCE, f"no decision and no act is on record{within}")
    if lost := sum(not row["is_decided"] for row in acts):
        why = f"the decisions that {lost} of {len(acts)} acts carry out are not on record, nor until when they hold"
        return unknown(ACTIVE, IN_FORCE, why, n=len(acts), n_of="acts")
    states = {row["decision_id"]: Acted(row["state"]) for row in acts}
    released = queries.approvals_now(ledger, window)
    held = [
        row
        for row in queries.valid_now(ledger, window)
        if row["decision_id"] not in states
        and queries.acts(row)
        and not (row["exit_code"] and (row["decision"], row["unit"], row["hook"]) in released)
    ]
    # What a decision without an end had done (a line of policy.yaml) holds until it is taken back.
    valid = [row for row in acts if row["expires_at"] is None or row["expires_at"] > window.now]
    done = [row for row in valid if row["state"] == Acted.DONE]
    uncertain = [row for row in valid if row["state"] == Acted.CLAIMED]
    n = len(held) + len(done)
    why = f"among {n_decisions:,} decisions and {len(acts):,} acts on record"
    if uncertain:
        why += f"; {len(uncertain)} more were claimed, and nobody said whether they were done"
    evidence = {
        "n_enforced": len(held), "n_done": len(done), "n_uncertain": len(uncertain),
        "rows": [_shown(row) for row in (*done, *held)][:_SHOWN],
        "by_action": dict(Counter(f"{row['decision']} {row['action'] or ''}".strip() for row in (*done, *held))),
        "open": "weaver-forge ledger tail acts; weaver-forge ledger tail decisions",
    }  # fmt: skip
    return measured(ACTIVE, IN_FORCE, (n, n, n + len(uncertain)), why=why, evidence=evidence)


def _share(counted: Sequence[Row], said: Sequence[tuple[str, str, str]], scope: str) -> Figure:
    """One scope's share; unknown as soon as one decision cannot be told."""
    n, about = sum(row["n"] for row in counted), {"scope": scope}
    if not n:
        return unknown(COVERAGE, COVERED, "no decision at a catalogued decision point is on record", about=about)
    found = Counter(why or verdict for _, verdict, why in said)
    evidence = {"n": n, "n_assisted": n - len(said), **found}
    if unclear := [why for _, verdict, why in said if verdict == "unclear"]:
        why = f"of {len(unclear)} of {n} decisions it cannot be told: {unclear[0]}"
        return unknown(COVERAGE, COVERED, why, n=n, n_of=_EVENTS, about=about, evidence=evidence)
    if n < NEEDED:
        return insufficient(COVERAGE, COVERED, n, NEEDED, _EVENTS, about=about, evidence=evidence)
    good = found["covered"]
    share = (good / n, *wilson(good, n))
    return measured(COVERAGE, COVERED, share, n=n, n_of=_EVENTS, about=about, evidence=evidence)


def _covered(row: Row, standings: Standings, known: Mapping[str, Mapping[str, Any]], sight: Sight) -> tuple[str, str]:
    """``covered``, ``not`` or ``unclear``, and why."""
    if row["held_out"] or not row["applied"]:
        return "not", "held out: not enforced"
    if row["verdict"] == Verdict.UNKNOWN or row["freshness"] != Freshness.FRESH:
        return "not", "without a fresh prediction"
    if row["earned"] not in queries.ABOVE or (row["inputs"] or {}).get("by") == "person":
        return "not", "above assisted without having earned it: a rule of a person"
    behind = [known.get(id_) for id_ in row["prediction_ids"] or ()]
    if not behind or None in behind:
        return "unclear", "the predictions behind it are not on record"
    if any(found["origin"] == Origin.REPLAY or found["is_baseline"] for found in behind if found is not None):
        return "not", "no live model spoke"
    return _assessed(row, standings, sight)


def _assessed(row: Row, standings: Standings, sight: Sight) -> tuple[str, str]:
    """Whether an assessment not long before found the model calibrated: it takes the level away where it does not."""
    found = standings.get((row["decision"], row["entity"], row["action"] or "", row["scope"]), ())
    at = bisect_right(found, row["made_at"], key=operator.itemgetter(0))
    if not at:
        return "unclear", "no assessment before it is on record, so that nothing shows the model was calibrated"
    assessed_at, level = found[at - 1]
    rule = effective(sight.policy, row["decision"], row["action"] or "", Scope(row["scope"]))
    if row["made_at"] - assessed_at > timedelta(days=rule.evidence.stale_days):
        return "not", "the assessment before it was stale"
    return ("covered", "") if level in queries.ABOVE else ("not", "the assessment before it had earned assisted")


def _shown(row: Row) -> dict[str, Any]:
    names = ("decision_id", "decision", "action", "unit", "hook", "scope", "expires_at")
    return {name: row[name] for name in names}
