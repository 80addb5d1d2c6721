"""Real decisions lived through by a hook that is killed at random: refused, given, withdrawn; nothing done twice."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from assets.measuring.decision_stream import DECISION, predicted, spliced
from assets.measuring.killed_stream import survive
from assets.predicting import SEED
from assets.verbs.autonomy_benchmark import POLICY
from assets.verbs.benchmark import read_sets
from weaver_forge import settings

OUTSIDE = settings.test_data()
STRICT = "    actions: {skip_tests: {bar: 0.95, evidence: {drift_distance: 0.2}}}\n"
"""The product's default is less easily alarmed; a drift of 0.25 is what the second history brings."""

SETS = ("coleman-dune", "tcpci-angel", "retecs-iofrol")
"""A quiet history; one in which failures are sixteen times as frequent, a drift that nobody announced; a long one."""


@pytest.mark.outside
@pytest.mark.e2e
@pytest.mark.skipif(OUTSIDE is None, reason="no outside data: set WEAVER_FORGE_TEST_DATA")
def test_autonomy_is_refused_given_and_withdrawn_and_no_test_is_left_out_twice_however_often_the_hook_is_killed(
    tmp_path: Path,
) -> None:
    assert OUTSIDE is not None
    for name in SETS:
        shutil.copytree(OUTSIDE / "tcp" / name, tmp_path / "sets" / name)
    data = [found for found in read_sets(tmp_path / "sets") if found.decision == DECISION]
    by_name = {found.set: predicted(found, np.random.default_rng(SEED)) for found in data}
    stream = spliced([by_name[name] for name in SETS])
    (tmp_path / "lived").mkdir()

    found = survive(stream, tmp_path / "lived", POLICY + STRICT, mean_s=8.0, most=12, rng=np.random.default_rng(1))

    given = next(change for change in found.changes if change["level"] == "autonomous")
    taken = next(change for change in found.changes if change["previous_level"] == "autonomous")
    assert (found.n_decisions, found.is_whole) == (stream.height, True)
    assert stream.height >= 50_000
    assert found.n_kills >= 5
    assert (found.n_doubled, found.n_unearned) == (0, 0)
    assert found.n_actions > 1_000
    assert found.n_uncertain <= found.n_kills  # at most one was under way when the hook died
    assert (given["bound"] >= 0.95, given["n_trials"] >= 88) == (True, True)
    assert (taken["level"], taken["cause"]) == ("assisted", "drift")
