"""Features of changes: computed by hand on a small history, and never from the change itself or later."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from weaver_forge.changes.diff_features import change_features
from weaver_forge.contracts.dtypes import empty, from_rows
from weaver_forge.contracts.tables.changes import CORE_CHANGES_BLAMES, CORE_CHANGES_CHANGES, CORE_CHANGES_FILES

T0 = datetime(2026, 1, 5, 9)
DAY = timedelta(days=1)


def _history() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """r0: a creates core/x.py. r1: b changes it. r2: a changes it and adds tests/test_x.py, r0 being blamed by then."""
    touched = {"r0": ("a", 0, [("core/x.py", 100, 0)]), "r1": ("b", 2, [("core/x.py", 10, 30)]),
               "r2": ("a", 6, [("core/x.py", 6, 0), ("tests/test_x.py", 6, 0)])}  # fmt: skip
    changes, files = [], []
    for revision, (author, day, parts) in touched.items():
        base = {"repo_id": "r", "revision": revision, "author": author, "committed_at": T0 + day * DAY,
                "known_at": T0 + day * DAY}  # fmt: skip
        sums = {"n_files": len(parts), "n_added": sum(p[1] for p in parts), "n_deleted": sum(p[2] for p in parts)}
        changes.append({**base, **sums, "subject": "s", "is_fix": revision == "r1"})
        files += [{**base, "path": path, "n_added": added, "n_deleted": deleted} for path, added, deleted in parts]
    blame = {
        "repo_id": "r",
        "revision": "r0",
        "fix_revision": "r1",
        "n_lines": 1,
        "method": "szz_blame",
        "known_at": T0 + 2 * DAY,
    }
    return (
        from_rows(CORE_CHANGES_CHANGES, changes),
        from_rows(CORE_CHANGES_FILES, files),
        from_rows(CORE_CHANGES_BLAMES, [blame]),
    )


def _subjects(*pairs: tuple[str, datetime]) -> pl.DataFrame:
    rows = {"repo_id": ["r"] * len(pairs), "revision": [p[0] for p in pairs], "predicted_at": [p[1] for p in pairs]}
    return pl.DataFrame(rows).cast({"predicted_at": pl.Datetime("us")})


def test_every_feature_of_a_small_history_is_what_a_person_would_count() -> None:
    row = change_features(_subjects(("r2", T0 + 6 * DAY)), *_history()).row(0, named=True)

    counted = {
        "lines_added": 12, "lines_deleted": 0, "n_files": 2, "n_folders": 2, "n_subsystems": 2, "entropy": 1.0,
        "lines_before": 40, "is_fix": 0, "n_developers": 2, "age_days": 4.0, "n_prior_changes": 2, "n_prior_bugs": 1,
        "n_new_files": 1, "author_changes": 1, "author_recent_changes": 1, "author_subsystem_changes": 1,
        "n_test_files": 1, "n_config_files": 0, "hour": 9, "weekday": 7, "n_changes_last_7_days": 2,
    }  # fmt: skip
    assert {name: row[name] for name in counted} == pytest.approx(counted)
    assert row["author_bug_excess"] == pytest.approx((1 + 10 * 0.5) / 11 - 0.5)


def test_the_first_change_has_no_past() -> None:
    row = change_features(_subjects(("r0", T0)), *_history()).row(0, named=True)

    assert (row["n_prior_changes"], row["n_developers"], row["n_new_files"], row["author_changes"]) == (0, 0, 1, 0)
    assert row["age_days"] is None


def test_asking_later_changes_nothing() -> None:
    """The history before a change is that of its arrival, however late one asks."""
    changes, files, blames = _history()
    soon = change_features(_subjects(("r0", T0)), changes, files, blames).drop("predicted_at")

    late = change_features(_subjects(("r0", T0 + 90 * DAY)), changes, files, blames).drop("predicted_at")

    assert soon.equals(late)


def test_a_change_that_is_not_known_yet_has_nulls_not_numbers() -> None:
    frame = change_features(_subjects(("r2", T0), ("unheard of", T0)), *_history())

    assert frame["lines_added"].to_list() == [None, None]
    assert frame["author_changes"].to_list() == [None, None]
    assert frame["n_files"].to_list() == [None, None]


def test_empty_tables_give_a_row_a_subject() -> None:
    tables = (empty(CORE_CHANGES_CHANGES), empty(CORE_CHANGES_FILES), empty(CORE_CHANGES_BLAMES))

    assert change_features(_subjects(("r0", T0)), *tables).height == 1
