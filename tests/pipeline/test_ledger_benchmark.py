"""benchmark ledger: its bars, and how prices grow with the rows that are there. No absolute time is tested."""

from pathlib import Path
from typing import Any

import pytest

from assets.measuring.ledger_rows import GROUPS
from assets.verbs.ledger_benchmark import ledger_benchmark
from weaver_forge.errors import MissingInput, UsageError
from weaver_forge.settings import Settings, load

ROOT = Path(__file__).parents[2]

CANNED: dict[str, dict[str, Any]] = {
    "ledger_write": {"n": 40_000, "wall_s": 10.0, "n_batches": 1000, "verify_s": 2.0},
    "ledger_fill": {"n": 1, "wall_s": 1.0},
    "ledger_lookup": {"n": 1, "id_ms": 0.2, "unit_ms": 2.5, "id_p99_ms": 1.0, "unit_p99_ms": 9.0},
    "ledger_append": {"n": 2000, "cpu_s": 0.3},
    "ledger_score": {"n": 500_000, "read_s": 2.0, "wall_s": 4.0, "cpu_s": 4.0, "metrics": 8},
    "ledger_assess": {"whole_s": 20.0, "whole_cpu_s": 16.0, "added_s": 1.0, "added_cpu_s": 0.8},
}


def settings() -> Settings:
    return load(ROOT)


def test_every_figure_is_held_against_its_bar(tmp_path: Path) -> None:
    def run(measure: str, **_arguments: Any) -> dict[str, Any]:
        return CANNED[measure]

    rows = {name: group(run, tmp_path, 500_000) for name, group in GROUPS.items()}

    assert [(row.bar, row.outcome) for row in rows["write"]] == [(">= 2,000", "met"), ("", "")]
    assert [(row.bar, row.outcome) for row in rows["lookup"]] == [
        ("<= 2", "met"), ("<= 3", "met"), ("<= 2", "missed"), ("<= 3", "met"), ("<= 1.5", "met"),
    ]  # fmt: skip
    assert [(row.bar, row.value, row.outcome) for row in rows["score"]] == [("<= 10", "8.0 s", "met")]
    assert "in proportion, from 500,000" in rows["score"][0].ratio
    assert [(row.bar, row.value, row.outcome) for row in rows["assess"]] == [
        ("<= 2", "0.80 s CPU", "met"), ("<= 0.2", "0.05", "met"), ("", "1.00", ""),
    ]  # fmt: skip


def test_looking_up_and_appending_cost_little_more_among_ten_times_the_rows(tmp_path: Path) -> None:
    events: list[Any] = []

    code = ledger_benchmark(settings(), {"rows": 40_000, "only": ["lookup"], "data": str(tmp_path)}, events.append)

    measured = {row["figure"]: row["measured"] for row in events[-1]["data"]["rows"]}
    assert code == 0
    assert measured["the same, to among a tenth, by id"] <= 4
    assert measured["the same, to among a tenth, by decision, unit and hook"] <= 4
    assert measured["CPU of an append among 40,000, to a tenth"] <= 2.5
    assert list(tmp_path.iterdir()) == []


def test_writers_and_scores_are_measured_on_what_they_made(tmp_path: Path) -> None:
    events: list[Any] = []

    code = ledger_benchmark(
        settings(), {"rows": 20_000, "only": ["write", "score"], "data": str(tmp_path)}, events.append
    )

    rows = events[-1]["data"]["rows"]
    assert code == 0, rows
    assert [row["measure"] for row in rows] == ["write", "write", "score"]
    assert "8 metrics with intervals" in rows[2]["ratio"]


def test_assessing_what_was_added_is_measured_beside_assessing_everything_and_gives_the_same(tmp_path: Path) -> None:
    events: list[Any] = []

    code = ledger_benchmark(settings(), {"rows": 40_000, "only": ["assess"], "data": str(tmp_path)}, events.append)

    rows = events[-1]["data"]["rows"]
    assert code == 0, rows
    assert rows[1]["measured"] < 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"only": ["nothing"]}, UsageError), ({"rows": 3}, UsageError), ({"data": "no/folder"}, MissingInput)],
)
def test_what_cannot_be_measured_is_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ledger_benchmark(settings(), arguments, lambda _event: None)
