"""The benchmark of ingest: its rows, how they are judged, and the ratios of a small run with room for a busy machine.

Absolute figures are of an idle machine and are not asserted; ``weaver-forge benchmark ingest`` prints them.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assets.measuring.bench import Bench
from assets.measuring.corpora import Corpora, Sizes
from assets.measuring.rows import GROUPS, Row
from assets.verbs.ingest_benchmark import ingest_benchmark
from weaver_forge.errors import MissingInput, StoreFull, UsageError
from weaver_forge.settings import Settings, load

ROOT = Path(__file__).parents[2]
SIZES = Sizes(60_000, 180_000, 300)
CANNED: dict[str, dict[str, Any]] = {
    "upb": {"n": 1000, "cpu_s": 1.0},
    "ingest": {"n": 1000, "cpu_s": 3.0, "wall_s": 3.0, "peak_mb": 500.0},
    "clickhouse": {"n": 1000, "cpu_s": 3.3, "peak_mb": 3000.0},
    "settle": {"n": 1000, "cpu_s": 1.1, "cpu_of": {"core_trace__edges": 0.2}},
    "free_cores": {"cores": 1.2},
    "receiver": {"n": 420_000, "wall_s": 10.0, "p99_ms": 300.0, "refused": 0},
    "tests": {"n": 6000, "cpu_s": 0.1},
    "git": {"n": 300, "cpu_s": 0.09},
}


class CannedBench(Bench):
    """Figures without measuring."""

    def run(self, measure: str, **_arguments: Any) -> dict[str, Any]:
        """What is canned."""
        return CANNED[measure]

    def ingest(self, _path: Path, **arguments: Any) -> dict[str, Any]:
        """What is canned, dearer without ptars."""
        return CANNED["ingest"] | ({"cpu_s": 12.0} if arguments.get("ptars") is False else {})

    def clickhouse(self) -> dict[str, Any]:
        """What is canned."""
        return CANNED["clickhouse"]


@pytest.fixture
def canned(tmp_path: Path) -> CannedBench:
    corpora = Corpora(tmp_path, SIZES)
    for name in ("protobuf", "json", "more", "hour", "history"):
        setattr(corpora, name, tmp_path / name)
    corpora.reports = []
    return CannedBench(load(ROOT), corpora, Path("python"), lambda _name: None)


def test_every_figure_of_ingest_has_its_row_and_its_bar(canned: CannedBench) -> None:
    rows = {group: make(canned) for group, make in GROUPS.items()}

    outcomes = {group: [row.outcome for row in made] for group, made in rows.items()}
    assert outcomes == {
        "protobuf": ["", "", "met"],
        "without-ptars": ["missed"],
        "json": ["met"],
        "memory": ["met", "met", "met"],
        "clickhouse": ["met"],
        "linear": ["met"],
        "marts": ["met", ""],
        "workers": ["unclear: 1.2 of 2 cores were free"],
        "receiver": ["met", "missed"],
        "junit": ["met"],
        "git": ["met"],
    }
    assert {row.bar for made in rows.values() for row in made} == {
        "", "<= 3.3", "<= 10", "<= 650", ">= 1", "<= 1.15", "<= 1", ">= 1.6", ">= 40,000", "<= 250", "<= 60",
    }  # fmt: skip


def test_a_peer_that_is_not_there_is_not_a_bar_that_is_met(canned: CannedBench) -> None:
    canned.peer = None

    (row,) = GROUPS["clickhouse"](canned)

    assert row.outcome.startswith("not measured: pip install chdb")


def test_a_figure_exactly_at_its_bar_meets_it() -> None:
    at_most = Row(figure="", value="", measured=10.0, most=10)

    assert (at_most.outcome, replace(at_most, measured=10.1).outcome) == ("met", "missed")


def test_a_measure_that_fails_costs_its_own_row(tmp_path: Path) -> None:
    peer = tmp_path / "python"
    peer.write_text("#!/bin/sh\necho it broke >&2\nexit 1\n", encoding="utf-8")
    peer.chmod(0o755)
    events: list[Any] = []

    code = ingest_benchmark(
        settings(), {"spans": 1000, "only": ["clickhouse"], "chdb": str(peer), "data": str(tmp_path)}, events.append
    )

    (row,) = events[-1]["data"]["rows"]
    assert (code, row["outcome"]) == (5, "failed: the measure failed: it broke")


def test_too_small_a_disk_is_said_before_anything_is_made(tmp_path: Path) -> None:
    corpora = Corpora(tmp_path, Sizes(10**12, 10**12, 1))

    with pytest.raises(StoreFull, match="GB are free"):
        corpora.check_room()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"only": ["nothing"]}, UsageError), ({"spans": 3}, UsageError), ({"chdb": "no/python"}, MissingInput)],
)
def test_what_cannot_be_measured_is_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ingest_benchmark(settings(), arguments, lambda _event: None)


def test_spans_come_in_at_a_few_times_the_price_of_parsing_them(tmp_path: Path) -> None:
    events: list[Any] = []

    code = ingest_benchmark(
        settings(), {"spans": 60_000, "only": ["protobuf", "json"], "data": str(tmp_path)}, events.append
    )

    measured = {row["figure"]: row["measured"] for row in events[-1]["data"]["rows"]}
    (table,) = (event for event in events if event["event"] == "table")
    assert code == 0
    assert len(table["rows"]) == len(measured) == 4
    # Three and ten times on an idle machine with a million; here with what a first chunk costs, and neighbours.
    assert measured["protobuf to queryable spans, ptars"] <= 8
    assert measured["JSON lines to queryable spans"] <= 20
    assert list(tmp_path.iterdir()) == []


def settings() -> Settings:
    return load(ROOT)
