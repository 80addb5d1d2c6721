"""benchmark ranking: its bars, and that a change nobody has seen is ranked from what is kept. No time is tested."""

import json
from pathlib import Path
from typing import Any

import pytest

from assets.measuring import ranking
from assets.measuring.ranking_rows import GROUPS
from assets.verbs.ranking_benchmark import ranking_benchmark
from weaver_forge.errors import MissingInput, UsageError
from weaver_forge.ledger import Ledger, spool
from weaver_forge.settings import Settings, load

ROOT = Path(__file__).parents[2]


def settings() -> Settings:
    return load(ROOT)


def test_every_figure_is_held_against_its_bar(tmp_path: Path) -> None:
    def run(measure: str, **given: Any) -> dict[str, Any]:
        n = given.get("n", 10_000)
        learnt = {"features_s": 1.0, "fit_s": 2.0, "keep_s": 3.0, "history_mb": 500.0, "peak_mb": 1_900.0}
        return {"n": n, "cpu_s": n / 5e4, "wall_s": 0.25 if measure == "ranking_warm" else n / 1e4, "first_s": 0.5,
                "least_s": 0.9, **learnt}  # fmt: skip

    learnt, ranked = (group(run, tmp_path, 1_000_000) for group in GROUPS.values())

    assert [(row.bar, row.outcome) for row in learnt] == [
        ("<= 60", "missed"), ("<= 2,000", "met"), ("<= 1.3", "met"), ("", ""),
    ]  # fmt: skip
    assert [(row.bar, row.outcome, row.value) for row in ranked] == [
        ("<= 300", "met", "250 ms"), ("<= 2", "met", "1.00 s"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error"), [({"only": ["x"]}, UsageError), ({"rows": 5}, UsageError), ({"data": "no"}, MissingInput)]
)
def test_what_cannot_be_measured_is_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ranking_benchmark(settings(), arguments, lambda _event: None)


def test_a_change_that_nobody_has_seen_is_ranked_from_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deployed way: command line, child process, snapshot, git and spool, with too many tests for the ledger."""
    monkeypatch.setattr(ranking, "TESTS_RANKED", 600)
    monkeypatch.setattr(ranking, "LATER", 1)
    monkeypatch.chdir(ROOT)

    filled = ranking.ranking_fill(str(tmp_path), 3_000)
    warm, cold = ranking.ranking_warm(str(tmp_path)), ranking.ranking_cold(str(tmp_path))

    assert {name.rpartition("__")[2] for name in filled["kept"]} == {
        "kept_tests", "kept_groups", "kept_repositories", "kept_failures", "kept_branches",
    }  # fmt: skip
    assert warm["n"] == cold["n"] == 600
    deployed = load(tmp_path / "deployment")
    with Ledger.open(deployed.ledger_url) as ledger:
        first, second = ledger.rows("decisions")
        drained = spool.drain(deployed.spool, ledger, deployed.now())
        predicted = {row["prediction_id"] for row in ledger.rows("predictions")}
    assert drained.n_taken == 1_200
    assert {*first["prediction_ids"], *second["prediction_ids"]} == predicted
    assert json.loads((deployed.published / "CURRENT").read_text())["version"] == 1
