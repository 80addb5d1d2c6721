"""Test selection: what is known when, what counts as a failure, and what holds without any history."""

import json
import subprocess
import sys
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from models import test_selection
from models.test_selection.change_match import stem, tokens
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.errors import ConfigurationError

T0 = datetime(2026, 1, 1)
HOUR = timedelta(hours=1)
SPEC = test_selection.SPEC
KIND = SPEC.kinds[0]
KEY = list(KIND.subject_columns)


def _tables(verdicts: list[dict], runs: list[dict], changes: list[dict] = (), files: list[dict] = ()) -> dict:
    rows = {
        "core_ci__test_verdicts": verdicts, "core_ci__runs": runs,
        "core_changes__changes": changes, "core_changes__files": files,
    }  # fmt: skip
    return {
        name: shaped(BY_NAME[name], pl.DataFrame(some, infer_schema_length=None)) if some else empty(BY_NAME[name])
        for name, some in rows.items()
    }


def _run(k: int, revision: str | None = None, **verdicts: str) -> tuple[list[dict], dict]:
    """Run k starts at hour k and ends half an hour later."""
    start, end = T0 + k * HOUR, T0 + k * HOUR + HOUR / 2
    rev = revision or f"rev{k}"
    base = {"repo_id": "r", "run_id": f"run{k}", "revision": rev, "known_at": end}
    rows = [
        {**base, "test_id": name, "verdict": verdict, "n_attempts": 1, "duration_ms": 100.0, "run_ended_at": end}
        for name, verdict in verdicts.items()
    ]
    run = {**base, "run_attempt": 1, "workflow": "ci", "started_at": start, "ended_at": end, "link_method": "given"}
    return rows, run


def _history(*runs: tuple[list[dict], dict]) -> dict:
    return _tables([row for rows, _ in runs for row in rows], [run for _, run in runs])


def _subject(k: int, test: str, at: datetime) -> pl.DataFrame:
    frame = pl.DataFrame({"repo_id": ["r"], "revision": [f"rev{k}"], "test_id": [test], "predicted_at": [at]})
    return frame.cast({"predicted_at": pl.Datetime("us")})


def _organisation(n: int = 60, seed: int = 0) -> dict:
    """Twelve tests; each fails with its module's file, one of them often by itself."""
    rng = np.random.default_rng(seed)
    verdicts, runs, changes, files = [], [], [], []
    for k in range(n):
        touched = int(rng.integers(12))
        fails = {t: rng.random() < (0.6 if t == touched else 0.4 if t == 3 else 0.01) for t in range(12)}
        rows, run = _run(k, **{f"pkg.test_m{t}::test_it": "failed" if f else "passed" for t, f in fails.items()})
        verdicts, runs = verdicts + rows, [*runs, run]
        base = {"repo_id": "r", "revision": f"rev{k}", "author": "a", "committed_at": run["started_at"],
                "known_at": run["started_at"], "n_added": 5, "n_deleted": 1}  # fmt: skip
        changes.append({**base, "subject": "s", "is_fix": False, "n_files": 1})
        files.append({**base, "path": f"pkg/m{touched}.py"})
    return _tables(verdicts, runs, changes, files)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_results_of_one_run_are_not_known_when_it_starts() -> None:
    tables = _history(_run(0, a="failed"), _run(1, a="failed"))

    subjects = KIND.history(tables, T0 + 10 * HOUR)
    features = KIND.features(tables, subjects)

    assert subjects["predicted_at"].to_list() == [T0, T0 + HOUR]
    assert features["n_runs"].to_list() == [0.0, 1.0]


def test_a_run_without_a_start_is_predicted_just_before_its_results() -> None:
    rows, _ = _run(0, a="failed")

    subjects = KIND.history(_tables(rows, []), T0 + 10 * HOUR)

    assert subjects["predicted_at"][0] < rows[0]["known_at"]


def test_how_experienced_the_author_is_counts_earlier_changes_alone() -> None:
    tables = _organisation(5)
    by_two = pl.when(pl.col("revision") == "rev3").then(pl.lit("b")).otherwise("author")
    tables["core_changes__changes"] = tables["core_changes__changes"].with_columns(author=by_two)
    subjects = KIND.history(tables, T0 + 10 * HOUR)

    features = KIND.features(tables, subjects).group_by("revision").agg(pl.col("author_changes").unique())

    assert dict(features.iter_rows()) == {"rev0": [0.0], "rev1": [1.0], "rev2": [2.0], "rev3": [0.0], "rev4": [3.0]}


def test_rows_planted_in_the_future_change_no_feature() -> None:
    """Verdicts, runs, changes and files known after the prediction are invisible, whatever their event time."""
    tables = _organisation(20)
    subjects = KIND.history(tables, T0 + 15 * HOUR)
    before = KIND.features(tables, subjects)
    planted = {}
    for name, frame in tables.items():
        late = frame.with_columns(known_at=pl.lit(T0 + 400 * HOUR, pl.Datetime("us")))
        if "verdict" in frame.columns:
            late = late.with_columns(verdict=pl.lit("failed"))
        renamed = [pl.format("late-{}", c).alias(c) for c in ("run_id", "path") if c in frame.columns]
        planted[name] = pl.concat([frame, late.with_columns(renamed)])

    after = KIND.features(planted, subjects)

    assert_frame_equal(before, after)


