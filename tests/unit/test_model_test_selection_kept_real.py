"""On published histories too, what is kept says what the whole history says."""

from datetime import datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.verbs.benchmark import read_sets
from models.test_selection import SPEC, kept
from weaver_forge.contracts.dtypes import empty
from weaver_forge.settings import test_data as outside_data

KIND = SPEC.kinds[0]
VERDICTS = "core_ci__test_verdicts"
SHARES = (0.3, 0.9)
"""Places in the history at which a question is asked."""


@pytest.mark.outside
def test_features_of_what_is_kept_equal_those_of_published_histories() -> None:
    folder = outside_data()
    if folder is None or not (folder / "tcp").is_dir():
        pytest.skip("WEAVER_FORGE_TEST_DATA has no folder tcp")
    n_asked = 0

    for data in read_sets(folder / "tcp"):
        if data.decision != SPEC.name or VERDICTS not in data.tables:
            continue
        tables = {**{table.name: empty(table) for table in SPEC.reads}, **data.tables}
        times = tables[VERDICTS]["known_at"].unique().sort()
        for at in (times[int(share * len(times))] for share in SHARES):
            subjects = _asked(tables, at)
            nothing = {**tables, **kept.keep(tables, at), VERDICTS: tables[VERDICTS].clear()}

            assert_frame_equal(KIND.features(nothing, subjects), KIND.features(tables, subjects), rel_tol=1e-9)
            n_asked += subjects.height
    assert n_asked > 0


def _asked(tables: dict[str, pl.DataFrame], at: datetime) -> pl.DataFrame:
    """Every test of the newest run, and a new one, on the next revision."""
    verdicts = tables[VERDICTS]
    next_run = verdicts.filter(pl.col("known_at") > at).sort("known_at", "run_id").head(1)
    newest = next_run if next_run.height else verdicts.sort("known_at", "run_id").tail(1)
    tests = verdicts.filter(pl.col("known_at") <= at).select("repo_id", "test_id").unique()
    asked = tests.join(newest.select("repo_id", "revision"), on="repo_id")
    new = newest.select("repo_id", pl.lit("new::test").alias("test_id"), "revision")
    rows = pl.concat([asked, new]).with_columns(predicted_at=pl.lit(at, pl.Datetime("us")))
    return rows.select("repo_id", "revision", "test_id", "predicted_at").sort("test_id")
