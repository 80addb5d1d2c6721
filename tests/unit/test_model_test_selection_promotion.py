"""The gate of test selection: what beats last-failed-first on the newest results is promoted, and nothing else."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models import test_selection
from models.learning import Judgement, learn
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables import BY_NAME

T0 = datetime(2026, 1, 1)
HOUR = timedelta(hours=1)
KIND = test_selection.SPEC.kinds[0]
N_RUNS, N_TESTS = 60, 12


def judged(chance: np.ndarray, *, n: int = N_RUNS) -> Judgement:
    """Runs an hour apart in which test t of run k fails with chance[k, t]; each changes the module of test k % 12."""
    rng = np.random.default_rng(0)
    verdicts, runs, changes, files = [], [], [], []
    for k in range(n):
        start, end = T0 + k * HOUR, T0 + k * HOUR + HOUR / 2
        run = {"repo_id": "r", "run_id": f"run{k:03}", "revision": f"rev{k}", "known_at": end}
        runs.append({**run, "run_attempt": 1, "workflow": "ci", "started_at": start, "ended_at": end,
                     "link_method": "given"})  # fmt: skip
        for t in range(N_TESTS):
            verdict = "failed" if rng.random() < chance[k, t] else "passed"
            verdicts.append({**run, "test_id": f"pkg.test_m{t}::test_it", "verdict": verdict, "n_attempts": 1,
                             "duration_ms": 100.0, "run_ended_at": end})  # fmt: skip
        of = {"repo_id": "r", "revision": f"rev{k}", "author": "a", "committed_at": start, "known_at": start,
              "n_added": 5, "n_deleted": 1}  # fmt: skip
        changes.append({**of, "subject": "s", "is_fix": False, "n_files": 1})
        files.append({**of, "path": f"pkg/m{k % N_TESTS}.py"})
    rows = {"core_ci__test_verdicts": verdicts, "core_ci__runs": runs, "core_changes__changes": changes,
            "core_changes__files": files}  # fmt: skip
    tables = {table.name: empty(table) for table in test_selection.SPEC.reads}
    tables |= {name: shaped(BY_NAME[name], pl.DataFrame(some)) for name, some in rows.items()}
    as_of = T0 + 1000 * HOUR
    features = KIND.features(tables, KIND.history(tables, as_of))
    return learn(KIND, tables, features, as_of=as_of, rng=np.random.default_rng(0)).judgement


def test_a_model_that_finds_failures_sooner_is_promoted() -> None:
    """Each change breaks the test of its module, which has not failed for twelve runs: history alone puts it last."""
    chance = np.full((N_RUNS, N_TESTS), 0.01)
    chance[np.arange(N_RUNS), np.arange(N_RUNS) % N_TESTS] = 0.9

    judgement = judged(chance)

    assert judgement.promoted
    assert judgement.reason.startswith("multi_scale_history_logistic beats last_failed_first on apfdc: +")


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_where_failures_come_by_chance_nothing_is_promoted(rate: float) -> None:
    judgement = judged(np.full((N_RUNS, N_TESTS), rate))

    assert not judgement.promoted
    assert judgement.reason.startswith("multi_scale_history_logistic does not beat last_failed_first on apfdc: ")


def test_too_little_to_judge_promotes_nothing_and_says_so() -> None:
    judgement = judged(np.full((2, N_TESTS), 0.2), n=2)

    assert not judgement.promoted
    assert judgement.reason == "insufficient data: 24 of 40 mature subjects"
