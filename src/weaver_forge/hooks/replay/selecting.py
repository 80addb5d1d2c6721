"""A selection over past runs, oldest first: what ``select`` would have left for later, from what was known then.

Put here how past rows become the question that the hook asks itself: past runs whose outcomes were known, the rules of
the change, the aim. Choosing is ``hooks.selecting``'s own. A confidence is reached by runs of the window alone, so its
first runs are run whole, and counted.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from weaver_forge.contracts.decision import PAST_BASELINE
from weaver_forge.hooks.asking import ChangedPaths
from weaver_forge.hooks.rank_tests import RankedTest, ordered
from weaver_forge.hooks.selecting.aim import Aim
from weaver_forge.hooks.selecting.always import fired
from weaver_forge.hooks.selecting.past import PastRun, past_of
from weaver_forge.hooks.selecting.selection import waits

_MODEL = "model"


@dataclass(frozen=True, slots=True)
class Selected:
    """What became of the runs.

    Args:
        rows: The rows, with ``is_taken``, ``is_acted`` and ``is_covered`` as of ``deciding``.
        n_insufficient: Runs that were run whole because too few failing ones were known before.
        n_whole: Runs that were run whole by a rule of the change, by rule.
    """

    rows: pl.DataFrame
    n_insufficient: int
    n_whole: Mapping[str, int]


def at_aim(
    rows: pl.DataFrame,
    aim: Aim,
    *,
    changed_paths: ChangedPaths | None,
    protected: Sequence[str] = (),
    rules: bool = True,
) -> Selected:
    """Mark what would have waited.

    Args:
        rows: Subjects with unit, predicted_at, test_id, the key columns of the unit, expected_duration_ms, is_baseline,
            score, probability, the baseline's, outcome and outcome_known_at.
        aim: What to reach.
        changed_paths: Files of a revision; None where nobody knows, so that everything runs.
        protected: Patterns of the policy.
        rules: Whether the rules of the change are asked at all.
    """
    known: dict[str, list[PastRun]] = {_MODEL: [], PAST_BASELINE: []}
    left: list[tuple[Any, Any, str]] = []
    n_insufficient, whole = 0, Counter[str]()
    for (unit, at), group in rows.sort("predicted_at", "unit").group_by("unit", "predicted_at", maintain_order=True):
        spoke = PAST_BASELINE if group["is_baseline"][0] else _MODEL
        orders = {_MODEL: _in_order(group, ""), PAST_BASELINE: _in_order(group, "baseline_")}
        if spoke == PAST_BASELINE:  # what spoke stands in the model's columns then
            orders[_MODEL] = orders[PAST_BASELINE] = _in_order(group, "")
        past = past_of(run for run in known[spoke] if run.known_at <= at)
        share = past.share_for(aim.value) if aim.kind == "confidence" else None
        if aim.kind == "confidence" and share is None:
            n_insufficient += 1
        waiting = frozenset(waits(orders[spoke], aim, share))
        if rules and waiting:
            subject = group.select(pl.exclude("test_id")).row(0, named=True)
            paths = changed_paths(subject) if changed_paths is not None else None
            found = fired(paths, group["test_id"].to_list(), {}, protected)
            everything = next((rule.rule for rule in found if rule.is_everything), "")
            whole.update([everything] if everything else [])
            waiting = frozenset() if everything else waiting - {test for rule in found for test in rule.tests}
        left += [(unit, at, name) for name in waiting]
        for name, run in _runs(group, orders).items():
            known[name].append(run)
    return Selected(_marked(rows, left), n_insufficient, dict(whole))


def run_of(
    tests: Sequence[RankedTest], failing: Collection[str], predicted_at: datetime, known_at: datetime
) -> PastRun:
    """A run whose outcomes are known, as the confidence curve counts it.

    Args:
        tests: In order.
        failing: Those that failed for real.
        predicted_at: When it was ordered.
        known_at: When all of its outcomes were known.
    """
    total = sum(test.expected_ms for test in tests)
    through, shares, places = 0.0, [], []
    for place, test in enumerate(tests, 1):
        through += test.expected_ms
        if test.test_id in failing:  # the first test always runs, so a failure there needs no share at all
            shares.append(0.0 if place == 1 else through / total if total else place / len(tests))
            places.append(0.0 if place == 1 else place / len(tests))
    return PastRun(predicted_at, known_at, len(tests), tuple(shares), tuple(places))


def _in_order(group: pl.DataFrame, prefix: str) -> tuple[RankedTest, ...]:
    listed = group.select("test_id", score=f"{prefix}score", probability=f"{prefix}probability")
    durations = dict(zip(group["test_id"], group["expected_duration_ms"], strict=True))
    return ordered(listed.to_dicts(), durations)


def _runs(group: pl.DataFrame, orders: Mapping[str, Sequence[RankedTest]]) -> dict[str, PastRun]:
    """This run in each order, for those after it; nothing while no outcome of it is known."""
    known_at = group["outcome_known_at"].max()
    if not isinstance(known_at, datetime):
        return {}
    failing = frozenset(group.filter(pl.col("outcome") == 1)["test_id"])
    at = group["predicted_at"][0]
    return {name: run_of(tests, failing, at, known_at) for name, tests in orders.items()}


def _marked(rows: pl.DataFrame, left: Sequence[tuple[Any, Any, str]]) -> pl.DataFrame:
    schema: dict[str, Any] = {"unit": pl.String, "predicted_at": rows.schema["predicted_at"], "test_id": pl.String}
    waiting = pl.DataFrame(left, schema=schema, orient="row").with_columns(is_acted=pl.lit(value=True))
    marked = rows.join(waiting, on=list(schema), how="left", maintain_order="left")
    acted = pl.col("is_acted").fill_null(value=False)
    return marked.with_columns(acted.alias("is_acted"), acted.alias("is_taken"), (~acted).alias("is_covered"))
