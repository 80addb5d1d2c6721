"""What is kept of all results says what the whole history says, wherever it holds, and nothing where it does not."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from models.test_selection import SPEC, kept
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.changes import CORE_CHANGES_CHANGES, CORE_CHANGES_FILES
from weaver_forge.contracts.tables.ci import CORE_CI_RUNS, CORE_CI_TEST_VERDICTS

KIND = SPEC.kinds[0]
T0 = datetime(2026, 1, 1)
MINUTE = timedelta(minutes=1)
SEEDS = range(6)


def _history(seed: int, n_runs: int = 25) -> dict[str, pl.DataFrame]:
    """Runs that overlap, end together, come in parts, lack durations or attempts, or skip tests; two repositories."""
    rng = np.random.default_rng(seed)
    names = ["pkg.mod::test_a", "pkg.mod::test_b10", "pkg.mod::test_b9", "other/TestX", "lonely", "pkg.new::test_c"]
    verdicts, runs, changes, files = [], [], [], []
    for k in range(n_runs):
        end = T0 + int(rng.integers(0, 40)) * 10 * MINUTE
        where = f"r{int(rng.integers(2))}"
        base = {
            "repo_id": where,
            "revision": f"rev{int(rng.integers(n_runs))}",
            "run_id": f"run{k}",
        }
        runs.append({**base, "run_attempt": 1, "workflow": "ci", "link_method": "given", "started_at": end - 5 * MINUTE,
                     "ended_at": end, "known_at": end})  # fmt: skip
        for name in rng.permutation(names)[: int(rng.integers(1, len(names) + 1))]:
            n = int(rng.integers(1, 4))
            verdicts.append({
                **base, "test_id": str(name), "n_attempts": n, "run_ended_at": end,
                "verdict": str(rng.choice(["passed", "failed", "flaky", "skipped"], p=[0.5, 0.3, 0.1, 0.1])),
                "n_failed": None if rng.random() < 0.3 else int(rng.integers(0, n + 1)),
                "duration_ms": None if rng.random() < 0.3 else float(rng.lognormal(3, 1)),
                "file": None if rng.random() < 0.5 else "tests/mod.py",
                "known_at": end + int(rng.random() < 0.2) * int(rng.integers(0, 90)) * MINUTE,
            })  # fmt: skip
        before = end - 30 * MINUTE
        change = {"repo_id": base["repo_id"], "revision": base["revision"], "author": f"a{int(rng.integers(3))}",
                  "committed_at": before, "known_at": before, "n_added": 3, "n_deleted": 1}  # fmt: skip
        if not any(row["repo_id"] == change["repo_id"] and row["revision"] == change["revision"] for row in changes):
            changes.append({**change, "subject": "s", "is_fix": False, "n_files": 1})
            files.append({**change, "path": str(rng.choice(["pkg/mod.py", "pkg/new.py", "docs/a.md"]))})
    frames = {
        CORE_CI_TEST_VERDICTS: verdicts, CORE_CI_RUNS: runs, CORE_CHANGES_CHANGES: changes, CORE_CHANGES_FILES: files,
    }  # fmt: skip
    made = {table.name: empty(table) for table in SPEC.reads}
    for table, rows in frames.items():
        made[table.name] = shaped(BY_NAME[table.name], pl.DataFrame(rows, infer_schema_length=None))
    return made


def _moments(seed: int, n: int = 4) -> list[datetime]:
    return [T0 + int(minute) * MINUTE for minute in np.random.default_rng(seed).integers(-10, 600, n)]


def _subjects(tables: dict[str, pl.DataFrame], at: datetime) -> pl.DataFrame:
    """Every known test and one that never ran, on a revision of each repository."""
    tests = pl.concat([tables[CORE_CI_TEST_VERDICTS.name]["test_id"].unique(), pl.Series(["pkg.mod::test_b99"])])
    revisions = tables[CORE_CHANGES_CHANGES.name].group_by("repo_id").agg(pl.col("revision").min())
    rows = revisions.join(pl.DataFrame({"test_id": tests}), how="cross")
    return rows.with_columns(predicted_at=pl.lit(at, pl.Datetime("us"))).sort("repo_id", "test_id")


@pytest.mark.parametrize("seed", SEEDS)
def test_features_of_what_is_kept_equal_those_of_the_whole_history(seed: int) -> None:
    tables = _history(seed)

    for as_of in _moments(seed):
        subjects = _subjects(tables, as_of)
        state = kept.keep(tables, as_of)

        assert kept.Kept(*(state[table.name] for table in kept.TABLES)).holds(subjects)
        from_kept = KIND.features(
            {**tables, **state, CORE_CI_TEST_VERDICTS.name: tables[CORE_CI_TEST_VERDICTS.name].head(0)}, subjects
        )
        assert_frame_equal(from_kept, KIND.features(tables, subjects), rel_tol=1e-12, abs_tol=1e-12)


def test_what_is_kept_holds_from_its_newest_result_until_the_next() -> None:
    tables = _history(1)
    as_of = T0 + 200 * MINUTE
    state = kept.keep(tables, as_of)
    found = kept.Kept(*(state[table.name] for table in kept.TABLES))
    times = found.repositories.filter(pl.col("repo_id") == "r0").row(0, named=True)
    subjects = _subjects(tables, as_of).filter(pl.col("repo_id") == "r0")

    def holds(at: datetime) -> bool:
        return found.holds(subjects.with_columns(predicted_at=pl.lit(at, pl.Datetime("us"))))

    assert times["newest_known_at"] <= as_of < times["next_known_at"]
    assert holds(times["newest_known_at"])
    assert not holds(times["newest_known_at"] - timedelta(microseconds=1))
    assert not holds(times["next_known_at"])


def test_where_it_does_not_hold_the_history_is_read() -> None:
    tables = _history(2)
    state = kept.keep(tables, T0 + 300 * MINUTE)
    earlier = _subjects(tables, T0 + 100 * MINUTE)

    features = KIND.features({**tables, **state}, earlier)

    assert_frame_equal(features, KIND.features(tables, earlier))


def test_a_result_that_comes_late_is_in_what_is_kept_next() -> None:
    tables = _history(3)
    as_of = T0 + 400 * MINUTE
    verdicts = tables[CORE_CI_TEST_VERDICTS.name]
    late = verdicts.with_columns(run_id=pl.lit("late"), known_at=pl.col("known_at") - 30 * MINUTE).unique(
        ["repo_id", "test_id"], keep="first", maintain_order=True
    )
    after = {**tables, CORE_CI_TEST_VERDICTS.name: pl.concat([verdicts, late])}
    subjects = _subjects(tables, as_of)

    features = KIND.features({**after, **kept.keep(after, as_of)}, subjects)

    assert_frame_equal(features, KIND.features(after, subjects), rel_tol=1e-12, abs_tol=1e-12)
    assert not features.equals(KIND.features(tables, subjects))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_question_gets_the_same_subjects_with_and_without_what_is_kept(seed: int) -> None:
    tables = _history(seed)
    (revision,) = tables[CORE_CHANGES_CHANGES.name].filter(pl.col("repo_id") == "r0")["revision"].head(1)
    unit = {"repo_id": "r0", "revision": revision}

    for as_of in _moments(seed):
        asked = kept.ask(tables, unit, as_of)

        assert_frame_equal(asked, kept.ask({**tables, **kept.keep(tables, as_of)}, unit, as_of))
        assert asked.filter(pl.col("predicted_at") > as_of).is_empty()


def test_a_question_uses_results_that_came_after_its_change() -> None:
    tables = _history(4)
    newest = tables[CORE_CI_TEST_VERDICTS.name].filter(pl.col("repo_id") == "r0")["known_at"].max()
    (revision,) = tables[CORE_CHANGES_CHANGES.name].filter(pl.col("repo_id") == "r0")["revision"].head(1)

    asked = kept.ask(tables, {"repo_id": "r0", "revision": revision}, T0 + 5000 * MINUTE)

    assert asked["predicted_at"].unique().to_list() == [newest]


def test_a_repository_without_results_has_nothing_to_order() -> None:
    tables = {**_history(5), CORE_CI_TEST_VERDICTS.name: empty(CORE_CI_TEST_VERDICTS)}
    as_of = T0 + 300 * MINUTE
    subjects = _subjects(_history(5), as_of)

    state = kept.keep(tables, as_of)

    assert kept.ask({**tables, **state}, {"repo_id": "r0", "revision": "rev1"}, as_of).is_empty()
    assert_frame_equal(KIND.features({**tables, **state}, subjects), KIND.features(tables, subjects))
