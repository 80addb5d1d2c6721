"""Every check that every model must pass, over every kind of every registered decision.

The registry is this deployment's weaver-forge.toml: a decision that is added there is swept here. How much better
than its baseline a model is needs more history than eight simulated days; benchmarks and the demo measure that.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.registry import load_specs
from models.learning import mature_labels, no_labels, output
from weaver_forge.contracts.decision import (
    CANDIDATE_COLUMNS,
    LABEL_COLUMNS,
    OUTPUT_COLUMNS,
    PREDICTED_AT,
    Artifact,
    Column,
    DecisionSpec,
    Method,
    Predictions,
    SubjectKind,
)
from weaver_forge.contracts.dtypes import dtype, empty
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.settings import load

ROOT = Path(__file__).parents[2]
# Ninety days of maturity would leave a history of eight without a single label.
SETTINGS = replace(load(ROOT), options={"deploy_risk": {"change_maturity_days": 2}})
SEED = 11
HEAVY = ("sklearn", "scipy", "statsforecast", "pandas", "dagster", "mlflow")
TOLERANCE = {"rel_tol": 1e-6, "abs_tol": 1e-9}
"""Sums of the same numbers in another order differ in their last digits."""


@dataclass(frozen=True, slots=True)
class Case:
    """A registered kind of subject."""

    spec: DecisionSpec
    kind: SubjectKind

    def __str__(self) -> str:
        """As its tables are named."""
        return f"{self.spec.name}__{self.kind.entity}"


CASES = [Case(spec, kind) for spec in load_specs(SETTINGS) for kind in spec.kinds]
METHODS = ("model", "baseline")

every_kind = pytest.mark.parametrize("case", CASES, ids=str)
both_methods = pytest.mark.parametrize("which", METHODS)


@dataclass(frozen=True, slots=True)
class History:
    """What a kind learns from: tables cut to what the spec declares, features, and the mature labels."""

    tables: dict[str, pl.DataFrame]
    now: datetime
    subjects: pl.DataFrame
    features: pl.DataFrame
    labels: pl.DataFrame
    artifacts: dict[str, Artifact]

    def usable(self, kind: SubjectKind) -> pl.DataFrame:
        """Features of the subjects that have a mature label."""
        return self.features.join(self.labels.select(kind.subject_columns), on=kind.subject_columns, how="semi")


@pytest.fixture(scope="module")
def histories(simulated: Any) -> dict[str, History]:
    """Features, labels and both fitted methods of every kind, computed once."""
    return {str(case): _history(case, simulated.tables, simulated.now) for case in CASES}


def _history(case: Case, tables: Mapping[str, pl.DataFrame], now: datetime) -> History:
    kind = case.kind
    declared = {table.name: tables[table.name] for table in case.spec.reads}
    subjects = kind.history(declared, now)
    features = kind.features(declared, subjects)
    labels = mature_labels(kind, declared, features, as_of=now)
    history = History(declared, now, subjects, features, labels, {})
    for which in METHODS:
        history.artifacts[which] = _fit(kind, which, history.usable(kind), labels)
    return history


def _method(kind: SubjectKind, which: str) -> Method:
    return kind.model if which == "model" else kind.baseline


def _fit(kind: SubjectKind, which: str, features: pl.DataFrame, labels: pl.DataFrame) -> Artifact:
    return _method(kind, which).fit(features, labels, np.random.default_rng(SEED))


def _rows(kind: SubjectKind, said: Predictions) -> pl.DataFrame:
    return output(kind, said.rows).sort(kind.subject_columns)


def _shuffled(frame: pl.DataFrame, seed: int = SEED) -> pl.DataFrame:
    return frame.sample(fraction=1.0, shuffle=True, seed=seed)


def _assert_sane(kind: SubjectKind, said: Predictions, asked: pl.DataFrame) -> None:
    """One row a subject; probabilities in [0, 1]; quantiles in order; evidence in its shape."""
    rows = _rows(kind, said)
    assert rows.select(kind.subject_columns).equals(asked.select(kind.subject_columns).sort(kind.subject_columns))
    if kind.predicts == "event":
        assert rows["probability"].null_count() == 0
        assert rows["probability"].is_between(0.0, 1.0).all()
        assert rows["value"].null_count() == rows.height
    else:
        numbers = rows.select("q_025", "q_100", "value", "q_900", "q_975")
        assert rows["probability"].null_count() == rows.height
        for low, high in zip(numbers.columns, numbers.columns[1:], strict=False):
            assert (numbers[low] <= numbers[high]).fill_null(value=True).all(), (low, high)
    for name in ("probability", "value", "q_025", "q_100", "q_900", "q_975", "score"):
        assert rows[name].is_nan().fill_null(value=False).sum() == 0, name
    for text in rows["evidence"].unique():
        assert all({"fact", "contribution", "link"} <= set(item) for item in json.loads(text))


@every_kind
def test_there_is_history_to_check_with(case: Case, histories: dict[str, History]) -> None:
    """Else every other check would hold of nothing."""
    history = histories[str(case)]

    assert history.features.height > 20
    assert history.labels.height > 20


@every_kind
@both_methods
def test_what_was_learnt_tells_subjects_apart(case: Case, which: str, histories: dict[str, History]) -> None:
    """Else the checks below would hold of a constant: the fitted methods are no mere priors."""
    history = histories[str(case)]
    said = _method(case.kind, which).predict(history.artifacts[which], history.features)

    rows = output(case.kind, said.rows).with_columns(order=pl.coalesce("score", "probability", "value"))

    assert rows["order"].n_unique() > 1
    assert json.dumps(history.artifacts[which]) != json.dumps(
        _fit(case.kind, which, history.features.head(0), no_labels(case.kind, history.features))
    )


@every_kind
def test_features_are_the_declared_columns_one_row_a_subject_in_order(
    case: Case, histories: dict[str, History]
) -> None:
    history = histories[str(case)]
    kind = case.kind
    expected = {c.name: dtype(c.type) for c in (*kind.key, PREDICTED_AT, *kind.feature_columns)}

    assert {name: history.features.schema[name] for name in expected} == expected
    assert history.features.columns == list(expected)
    assert history.features.select(kind.subject_columns).equals(history.subjects.select(kind.subject_columns))
    required = [column.name for column in kind.feature_columns if not column.nullable]
    assert [name for name in required if history.features[name].null_count()] == []


@every_kind
def test_labels_are_the_declared_columns_and_mature_only_with_an_outcome(
    case: Case, histories: dict[str, History]
) -> None:
    history = histories[str(case)]
    kind = case.kind

    labels = kind.labels(history.tables, history.subjects, history.now)

    assert set(labels.columns) >= {*kind.subject_columns, *(column.name for column in LABEL_COLUMNS)}
    assert labels.height == history.subjects.height
    assert set(labels["maturity"].unique()) <= {"pending", "mature", "unresolvable"}
    is_mature = labels["maturity"] == "mature"
    assert labels.filter(is_mature).select("outcome", "outcome_known_at").null_count().sum_horizontal().item() == 0
    assert labels.filter(~is_mature)["outcome"].null_count() == (~is_mature).sum()
    assert (labels["outcome_known_at"].drop_nulls() <= history.now).all()
    if kind.predicts == "event":
        assert set(labels["outcome"].drop_nulls().unique()) <= {0.0, 1.0}


@every_kind
def test_a_label_is_what_was_known_when_it_is_asked(case: Case, histories: dict[str, History]) -> None:
    """Rows that became known after ``as_of`` play no part, and no outcome is dated later than it."""
    history = histories[str(case)]
    middle = history.subjects["predicted_at"].sort()[history.subjects.height // 2] + timedelta(hours=12)
    asked = history.subjects.filter(pl.col("predicted_at") <= middle)
    cut = {name: frame.filter(pl.col("known_at") <= middle) for name, frame in history.tables.items()}

    whole = case.kind.labels(history.tables, asked, middle)

    assert_frame_equal(whole, case.kind.labels(cut, asked, middle), check_row_order=False)
    assert (whole["outcome_known_at"].drop_nulls() <= middle).all()


@every_kind
@both_methods
def test_the_same_seed_gives_the_same_result(case: Case, which: str, histories: dict[str, History]) -> None:
    history = histories[str(case)]

    again = _fit(case.kind, which, history.usable(case.kind), history.labels)

    assert json.dumps(again, sort_keys=True) == json.dumps(history.artifacts[which], sort_keys=True)


@every_kind
def test_the_row_order_of_tables_and_subjects_changes_no_feature(case: Case, histories: dict[str, History]) -> None:
    history = histories[str(case)]
    kind = case.kind
    tables = {name: _shuffled(frame) for name, frame in history.tables.items()}

    shuffled = kind.features(tables, _shuffled(history.subjects))

    expected = history.features.sort(kind.subject_columns)
    assert_frame_equal(shuffled.sort(kind.subject_columns), expected, **TOLERANCE)  # type: ignore[arg-type]


@every_kind
def test_the_row_order_of_tables_changes_no_subject_and_no_label(case: Case, histories: dict[str, History]) -> None:
    history = histories[str(case)]
    kind = case.kind
    tables = {name: _shuffled(frame) for name, frame in history.tables.items()}
    for pick in (kind.history, kind.current):
        assert_frame_equal(pick(tables, history.now), pick(history.tables, history.now), check_row_order=False)

    shuffled = kind.labels(tables, _shuffled(history.subjects), history.now)

    labels = kind.labels(history.tables, history.subjects, history.now)
    assert_frame_equal(shuffled.sort(kind.subject_columns), labels.sort(kind.subject_columns))


@every_kind
@both_methods
def test_the_row_order_of_learning_changes_no_prediction(case: Case, which: str, histories: dict[str, History]) -> None:
    history = histories[str(case)]
    kind, method = case.kind, _method(case.kind, which)

    artifact = _fit(kind, which, _shuffled(history.usable(kind), 3), _shuffled(history.labels, 5))

    expected = _rows(kind, method.predict(history.artifacts[which], history.features)).drop("evidence")
    shuffled = _rows(kind, method.predict(artifact, _shuffled(history.features))).drop("evidence")
    assert_frame_equal(shuffled, expected, **TOLERANCE)  # type: ignore[arg-type]


@every_kind
@both_methods
def test_predictions_are_sane_on_all_of_history(case: Case, which: str, histories: dict[str, History]) -> None:
    """Probabilities in [0, 1], quantiles in order, one row a subject, evidence as declared."""
    history = histories[str(case)]

    said = _method(case.kind, which).predict(history.artifacts[which], history.features)

    _assert_sane(case.kind, said, history.features)


@every_kind
@both_methods
def test_current_subjects_get_a_prediction(case: Case, which: str, histories: dict[str, History]) -> None:
    history = histories[str(case)]
    current = case.kind.current(history.tables, history.now)

    said = _method(case.kind, which).predict(history.artifacts[which], case.kind.features(history.tables, current))

    assert current.height > 0
    assert (current["predicted_at"] <= history.now).all()
    _assert_sane(case.kind, said, current)


@every_kind
@both_methods
@pytest.mark.parametrize("learned", [True, False], ids=["fitted", "prior"])
def test_an_empty_history_gives_a_prior(case: Case, which: str, learned: bool, histories: dict[str, History]) -> None:
    """Nothing known of any subject, and nothing learned either: a row each and a stated prior, no error."""
    history = histories[str(case)]
    kind = case.kind
    nothing = {table.name: empty(table) for table in case.spec.reads}
    asked = history.subjects.head(30)
    artifact = history.artifacts[which]
    if not learned:
        artifact = _fit(kind, which, history.features.head(0), no_labels(kind, history.features))

    features = kind.features(nothing, asked)
    said = _method(kind, which).predict(artifact, features)

    assert features.height == asked.height
    _assert_sane(kind, said, asked)


@every_kind
def test_empty_tables_have_no_subjects(case: Case, histories: dict[str, History]) -> None:
    """A new deployment predicts nothing, with the right columns, and fails nowhere."""
    history = histories[str(case)]
    nothing = {table.name: empty(table) for table in case.spec.reads}

    for pick in (case.kind.history, case.kind.current):
        subjects = pick(nothing, history.now)
        assert subjects.height == 0
        assert subjects.columns[: len(case.kind.subject_columns)] == list(case.kind.subject_columns)
        assert subjects.schema == history.subjects.schema
        assert case.kind.features(nothing, subjects).height == 0
        assert case.kind.labels(nothing, subjects, history.now).height == 0


@every_kind
@both_methods
def test_an_unseen_category_gets_a_prior(case: Case, which: str, histories: dict[str, History]) -> None:
    """A service, repository or test nobody has heard of is predicted, not refused."""
    history = histories[str(case)]
    kind = case.kind
    names = [column.name for column in kind.key if column.type == "VARCHAR"]
    asked = history.subjects.head(5).with_columns(
        pl.format("never seen {}", pl.int_range(pl.len())).alias(n) for n in names
    )

    said = _method(kind, which).predict(history.artifacts[which], kind.features(history.tables, asked))

    _assert_sane(kind, said, asked)


@every_kind
def test_no_feature_is_newer_than_its_prediction(case: Case, histories: dict[str, History]) -> None:
    """Taking away everything that became known later changes no feature of the subjects of that time."""
    history = histories[str(case)]
    times = history.subjects["predicted_at"].unique().sort()

    for at in times.gather_every(max(len(times) // 6, 1)):
        cut = {name: frame.filter(pl.col("known_at") <= at) for name, frame in history.tables.items()}
        now = pl.col("predicted_at") == at
        then = case.kind.features(cut, history.subjects.filter(now))
        assert_frame_equal(then, history.features.filter(now), **TOLERANCE)  # type: ignore[arg-type]


@every_kind
@both_methods
def test_the_artifact_round_trips_through_json(case: Case, which: str, histories: dict[str, History]) -> None:
    """What a snapshot carries is plain JSON, without NaN, and predicts the same."""
    history = histories[str(case)]
    kind, method = case.kind, _method(case.kind, which)

    text = json.dumps(history.artifacts[which], allow_nan=False)

    said = method.predict(json.loads(text), history.features)
    assert_frame_equal(said.rows, method.predict(history.artifacts[which], history.features).rows)
    assert _rows(kind, said).height == history.features.height


@every_kind
def test_both_methods_say_the_same_columns(case: Case, histories: dict[str, History]) -> None:
    history = histories[str(case)]
    kind = case.kind

    model, baseline = (_method(kind, which).predict(history.artifacts[which], history.features) for which in METHODS)

    allowed = {*kind.subject_columns, *(column.name for column in OUTPUT_COLUMNS)}
    assert set(model.rows.columns) <= allowed
    assert output(kind, model.rows).schema == output(kind, baseline.rows).schema
    for name in ("probability", "value"):
        assert output(kind, model.rows)[name].null_count() == output(kind, baseline.rows)[name].null_count(), name


@every_kind
@both_methods
def test_candidates_are_ranked_from_one_and_only_where_declared(
    case: Case, which: str, histories: dict[str, History]
) -> None:
    history = histories[str(case)]
    kind = case.kind

    candidates = _method(kind, which).predict(history.artifacts[which], history.features).candidates

    assert (candidates is None) or kind.candidates
    if candidates is not None:
        assert set(candidates.columns) == {*kind.subject_columns, *(column.name for column in CANDIDATE_COLUMNS)}
        assert candidates["probability"].is_between(0.0, 1.0).all()
        ranks = candidates.group_by(kind.subject_columns).agg(pl.col("rank").sort())
        assert all(list(rank) == list(range(1, len(rank) + 1)) for rank in ranks["rank"])


@every_kind
def test_reading_an_undeclared_table_is_an_error(case: Case, histories: dict[str, History]) -> None:
    """What a spec declares is what it reads: every function worked on the declared tables alone."""
    history = histories[str(case)]

    assert set(history.tables) == {table.name for table in case.spec.reads}
    assert set(history.tables) <= set(BY_NAME)
    assert all(isinstance(column, Column) and column.doc for column in case.kind.feature_columns)


FRESH = f"""
import json, sys
from dataclasses import replace
from pathlib import Path
import polars as pl
from assets.registry import load_specs
from weaver_forge.settings import load
folder = Path(sys.argv[2])
for spec in load_specs(replace(load(Path(sys.argv[1])), options={SETTINGS.options!r})):
    for kind in spec.kinds:
        for which in {METHODS!r}:
            name = f"{{spec.name}}__{{kind.entity}}"
            method = kind.model if which == "model" else kind.baseline
            artifact = json.loads((folder / f"{{name}}.{{which}}.json").read_text())
            said = method.predict(artifact, pl.read_parquet(folder / f"{{name}}.parquet"))
            said.rows.write_parquet(folder / f"{{name}}.{{which}}.parquet")
        print(name, *(heavy for heavy in {HEAVY!r} if heavy in sys.modules), sep=",")
"""


def test_predicting_in_a_fresh_process_imports_nothing_heavy_and_says_the_same(
    histories: dict[str, History], tmp_path: Path
) -> None:
    """On-demand scoring has ten seconds; importing scikit-learn alone can take half of that."""
    for name, history in histories.items():
        history.features.write_parquet(tmp_path / f"{name}.parquet")
        for which in METHODS:
            (tmp_path / f"{name}.{which}.json").write_text(json.dumps(history.artifacts[which]), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(ROOT), str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(histories)
    for case in CASES:
        for which in METHODS:
            history = histories[str(case)]
            here = _method(case.kind, which).predict(history.artifacts[which], history.features).rows
            assert_frame_equal(pl.read_parquet(tmp_path / f"{case}.{which}.parquet"), here)