def test_row_order_of_tables_and_subjects_changes_nothing() -> None:
    tables = _organisation(30)
    subjects = KIND.history(tables, T0 + 100 * HOUR)
    mixed = {name: frame.sample(fraction=1, shuffle=True, seed=1) for name, frame in tables.items()}

    straight = KIND.features(tables, subjects)
    shuffled = KIND.features(mixed, subjects.sample(fraction=1, shuffle=True, seed=2))

    assert_frame_equal(straight.sort(KEY), shuffled.sort(KEY))


def test_features_are_complete_and_in_the_order_of_the_subjects() -> None:
    tables = _organisation(10)
    subjects = KIND.history(tables, T0 + 100 * HOUR).reverse()

    features = KIND.features(tables, subjects)

    assert features.columns == [*KEY, *(column.name for column in KIND.feature_columns)]
    assert_frame_equal(features.select(KEY), subjects.select(KEY))


def test_both_outcomes_on_a_revision_are_flaky_and_no_failure() -> None:
    tables = _history(_run(0, "rev0", a="failed", b="failed", c="flaky"), _run(1, "rev0", a="passed"))
    subjects = pl.concat([_subject(0, test, T0) for test in "abc"])

    labels = KIND.labels(tables, subjects, T0 + 5 * HOUR)

    assert labels["outcome"].to_list() == [0.0, 1.0, 0.0]
    assert labels["link_method"].to_list() == [
        "revision:both outcomes, flaky", "revision:verdict", "revision:both outcomes, flaky",
    ]  # fmt: skip
    assert labels["outcome_known_at"][0] == T0 + HOUR + HOUR / 2


def test_a_label_is_pending_then_mature_and_without_a_run_unresolvable() -> None:
    tables = _history(_run(0, a="passed"))
    subjects = pl.concat([_subject(0, "a", T0), _subject(9, "a", T0)])

    early = KIND.labels(tables, subjects, T0)
    later = KIND.labels(tables, subjects, T0 + HOUR)
    last = KIND.labels(tables, subjects, T0 + timedelta(days=8))

    assert early["maturity"].to_list() == ["pending", "pending"]
    assert later["maturity"].to_list() == ["mature", "pending"]
    assert last["maturity"].to_list() == ["mature", "unresolvable"]


def test_what_was_known_before_the_prediction_is_not_its_outcome() -> None:
    tables = _history(_run(0, a="failed"))

    labels = KIND.labels(tables, _subject(0, "a", T0 + 2 * HOUR), T0 + 3 * HOUR)

    assert labels["maturity"].to_list() == ["pending"]
    assert labels["outcome"].to_list() == [None]


def test_current_takes_the_revisions_that_no_run_has_finished() -> None:
    tables = _organisation(10)
    waiting = tables["core_changes__changes"].head(1).with_columns(revision=pl.lit("fresh"))
    tables["core_changes__changes"] = pl.concat([tables["core_changes__changes"], waiting])

    subjects = KIND.current(tables, T0 + 20 * HOUR)

    assert subjects["revision"].unique().to_list() == ["fresh"]
    assert subjects.height == 12
    assert subjects["predicted_at"].unique().to_list() == [waiting["known_at"].item()]


def test_current_orders_the_newest_revision_when_nothing_waits() -> None:
    subjects = KIND.current(_organisation(10), T0 + 20 * HOUR)

    assert subjects["revision"].unique().to_list() == ["rev9"]


def test_an_unseen_test_and_an_empty_history_give_the_prior() -> None:
    tables = {name: frame.clear() for name, frame in _organisation(2).items()}
    features = KIND.features(tables, _subject(0, "never seen", T0))
    labels = KIND.labels(tables, features.select(KEY).clear(), T0)

    for method in (KIND.model, KIND.baseline):
        artifact = method.fit(features.clear(), labels, np.random.default_rng(0))
        rows = method.predict(artifact, features).rows
        assert rows["probability"].to_list() == pytest.approx([0.05], abs=0.01)


@pytest.mark.parametrize("objective", ["time", "failures", "budget"])
def test_without_any_history_the_change_orders(objective: str) -> None:
    kind = test_selection.configure(objective=objective).kinds[0]
    whole = _organisation(2)
    tables = {**whole, **{name: whole[name].clear() for name in whole if "_ci__" in name}}
    touched = whole["core_changes__files"].filter(pl.col("revision") == "rev0")["path"][0].removesuffix(".py")[5:]
    tests = [f"pkg.test_m{number}::test_it" for number in range(12)]
    features = kind.features(tables, pl.concat([_subject(0, test, T0 + HOUR / 4) for test in tests]))

    artifact = kind.model.fit(features.clear(), kind.labels(tables, features.select(KEY).clear(), T0), _rng())
    rows = kind.model.predict(artifact, features).rows.sort("score", descending=True)

    assert rows["test_id"][0] == f"pkg.test_m{touched}::test_it"


