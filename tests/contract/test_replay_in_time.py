"""A replay knows at each step what was known then, and no more; a feature that knows more is caught by name."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.anomaly import SPEC as ANOMALY
from models.deploy_risk import configure
from models.leaks import check_leaks
from models.learning import learn
from models.load_forecast import SPEC as LOAD
from models.replaying import CutTables, Window, replay
from models.test_selection import SPEC as TESTS
from weaver_forge.contracts.decision import DecisionSpec, SubjectKind, Tables
from weaver_forge.contracts.table import Column
from weaver_forge.errors import ContractError

RISK = configure(change_maturity_days=2)
KINDS = [(spec, kind) for spec in (TESTS, RISK, ANOMALY, LOAD) for kind in spec.kinds]


@pytest.fixture(params=KINDS, ids=lambda found: f"{found[0].name}-{found[1].entity}")
def each(request: pytest.FixtureRequest) -> tuple[DecisionSpec, SubjectKind]:
    """Every shipped subject kind."""
    found: tuple[DecisionSpec, SubjectKind] = request.param
    return found


def test_every_shipped_kind_keeps_to_what_was_known(each: tuple[DecisionSpec, SubjectKind], simulated: Any) -> None:
    spec, kind = each
    subjects = kind.history(simulated.tables, simulated.now)

    checked = check_leaks(spec.name, kind, simulated.tables, subjects)

    assert checked.n_features == len(kind.feature_columns)
    assert checked.n_subjects > 0 or subjects.is_empty()


def leaky(kind: SubjectKind) -> SubjectKind:
    """The kind with one more feature: whether the change will ever be blamed."""

    def features(tables: Tables, subjects: pl.DataFrame) -> pl.DataFrame:
        blamed = tables["core_changes__blames"].select("repo_id", "revision").unique()
        marked = blamed.with_columns(is_blamed=pl.lit(1.0))
        return kind.features(tables, subjects).join(
            marked, on=["repo_id", "revision"], how="left", maintain_order="left"
        )

    column = Column("is_blamed", "DOUBLE", "Planted: it is known from the fix's time on only.", nullable=True)
    return replace(kind, features=features, feature_columns=(*kind.feature_columns, column))


def test_a_feature_that_knows_the_future_is_named_with_a_subject_of_it(simulated: Any) -> None:
    kind = leaky(RISK.kind("changes"))
    subjects = kind.history(simulated.tables, simulated.now)

    with pytest.raises(ContractError, match="the feature is_blamed of deploy_risk, changes knows the future") as caught:
        check_leaks("deploy_risk", kind, simulated.tables, subjects)

    blamed = set(simulated.tables["core_changes__blames"]["revision"])
    assert any(f"revision {revision}," in caught.value.what for revision in blamed)


def test_a_label_that_knows_the_future_is_named(simulated: Any) -> None:
    kind = RISK.kind("changes")

    def labels(tables: Tables, subjects: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
        return kind.labels(tables, subjects, as_of + timedelta(days=30))

    with pytest.raises(ContractError, match="the label's outcome of deploy_risk"):
        check_leaks(
            "deploy_risk", replace(kind, labels=labels), simulated.tables, kind.history(simulated.tables, simulated.now)
        )


def test_what_a_step_says_is_what_production_would_have_said_then(simulated: Any) -> None:
    """The artifact of the last step, learnt by hand from tables that were cut at its beginning."""
    kind = TESTS.kinds[0]
    made = replay(kind, simulated.tables, Window(until=simulated.now, last=30), now=simulated.now, n_steps=3, seed=5)
    step = made.steps[-1]

    then = CutTables(simulated.tables, step.at)
    features = kind.features(then, kind.history(then, step.at))
    learned = learn(kind, then, features, as_of=step.at, rng=np.random.default_rng(5))
    asked = made.rows.filter(pl.col("predicted_at").is_between(step.at, step.until))
    said = kind.model.predict(learned.model, kind.features(simulated.tables, asked.select(kind.subject_columns))).rows

    compared = made.compared.filter(pl.col("predicted_at").is_between(step.at, step.until))
    assert learned.judgement.promoted == step.promoted
    assert compared.height == asked.height == said.height
    joined = compared.join(said, on=kind.subject_columns, suffix="_then")
    assert joined.select((pl.col("probability") - pl.col("probability_then")).abs().max()).item() < 1e-9


def test_every_kind_is_replayed_in_whole_decisions(each: tuple[DecisionSpec, SubjectKind], simulated: Any) -> None:
    _spec, kind = each

    made = replay(kind, simulated.tables, Window(until=simulated.now, last=20), now=simulated.now, n_steps=2)

    assert len(made.steps) <= 2
    if made.steps:
        assert made.rows.select("unit", "predicted_at").n_unique() <= 20
        assert made.rows["maturity"].null_count() == 0
        assert "pending" not in made.rows["maturity"].to_list()
        assert made.rows.height == made.compared.height == made.features.height


def test_what_became_known_after_a_step_changes_nothing_of_what_it_says(simulated: Any) -> None:
    """Every verdict from after the first step is turned round; what the step said stays as it was."""
    kind = TESTS.kinds[0]
    window = Window(until=simulated.now, last=20)
    made = replay(kind, simulated.tables, window, now=simulated.now, n_steps=2)
    first, second = made.steps
    name = "core_ci__test_verdicts"
    turned = pl.col("verdict").replace({"passed": "failed", "failed": "passed"})
    is_later = pl.col("known_at") > first.until
    later = simulated.tables[name].with_columns(pl.when(is_later).then(turned).otherwise("verdict").alias("verdict"))

    again = replay(kind, {**simulated.tables, name: later}, window, now=simulated.now, n_steps=2)

    both = made.rows.join(again.rows, on=kind.subject_columns, suffix="_again")
    differs = pl.col("probability") != pl.col("probability_again")
    assert both.height == made.rows.height
    assert both.filter(differs, pl.col("predicted_at") < second.at).is_empty()
    assert not both.filter(differs, pl.col("predicted_at") >= second.at).is_empty()


def test_while_only_bad_outcomes_can_be_known_a_change_counts_as_open(simulated: Any) -> None:
    kind = RISK.kind("changes")

    made = replay(
        kind, simulated.tables, Window(until=simulated.now, since=simulated.now - timedelta(days=4)),
        now=simulated.now, n_steps=1,
    )  # fmt: skip

    young = made.rows.filter(pl.col("predicted_at") > simulated.now - kind.one_sided_for)
    assert not young.is_empty()
    assert young["outcome"].null_count() == young.height
    assert set(young["maturity"]) == {"pending"}


def test_a_past_without_decisions_gives_no_steps(simulated: Any) -> None:
    kind = TESTS.kinds[0]
    empty = {name: frame.clear() for name, frame in simulated.tables.items()}

    made = replay(kind, empty, Window(until=simulated.now, last=10), now=simulated.now)

    assert (made.steps, made.rows.height) == ((), 0)
