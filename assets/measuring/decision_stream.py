"""A stream of real decisions with known outcomes through ledger, policy and autonomy: run this test, or skip it.

Every test of every recorded run is one decision. Predictions are the model's own, each fitted on earlier runs alone;
histories follow each other on one clock, so that one ends and another begins, which is a drift that nobody announced.
Put here how such a stream is made and lived through; what of it is shown is the verb's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import polars as pl

from models.test_selection import SPEC
from models.test_selection.evaluation import walk_forward
from weaver_forge.autonomy.standing import NOTHING_EARNED, Standing, assess
from weaver_forge.autonomy.terms import terms_of
from weaver_forge.benchmarks import BenchmarkData
from weaver_forge.contracts.decision import SubjectKind
from weaver_forge.contracts.values import Level, Maturity
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.assessing import gathered
from weaver_forge.ledger.queries_trials import trial_rows
from weaver_forge.policy import Policy, PredictionView, Question, draw_of, effective, evaluate

DECISION, HOOK = "test_selection", "ci"
START = datetime(2000, 1, 1)  # noqa: DTZ001 - instants are naive UTC inside
BETWEEN = timedelta(days=1)
"""From the end of one history to the beginning of the next."""


@dataclass(frozen=True, slots=True)
class Change:
    """A standing that changed.

    Args:
        n_wrong: Wrong trials since the level before was given.
    """

    at: datetime
    set: str
    n_decisions: int
    n_trials: int
    n_wrong: float
    before: Level
    standing: Standing


@dataclass(slots=True)
class Segment:
    """What happened in one history.

    Args:
        n: Decisions: single tests of single runs.
        n_units: Runs.
        n_failed: Tests of these that failed.
        n_would: Decisions in which policy would have skipped the test.
        n_would_escape: Of these, tests that failed.
        n_acted: Tests that were skipped, the level being autonomous.
        n_escaped: Of these, tests that failed.
        n_held_out: Decisions of the holdout while the level was above assisted.
        n_acted_unearned: Tests skipped while the level was not autonomous; there may be none.
    """

    set: str
    n: int = 0
    n_units: int = 0
    n_failed: int = 0
    n_would: int = 0
    n_would_escape: int = 0
    n_acted: int = 0
    n_escaped: int = 0
    n_held_out: int = 0
    n_acted_unearned: int = 0


@dataclass(slots=True)
class Lived:
    """The whole stream."""

    segments: list[Segment] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


def predicted(data: BenchmarkData, rng: np.random.Generator) -> pl.DataFrame:
    """A row a test and run: revision, test_id, predicted_at, known_at, probability, outcome; oldest first."""
    judged = walk_forward(data, rng)
    known = data.tables["core_ci__test_verdicts"].group_by("revision", "test_id").agg(pl.col("known_at").max())
    rows = judged.join(known, on=("revision", "test_id")).with_columns(set=pl.lit(data.set))
    columns = ("set", "revision", "test_id", "predicted_at", "known_at", "probability", "outcome")
    return rows.select(columns).sort("predicted_at", "revision", "test_id")


def spliced(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The histories one after the other on one clock."""
    shifted, begins = [], START
    for part in parts:
        first, last = part["predicted_at"].min(), part["known_at"].max()
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        moved = begins - first
        shifted.append(part.with_columns(pl.col("predicted_at", "known_at") + moved))
        begins = last + moved + BETWEEN
    return pl.concat(shifted)


def decided_per(unit: Literal["run", "test"]) -> SubjectKind:
    """The decision's kind, decided a run at a time as in the product, or a test at a time.

    Tests of one run are no independent evidence of each other: then a run is one trial, right by the share of its
    skipped tests that passed.
    """
    kind = SPEC.kinds[0]
    if unit == "run":
        return kind
    return replace(kind, decided_per=kind.key_names, judged_per=kind.decided_per)


