"""The demo's scoreboard: what the ledger measured, and what only a simulation can know, prediction against truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from weaver_forge.ledger import Ledger, queries
from weaver_forge.settings import Settings
from weaver_forge.snapshot import open_snapshot
from weaver_forge.testing import TrueIncident, Truth, read_truth

SHOWN = {
    ("test_selection", "tests"): ("apfdc", "apfd", "recall@25", "brier"),
    ("load_forecast", "points"): ("mase", "pinball", "coverage80", "coverage95"),
    ("anomaly", "windows"): ("ap", "event_f1", "brier", "precision"),
    ("deploy_risk", "changes"): ("auc", "brier", "popt", "precision"),
    ("deploy_risk", "deployments"): ("auc", "brier"),
}
"""The metrics of each kind that fit on a screen; the ledger has them all."""

BUDGET = 0.25


@dataclass(frozen=True, slots=True)
class Board:
    """One table of the scoreboard."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """All tables, and the rows behind the plots.

    Args:
        predictions: ``(decision, entity)`` -> resolved predictions of the demo's live days.
    """

    tables: tuple[Board, ...]
    predictions: Mapping[tuple[str, str], pl.DataFrame]
    truth: Truth
    live_from: datetime
    snapshot: Path
    costs: pl.DataFrame = field(default_factory=pl.DataFrame)


def build_scoreboard(settings: Settings, organisation: Path, live_from: datetime) -> Scoreboard:
    """Read the ledger and the truth, and put them side by side."""
    truth = read_truth(organisation)
    with Ledger.open(settings.ledger_url) as ledger:
        resolved = {key: _frame(ledger.resolved(*key)) for key in SHOWN}
        judged, scored = _judged(ledger.latest_evaluations()), _scored(queries.scoreboard(ledger))
        everything = {key: _frame(queries.predicted(ledger, *key)) for key in SHOWN}
    with open_snapshot(settings.root) as snapshot:
        path = snapshot.path
        costs = pl.DataFrame(
            snapshot.rows(
                "select charge_period_start as at, resource_id, cast(sum(effective_cost) as double) as cost "
                "from core_cost__charges group by all order by 1"
            )
        )
    everything["test_selection", "tests"] = resolved["test_selection", "tests"]  # their durations are known by now
    against = _against_truth(truth, everything, live_from)
    return Scoreboard((judged, scored, against), resolved, truth, live_from, path, costs)


def _judged(evaluations: Sequence[Mapping[str, Any]]) -> Board:
    rows = [
        (
            f"{row['decision']}, {row['entity']}", row["metric"], _measured(row), _number(row["baseline_value"]),
            f"{row['baseline_name']}", _interval(row["gain_low"], row["gain_high"]), row["n"],
            row["model_name"] if row["promoted"] else row["baseline_name"],
        )
        for row in evaluations
        if row["metric"] in SHOWN.get((row["decision"], row["entity"]), ())
    ]  # fmt: skip
    columns = (
        "decision",
        "metric",
        "model [95 % interval]",
        "baseline",
        "baseline is",
        "gain, 90 % interval",
        "n",
        "published",
    )
    return Board("Judged on the newest 30 % of the history, time-ordered", columns, tuple(rows))


def _scored(scores: Sequence[Mapping[str, Any]]) -> Board:
    rows = [
        (
            f"{row['decision']}, {row['entity']}", row["metric"], row["model_name"], row["text"],
            _number(row["baseline_value"]), row["n_pending"],
        )
        for row in scores
        if row["metric"] in SHOWN.get((row["decision"], row["entity"]), ())
    ]  # fmt: skip
    columns = ("decision", "metric", "published method", "measured [95 % interval]", "baseline", "still pending")
    return Board("Scored by the ledger: predicted first, seen later", columns, tuple(rows))


def _against_truth(truth: Truth, predictions: Mapping[tuple[str, str], pl.DataFrame], live_from: datetime) -> Board:
    rows = [
        *_changes_against_truth(truth, predictions["deploy_risk", "changes"]),
        *_tests_against_truth(truth, predictions["test_selection", "tests"]),
        *_incidents_against_truth(truth, predictions["anomaly", "windows"], live_from),
        (
            "cost leak",
            f"{truth.leak['resource_id']} since {_day(truth.leak['since'])}",
            "no decision watches cost yet",
            "",
        ),
    ]
    return Board("Against the simulation's truth", ("question", "truth", "model", "baseline"), tuple(rows))


def _changes_against_truth(truth: Truth, rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    if rows.is_empty():
        return []
    guilty = set(truth.bug_inducing)
    newest = rows.with_columns(pl.col("subject").struct.field("revision")).unique("revision", keep="last")
    marked = newest.with_columns(pl.col("revision").is_in(guilty).alias("guilty"))
    n_guilty = int(marked["guilty"].sum())
    top = max(1, round(marked.height * BUDGET))

    def caught(column: str) -> str:
        n_caught = int(marked.sort(column, descending=True).head(top)["guilty"].sum())
        return f"{n_caught} of {n_guilty} among the riskiest {top}"

    question = f"which of {marked.height} changes will cause a bug?"
    return [(question, f"{n_guilty} did", caught("probability"), caught("baseline_probability"))]


def _tests_against_truth(truth: Truth, rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Really failing tests that finish within a quarter of the suite's time, in the order of each method."""
    if rows.is_empty():
        return []
    subject = pl.col("subject").struct
    first = rows.with_columns(subject.field("revision"), subject.field("test_id")).unique(
        ["revision", "test_id"], keep="first", maintain_order=True
    )
    failing = {revision: set(tests) for revision, tests in truth.failing_tests.items()}
    found = {"score": 0, "baseline_score": 0}
    total = 0
    for (revision,), group in first.group_by("revision", maintain_order=True):
        really = failing.get(str(revision), set()) & set(group["test_id"])
        total += len(really)
        for column in found:
            order = group.with_columns(pl.coalesce(column, column.replace("score", "probability")).alias("order"))
            spent = order.sort("order", descending=True).with_columns(
                pl.col("cost").fill_null(0).cum_sum().alias("spent")
            )
            within = spent.filter(pl.col("spent") <= BUDGET * pl.col("cost").sum())
            found[column] += sum(test in really for test in within["test_id"])
    question = f"which tests fail for real on {first['revision'].n_unique()} new revisions?"
    said = [f"{found[column]} of {total} in the first quarter of the time" for column in ("score", "baseline_score")]
    return [(question, f"{total} failures", *said)]


