"""With all evidence every figure has its number; without a kind of it, what rests on that has none, and says why."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.tables.cost import CORE_COST_CHARGES
from weaver_forge.contracts.tables.operations import CORE_TRACE_RED_MINUTES
from weaver_forge.hooks.status import FIGURES, figures
from weaver_forge.hooks.status_sight import Sight
from weaver_forge.insights.status_figure import Figure, State
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.queries_status import Window
from weaver_forge.policy import parse
from weaver_forge.snapshot import Snapshot, open_snapshot
from weaver_forge.warehouse import Warehouse

NOW = datetime(2026, 3, 31)
SINCE = NOW - timedelta(days=30)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POLICY = """\
version: 1
costs: {currency: EUR, ci_minute: 0.5}
decisions:
  deploy_risk: {scope: deployment, ceiling: autonomous, deny_at: 0.7}
  test_selection: {scope: development, ceiling: autonomous, skip_below: 0.01}
  load_forecast: {scope: operations, ceiling: autonomous}
"""
HELD_OUT, TREATED, SERVICES, CONTROLS = 20, 60, 8, 3
NAMES = [name for name, _, _ in FIGURES]


def spec(decision: str, entity: str, action: str, on: str, sources: Mapping[str, str]) -> dict[str, Any]:
    kind = {
        "entity": entity, "key": [], "decided_per": [], "metrics": ["brier"], "candidates": "", "table": "none",
        "actions": [{"name": action, "on": on, "doc": ""}],
    }  # fmt: skip
    return {"name": decision, "sources": dict(sources), "score_unit": "", "kinds": [kind]}


SPECS = [
    spec("deploy_risk", "changes", "hold_change", "high", {"git": ""}),
    spec("test_selection", "tests", "skip_tests", "low", {"tests": ""}),
    spec("load_forecast", "points", "scale", "upper", {"otlp": ""}),
]
SCOPES = {"deploy_risk": "deployment", "test_selection": "development", "load_forecast": "operations"}


@dataclass(frozen=True, slots=True)
class Case:
    """One decision unit with everything that hangs on it."""

    decision: str
    entity: str
    action: str
    number: int
    held_out: bool
    outcome: float
    cost: float
    subject: dict[str, str]
    valid: bool = False

    @property
    def id(self) -> str:
        """Of the unit and its prediction."""
        return f"{self.decision}-{self.number}"

    @property
    def made_at(self) -> datetime:
        """When it was predicted and decided."""
        return NOW - 10 * DAY + timedelta(minutes=self.number)


def cases() -> Iterator[Case]:
    """Half of the held-out changes go wrong and none of the treated; runs take 10 minutes or 4; services got faster."""
    for n in range(HELD_OUT + TREATED):
        held = n < HELD_OUT
        change = {"repo_id": "r", "revision": f"c{n}"}
        yield Case("deploy_risk", "changes", "hold_change", n, held, float(held and n % 2), 1.0, change, valid=n > 70)
        run = {"repo_id": "r", "revision": f"t{n}"}
        minutes = (10 if held else 4) + n % 2 / 10
        yield Case("test_selection", "tests", "skip_tests", n, held, 0.0, minutes * 60_000, run)
    for n in range(SERVICES):
        yield Case("load_forecast", "points", "scale", n, held_out=False, outcome=1.0, cost=1.0,
                   subject={"service_key": f"s{n}"}, valid=True)  # fmt: skip


def rows_of(kind: str) -> list[dict[str, Any]]:
    """Everything that the ledger has of a kind."""
    made = {
        "predictions": _prediction, "outcomes": _outcome, "decisions": _decision,
    }  # fmt: skip
    if kind in made:
        return [made[kind](case) for case in cases()]
    if kind == "acts":
        return [_act(case, state) for case in cases() if case.decision == "load_forecast" for state in STATES]
    if kind == "standings":
        return [_standing(case) for case in {case.decision: case for case in cases()}.values()]
    if kind == "scores":
        return [_score(case) for case in {case.decision: case for case in cases()}.values()]
    assert kind == "policies"
    return [{"policy_sha256": "p", "text": POLICY, "first_used_at": SINCE}]


STATES = ("claimed", "done")
KINDS = ("predictions", "outcomes", "decisions", "acts", "standings", "scores", "policies")


def _prediction(case: Case) -> dict[str, Any]:
    return {
        "prediction_id": case.id, "decision": case.decision, "entity": case.entity, "unit": case.id,
        "subject": case.subject, "predicted_at": case.made_at, "made_at": case.made_at, "origin": "live",
        "probability": 0.9, "model_name": "m", "model_version": "1", "is_baseline": False,
    }  # fmt: skip


def _outcome(case: Case) -> dict[str, Any]:
    return {
        "prediction_id": case.id, "outcome": case.outcome, "maturity": "mature",
        "outcome_known_at": case.made_at + DAY, "cost": case.cost,
    }  # fmt: skip


def _decision(case: Case) -> dict[str, Any]:
    holds = case.decision == "deploy_risk"
    acted = not case.held_out
    return {
        "decision_id": f"d-{case.id}", "decision": case.decision, "entity": case.entity, "unit": case.id,
        "subject": case.subject, "hook": "ci", "prediction_ids": [case.id], "verdict": "deny" if holds else "allow",
        "level": "autonomous", "scope": SCOPES[case.decision], "applied": acted, "exit_code": int(holds and acted),
        "rules": [], "policy_sha256": "p", "freshness": "fresh", "made_at": case.made_at,
        "expires_at": NOW + DAY if case.valid else NOW - DAY, "action": case.action, "ceiling": "autonomous",
        "earned": "autonomous", "held_out": case.held_out, "draw": 0.01 if case.held_out else 0.5,
        "inputs": {"question": {"holds": holds}, "by": "prediction", "takes": True, "acts": acted},
    }  # fmt: skip


def _act(case: Case, state: str) -> dict[str, Any]:
    return {
        "act_key": case.id, "decision_id": f"d-{case.id}", "decision": case.decision, "action": case.action,
        "unit": case.id, "hook": "ci", "state": state, "made_at": case.made_at,
    }  # fmt: skip


def _standing(case: Case) -> dict[str, Any]:
    return {
        "decision": case.decision, "entity": case.entity, "action": case.action, "scope": SCOPES[case.decision],
        "level": "autonomous", "previous_level": "autonomous", "cause": "evidence", "reason": "", "n_trials": 100.0,
        "n_right": 100.0, "n_replay": 0, "n_pending": 0, "n_unresolvable": 0, "bound": 0.96, "ceiling": "autonomous",
        "assessed_at": NOW - 11 * DAY,
    }  # fmt: skip


def _score(case: Case) -> dict[str, Any]:
    return {
        "decision": case.decision, "entity": case.entity, "origin": "live", "metric": "brier", "value": 0.1,
        "low": 0.05, "high": 0.15, "baseline_value": 0.2, "gain": 0.1, "gain_low": 0.02, "gain_high": 0.2, "n": 80,
        "n_pending": 0, "n_unresolvable": 0,
    }  # fmt: skip


def minutes() -> pl.DataFrame:
    """p95 of every service around the actions: halved where something was done, the same elsewhere."""
    rows = []
    for n in range(SERVICES + CONTROLS):
        for minute in range(-45, 60):
            slow = 100.0 if minute < 0 or n >= SERVICES else 50.0
            at = NOW - 10 * DAY + timedelta(minutes=minute + SERVICES)
            rows.append((f"s{n}", at, 10, 0, slow, slow, slow, at))
    return pl.DataFrame(rows, schema=CORE_TRACE_RED_MINUTES.column_names, orient="row")


def charges() -> pl.DataFrame:
    """What was billed in two currencies."""
    common = {"billing_period_start": SINCE, "provider_name": "p", "service_name": "ci", "known_at": NOW}
    common |= {"charge_period_start": SINCE, "charge_period_end": NOW, "export": "e"}
    amounts = {"EUR": Decimal(4000), "USD": Decimal(70)}
    rows = [
        {**common, "row_number": n, "billing_currency": name, "billed_cost": amount, "effective_cost": amount}
        for n, (name, amount) in enumerate(amounts.items())
    ]
    frame = pl.DataFrame(rows)
    absent = [c for c in CORE_COST_CHARGES.columns if c.name not in frame.columns]
    return frame.with_columns(pl.lit(None).alias(c.name) for c in absent).select(CORE_COST_CHARGES.column_names)


class Catalogue:
    """A snapshot with another catalogue."""

    def __init__(self, snapshot: Snapshot, specs: Mapping[str, Any]) -> None:
        self.published_at, self.specs = snapshot.published_at, specs
        self.tables, self.rows = snapshot.tables, snapshot.rows


def publish(root: Path, tables: Mapping[Any, pl.DataFrame]) -> Snapshot:
    warehouse = Warehouse(root / "warehouse.duckdb", root / "lake")
    warehouse.migrate(list(tables))
    for table, frame in tables.items():
        warehouse.append(table, frame)
    warehouse.publish(
        root / "published", tables=list(tables), specs=SPECS, policy_text=POLICY, artifacts={}, now=NOW, data_as_of=NOW
    )
    return open_snapshot(root / "published")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Snapshot]:
    """The snapshot with everything, and without each of its tables."""
    every = {CORE_TRACE_RED_MINUTES: minutes(), CORE_COST_CHARGES: charges()}
    return {
        "": publish(tmp_path_factory.mktemp("every"), every),
        "p95": publish(tmp_path_factory.mktemp("no_p95"), {CORE_COST_CHARGES: charges()}),
        "charges": publish(tmp_path_factory.mktemp("no_charges"), {CORE_TRACE_RED_MINUTES: minutes()}),
    }


@pytest.fixture
def sight(tmp_path: Path, published: dict[str, Snapshot]) -> Iterator[Sight]:
    """Everything that there is to be seen."""
    overview = {
        "sources": [
            {"source": name, "n_rows": 1000, "n_refused": 10, "newest_at": (NOW - HOUR).isoformat()}
            for name in ("git", "tests", "otlp")
        ],
        "results": {"n": 500, "n_linked": 490},
    }
    (tmp_path / "overview.json").write_text(json.dumps(overview))
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        for kind in KINDS:
            ledger.append(kind, rows_of(kind), now=NOW)
        yield Sight(
            ledger=ledger,
            snapshot=published[""],
            policy=parse(POLICY, "policy.yaml"),
            overview=tmp_path / "overview.json",
            window=Window(SINCE, NOW),
        )


@pytest.fixture
def without(sight: Sight, tmp_path: Path, published: dict[str, Snapshot]) -> Any:
    """Makes the same sight with one kind of evidence never recorded."""
    opened: list[Ledger] = []

    def made(lacking: str) -> Sight:
        if lacking == "ledger":
            return replace(sight, ledger=None, no_ledger="there is no ledger")
        if lacking == "snapshot":
            return replace(sight, snapshot=None, no_snapshot="nothing is published")
        if lacking == "overview":
            return replace(sight, overview=tmp_path / "none.json")
        if lacking in published:
            return replace(sight, snapshot=published[lacking])
        opened.append(Ledger.open(f"sqlite:///{tmp_path / 'less.sqlite'}"))
        for kind in KINDS:
            rows = rows_of(kind)
            if lacking == "holdout" and kind == "decisions":
                rows = [row for row in rows if not row["held_out"]]
            if lacking not in {kind, "all rows"}:
                opened[-1].append(kind, rows, now=NOW)
        return replace(sight, ledger=opened[-1])

    yield made
    for ledger in opened:
        ledger.close()


def by_name(found: list[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in found}


def test_with_all_evidence_every_figure_has_its_number(sight: Sight) -> None:
    found = by_name(figures(sight))

    assert list(found) == NAMES
    assert {name: figure.text for name, figure in found.items() if figure.state is not State.MEASURED} == {}
    n = 2 * (HELD_OUT + TREATED) + SERVICES
    assert found["health"].value == pytest.approx(490 / 500)
    assert found["automation_coverage"].value == pytest.approx((n - 2 * HELD_OUT) / n)
    assert found["active_optimizations"].value == 9 + SERVICES
    assert found["prevented_incidents"].value == pytest.approx(0.5 * TREATED)
    assert found["cost_savings"].value == Decimal("180.00")
    assert found["cost_savings"].unit == "EUR"
    assert found["performance_improvement"].value == pytest.approx(-0.693147)


@pytest.mark.parametrize(
    ("lacking", "gone"),
    [
        ("ledger", set(NAMES)),
        ("all rows", set(NAMES)),
        ("decisions", set(NAMES)),
        ("predictions", {"health", "automation_coverage", "prevented_incidents", "cost_savings"}),
        ("outcomes", {"prevented_incidents", "cost_savings"}),
        ("holdout", {"prevented_incidents", "cost_savings"}),
        ("policies", {"cost_savings"}),
        ("standings", {"automation_coverage"}),
        ("scores", {"health"}),
        ("acts", {"performance_improvement"}),
        ("overview", {"health"}),
        ("charges", {"cost_savings"}),
        ("p95", {"performance_improvement"}),
        ("snapshot", {*NAMES} - {"active_optimizations"}),
    ],
)
def test_without_a_kind_of_evidence_what_rests_on_it_is_unknown_and_says_why(
    without: Any, lacking: str, gone: set[str]
) -> None:
    found = by_name(figures(without(lacking)))

    assert {name for name, figure in found.items() if figure.state is not State.MEASURED} == gone
    for name in gone:
        figure = found[name]
        assert (figure.value, figure.low, figure.high) == (None, None, None)
        assert figure.why


@pytest.mark.parametrize("kind", [*KINDS, "chain"])
def test_deleting_a_row_leaves_no_figure(sight: Sight, tmp_path: Path, kind: str) -> None:
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        for (trigger,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            connection.execute(f'drop trigger "{trigger}"')
        connection.execute(f"delete from {kind} where rowid in (select rowid from {kind} limit 1)")
    connection.close()

    found = figures(sight)

    assert [figure.name for figure in found] == NAMES
    assert {figure.state for figure in found} == {State.UNKNOWN}
    assert all(figure.value is None and "rows do not fit its chain" in figure.why for figure in found)


def test_stale_data_make_health_unknown_and_leave_what_was_counted(sight: Sight) -> None:
    later = replace(sight, window=Window(SINCE, NOW + 20 * DAY))

    found = by_name(figures(later))

    assert found["health"].state is State.UNKNOWN
    assert "stale" in found["health"].why
    assert found["active_optimizations"].value == 0
    assert found["prevented_incidents"].state is State.MEASURED


def test_a_scope_sees_its_own_decisions_alone(sight: Sight) -> None:
    found = by_name(figures(replace(sight, window=Window(SINCE, NOW, "development"))))

    assert found["automation_coverage"].n == HELD_OUT + TREATED
    assert found["prevented_incidents"].state is State.NOT_ESTIMABLE
    assert found["cost_savings"].value == Decimal("180.00")
    assert found["active_optimizations"].value == 0


def test_what_was_taken_back_or_let_through_is_not_active(sight: Sight) -> None:
    assert isinstance(sight.ledger, Ledger)
    case = next(case for case in cases() if case.decision == "load_forecast")
    held = next(case for case in cases() if case.decision == "deploy_risk" and case.valid)
    yes = {
        "decision_id": f"d-{held.id}", "decision": held.decision, "unit": held.id, "hook": "ci", "actor": "ana",
        "approved_at": NOW - HOUR, "expires_at": NOW + HOUR,
    }  # fmt: skip
    sight.ledger.append("acts", [_act(case, "undone")], now=NOW)
    sight.ledger.append("approvals", [yes], now=NOW)

    figure = by_name(figures(sight))["active_optimizations"]

    assert figure.value == 9 + SERVICES - 2


def test_an_act_that_nobody_finished_is_counted_as_possible(sight: Sight) -> None:
    assert isinstance(sight.ledger, Ledger)
    case = replace(next(case for case in cases() if case.decision == "load_forecast"), number=99)
    sight.ledger.append("decisions", [_decision(case)], now=NOW)
    sight.ledger.append("acts", [_act(case, "claimed")], now=NOW)

    figure = by_name(figures(sight))["active_optimizations"]

    assert (figure.value, figure.low, figure.high) == (9 + SERVICES, 9 + SERVICES, 10 + SERVICES)
    assert "1 more were claimed" in figure.why


def test_a_baseline_that_speaks_covers_nothing(tmp_path: Path, sight: Sight) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'baseline.sqlite'}") as ledger:
        for kind in KINDS:
            rows = [{**row, "is_baseline": True} if kind == "predictions" else row for row in rows_of(kind)]
            ledger.append(kind, rows, now=NOW)

        figure = by_name(figures(replace(sight, ledger=ledger)))["automation_coverage"]

    assert figure.value == 0
    assert figure.evidence["no live model spoke"] == 2 * TREATED + SERVICES


def test_what_is_bad_early_and_cleared_late_waits_until_both_could_be_known(tmp_path: Path, sight: Sight) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'early.sqlite'}") as ledger:
        for kind in KINDS:
            rows = [{**row, "resolve_by": NOW + DAY} if kind == "predictions" else row for row in rows_of(kind)]
            ledger.append(kind, rows, now=NOW)

        figure = by_name(figures(replace(sight, ledger=ledger)))["prevented_incidents"]

    assert figure.text.endswith("0 of 10 held-out units with a known outcome")


def test_too_few_outcomes_of_a_model_are_said_with_their_number(tmp_path: Path, sight: Sight) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'few.sqlite'}") as ledger:
        for kind in KINDS:
            ledger.append(kind, [{**row, "n": 5} if kind == "scores" else row for row in rows_of(kind)], now=NOW)

        figure = by_name(figures(replace(sight, ledger=ledger)))["health"]

    assert figure.text == "insufficient data: 5 of 30 outcomes (model deploy_risk changes)"


@pytest.mark.parametrize(("source", "is_known"), [("incidents", True), ("git", False)])
def test_a_source_of_rare_events_is_not_stale_because_all_is_well(sight: Sight, source: str, is_known: bool) -> None:
    assert sight.snapshot is not None
    seen = json.loads(sight.overview.read_text())
    seen["sources"] = [row for row in seen["sources"] if row["source"] != source]
    old = (NOW - 300 * DAY).isoformat()
    seen["sources"].append({"source": source, "n_rows": 3, "n_refused": 0, "newest_at": old})
    sight.overview.write_text(json.dumps(seen))
    needed = spec("anomaly", "windows", "page", "high", {source: ""})
    more = Catalogue(sight.snapshot, {**sight.snapshot.specs, "anomaly": {**needed, "kinds": []}})

    seeing = replace(sight, snapshot=more)  # type: ignore[arg-type] # all that status asks of one
    figure = by_name(figures(seeing))["health"]

    assert (figure.state is State.MEASURED) is is_known