def record(ledger: Ledger, stream: pl.DataFrame, kind: SubjectKind) -> None:
    """Write every prediction, and every outcome, in batches of a run."""
    is_per_test = "test_id" in kind.decided_per
    for (name, revision), run in stream.group_by("set", "revision", maintain_order=True):
        ids = [f"{name}|{revision}|{test}" for test in run["test_id"]]
        at = run["predicted_at"][0]
        predictions = [
            {
                "prediction_id": id_, "decision": DECISION, "entity": "tests",
                "unit": id_ if is_per_test else f"{name}|{revision}",
                "subject": {"repo_id": name, "revision": revision, "test_id": row["test_id"]},
                "predicted_at": at, "made_at": at, "origin": "live", "probability": row["probability"],
                "model_name": "m", "model_version": "1", "is_baseline": False, "data_as_of": at,
            }
            for id_, row in zip(ids, run.iter_rows(named=True), strict=True)
        ]  # fmt: skip
        outcomes = [
            {"prediction_id": id_, "outcome": outcome, "maturity": "mature", "outcome_known_at": known}
            for id_, outcome, known in zip(ids, run["outcome"], run["known_at"], strict=True)
        ]
        ledger.append("predictions", predictions, now=at)
        ledger.append("outcomes", outcomes, now=run["known_at"].max())  # type: ignore[arg-type] # an instant


def live(ledger: Ledger, stream: pl.DataFrame, kind: SubjectKind, policy: Policy, tell: Callable[[int], None]) -> Lived:
    """Live through the stream: look again before every run, ask policy about every test, remember what came of it."""
    action, scope = kind.actions[0], effective(policy, DECISION).scope
    rule = effective(policy, DECISION, action.name, scope)
    terms = terms_of(rule)
    every = trial_rows(ledger, DECISION, kind)
    lived, standing, since, decisions = Lived(), NOTHING_EARNED, 0, []
    for number, ((name, revision), run) in enumerate(stream.group_by("set", "revision", maintain_order=True)):
        now, unit = run["predicted_at"][0], f"{name}|{revision}"
        trials = gathered(_as_known(every, now), kind, action, rule, as_of=now)
        looked = assess(trials, standing, terms, now=now)
        if looked.level is not standing.level:
            wrong = float((1 - trials.mature["right"]).slice(since).sum())
            n = sum(segment.n for segment in lived.segments)
            lived.changes.append(Change(now, str(name), n, trials.mature.height, wrong, standing.level, looked))
            since = trials.mature.height
        standing = looked
        if not lived.segments or lived.segments[-1].set != name:
            lived.segments.append(Segment(str(name)))
        held_out = _decide(lived.segments[-1], run, unit, standing, policy, action.name, now)
        decisions.append(_decision(unit, standing, str(scope), now, held_out=held_out))
        tell(number)
    ledger.append("decisions", decisions, now=stream["known_at"].max())  # type: ignore[arg-type] # an instant
    return lived


def _as_known(rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The rows as the ledger had them then: later predictions were not made, later outcomes not seen."""
    is_seen = pl.col("outcome_known_at") <= now
    return rows.filter(pl.col("predicted_at") < now).with_columns(
        outcome=pl.when(is_seen).then("outcome"),
        maturity=pl.when(is_seen).then("maturity").otherwise(pl.lit(Maturity.PENDING.value)),
        outcome_known_at=pl.when(is_seen).then("outcome_known_at"),
    )


def _decide(
    segment: Segment, run: pl.DataFrame, unit: str, standing: Standing, policy: Policy, action: str, now: datetime
) -> bool:
    """Ask policy about each test of a run; returns whether the run was drawn into the holdout."""
    asked = Question(
        decision=DECISION, action=action, on="low", holds=False, now=now, earned=standing.level,
        draw=draw_of(DECISION, unit, HOOK),
    )  # fmt: skip
    segment.n_units += 1
    held_out = False
    for probability, outcome in zip(run["probability"], run["outcome"], strict=True):
        ruling = evaluate(policy, replace(asked, prediction=PredictionView(probability=probability, made_at=now)))
        failed = outcome > 0
        segment.n += 1
        segment.n_failed += failed
        segment.n_would += ruling.takes
        segment.n_would_escape += ruling.takes and failed
        segment.n_acted += ruling.acts
        segment.n_escaped += ruling.acts and failed
        segment.n_held_out += ruling.held_out
        segment.n_acted_unearned += ruling.acts and standing.level is not Level.AUTONOMOUS
        held_out = held_out or ruling.held_out
    return held_out


def _decision(unit: str, standing: Standing, scope: str, now: datetime, *, held_out: bool) -> dict[str, Any]:
    level = standing.level
    return {
        "decision": DECISION, "entity": "tests", "unit": unit, "hook": HOOK, "verdict": "allow", "level": level.value,
        "scope": scope, "applied": level is not Level.ASSISTED and not held_out, "exit_code": 0, "made_at": now,
        "action": SPEC.kinds[0].actions[0].name, "earned": level.value, "held_out": held_out,
    }  # fmt: skip