@pytest.mark.parametrize("objective", ["time", "failures", "budget"])
def test_from_the_first_run_on_what_failed_goes_first(objective: str) -> None:
    kind = test_selection.configure(objective=objective).kinds[0]
    tables = _history(_run(0, a="passed", b="failed", c="passed", d="passed", e="passed"))
    subjects = kind.history(tables, T0 + HOUR)
    features, labels = kind.features(tables, subjects), kind.labels(tables, subjects, T0 + HOUR)
    new = kind.features(tables, pl.concat([_subject(1, test, T0 + HOUR) for test in "abcdef"]))

    rows = kind.model.predict(kind.model.fit(features, labels, _rng()), new).rows.sort("score", descending=True)

    assert rows["test_id"][0] == "b"


@pytest.mark.parametrize("objective", ["time", "failures", "budget"])
def test_the_model_finds_failures_sooner_than_last_failed_first(objective: str) -> None:
    """On changes that break the test of the file they touch, with seven in ten rankings to learn from."""
    from weaver_forge import metrics

    kind = test_selection.configure(objective=objective).kinds[0]
    tables = _organisation(150)
    end = T0 + 1000 * HOUR
    subjects = kind.history(tables, end)
    features, labels = kind.features(tables, subjects), kind.labels(tables, subjects, end)
    cut = T0 + 100 * HOUR
    known, new = features.filter(pl.col("predicted_at") < cut), features.filter(pl.col("predicted_at") >= cut)
    rng = np.random.default_rng(0)

    rows = kind.model.predict(kind.model.fit(known, labels, rng), new).rows
    theirs = kind.baseline.predict(kind.baseline.fit(known, labels, rng), new).rows
    theirs = theirs.select(*KEY, baseline_probability="probability", baseline_score="score")
    judged = rows.join(theirs, on=KEY).join(labels, on=KEY).with_columns(unit="revision")
    score = metrics.evaluate(kind.metrics, judged, rng=rng)[0]

    assert score.gain is not None
    assert score.gain > 0.05
    assert judged["probability"].is_between(0, 1).all()


def test_the_artifact_is_json_and_the_same_seed_gives_the_same() -> None:
    tables = _organisation(40)
    end = T0 + 1000 * HOUR
    subjects = KIND.history(tables, end)
    features, labels = KIND.features(tables, subjects), KIND.labels(tables, subjects, end)

    first = KIND.model.fit(features, labels, np.random.default_rng(1))
    again = KIND.model.fit(features.reverse(), labels.reverse(), np.random.default_rng(1))
    loaded = json.loads(json.dumps(first))

    assert first == again
    assert_frame_equal(KIND.model.predict(first, features).rows, KIND.model.predict(loaded, features).rows)


def test_evidence_names_the_changed_file_that_the_test_is_about() -> None:
    tables = _organisation(100)
    end = T0 + 1000 * HOUR
    subjects = KIND.history(tables, end)
    features, labels = KIND.features(tables, subjects), KIND.labels(tables, subjects, end)

    rows = KIND.model.predict(KIND.model.fit(features, labels, np.random.default_rng(0)), features).rows
    near = rows.join(features.filter(pl.col("touches_namesake") > 0), on=KEY, how="semi")
    top = json.loads(near.sort("probability", descending=True)["evidence"][0])

    assert any("what the test is named after" in fact["fact"] for fact in top)
    assert [abs(fact["contribution"]) for fact in top] == sorted((abs(f["contribution"]) for f in top), reverse=True)


def test_names_are_compared_without_the_words_every_test_has() -> None:
    frame = pl.DataFrame({"path": ["src/test/java/org/acme/CartServiceTest.java", "tests/test_cart_service.py"]})

    words = frame.select(words=tokens(pl.col("path")).list.sort(), stem=stem(pl.col("path")))

    assert words["words"].to_list() == [["acme", "cart", "service"], ["cart", "service"]]
    assert words["stem"].to_list() == ["cartservice", "cartservice"]


def test_an_unknown_objective_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="speed"):
        test_selection.configure(objective="speed")


def test_predicting_loads_no_scikit_learn() -> None:
    code = (
        "import sys, models.test_selection, models.deploy_risk; sys.exit(bool({'sklearn', 'scipy'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)

    assert done.returncode == 0, done.stderr


def test_without_subjects_there_are_no_features() -> None:
    tables = _organisation(5)

    nothing = KIND.features(tables, KIND.history(tables, T0 + 100 * HOUR).clear())

    assert nothing.is_empty()
    assert {column.name for column in KIND.feature_columns} <= set(nothing.columns)