def _incidents_against_truth(truth: Truth, rows: pl.DataFrame, live_from: datetime) -> list[tuple[Any, ...]]:
    """Incidents met by the strongest alarms, at a budget of one alarm a service and week."""
    incidents = [incident for incident in truth.incidents if incident.started_at >= live_from]
    if rows.is_empty() or not incidents:
        return []
    subject = pl.col("subject").struct
    windows = rows.with_columns(
        subject.field("service_key"), subject.field("window_at").str.to_datetime().alias("window_at")
    )
    days = (truth.ends_at - live_from).days
    budget = max(1, round(windows["service_key"].n_unique() * days / 7))
    met = [_met(incidents, _alarms(windows, column, budget)) for column in ("probability", "baseline_probability")]
    ranks = [_best_rank(_hurt(windows, incident), incident.cause_service_key) for incident in incidents]
    n = len(incidents)
    top = [sum(rank is not None and rank <= k for rank in ranks) for k in (1, 3)]
    question = f"which incidents do the {budget} strongest alarms meet?"
    return [
        (question, f"{n} happened", f"{met[0]} of {n}", f"{met[1]} of {n}"),
        ("culprit service named?", f"{n} culprits", f"first: {top[0]} of {n}, first three: {top[1]}", "names none"),
    ]


def _alarms(windows: pl.DataFrame, column: str, budget: int) -> list[tuple[str, datetime]]:
    """The strongest windows; one within an hour of a stronger one of the same service is the same alarm."""
    alarms: list[tuple[str, datetime]] = []
    for row in windows.sort(column, "window_at", descending=[True, False]).iter_rows(named=True):
        service, at = row["service_key"], row["window_at"]
        if not any(service == known and abs(at - when) <= timedelta(hours=1) for known, when in alarms):
            alarms.append((service, at))
        if len(alarms) == budget:
            break
    return alarms


def _met(incidents: Sequence[TrueIncident], alarms: Sequence[tuple[str, datetime]]) -> int:
    """Incidents with an alarm in their window, at the hurt service or at the culprit."""
    return sum(
        any(
            service in {incident.service_key, incident.cause_service_key}
            and incident.started_at - timedelta(minutes=10) <= at < incident.resolved_at
            for service, at in alarms
        )
        for incident in incidents
    )


def _hurt(windows: pl.DataFrame, incident: TrueIncident) -> pl.DataFrame:
    return windows.filter(
        pl.col("service_key") == incident.service_key,
        pl.col("window_at") >= incident.started_at - timedelta(minutes=10),
        pl.col("window_at") < incident.resolved_at,
    )


def _best_rank(windows: pl.DataFrame, culprit: str) -> int | None:
    """Rank of the culprit in the window with the highest probability; None where it is not among the candidates."""
    if windows.is_empty():
        return None
    strongest = windows.sort("probability", descending=True).row(0, named=True)
    return next((c["rank"] for c in strongest["candidates"] if c["candidate"] == culprit), None)


def _frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), infer_schema_length=None)


def _number(value: float | None) -> str:
    return "not estimable" if value is None else f"{value:.3f}"


def _measured(row: Mapping[str, Any]) -> str:
    interval = "" if row["low"] is None else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return _number(row["value"]) + interval


def _interval(low: float | None, high: float | None) -> str:
    return "not estimable" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"


def _day(value: object) -> str:
    return value.strftime("%d %B") if isinstance(value, datetime) else str(value)[:10]
