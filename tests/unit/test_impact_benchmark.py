"""``benchmark impact``: the rows that every benchmark has, refusals, and the bar on small real histories."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.verbs.benchmark import benchmark
from weaver_forge.benchmarks import git_history
from weaver_forge.contracts.tables.changes import CORE_CHANGES_FILES
from weaver_forge.errors import MissingInput, UsageError
from weaver_forge.links.impact.evaluation import measure
from weaver_forge.links.impact.history import history
from weaver_forge.links.impact.prior import PRIOR
from weaver_forge.links.impact.signals import NAMES
from weaver_forge.settings import Settings
from weaver_forge.settings import test_data as outside_data

SMALL_BYTES = 120_000


def _settings(root: Path) -> Settings:
    return Settings(root=root, python=Path(sys.executable), decisions={})


def _write(folder: Path, n: int) -> None:
    folder.mkdir(parents=True)
    commits = [f"c{i:03},,ann,{i * 60},{i * 60},Change {i}" for i in range(n)]
    files = [f"c{i:03},{name},1,0" for i in range(n) for name in (f"a{i % 5}.py", f"b{i % 5}.txt")]
    (folder / "commits.csv").write_text(
        "sha,parents,author,author_time,commit_time,subject\n" + "\n".join(commits) + "\n"
    )
    (folder / "commit_files.csv").write_text("sha,path,added,deleted\n" + "\n".join(files) + "\n")


def test_each_history_has_a_row_and_several_have_a_mean(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "one", 60)
    _write(tmp_path / "data" / "two", 40)
    events: list[dict[str, Any]] = []

    code = benchmark(
        _settings(tmp_path), {"name": "impact", "data": str(tmp_path / "data")}, lambda e: events.append(dict(e))
    )

    result = events[-1]["data"]
    assert (code, result["decision"]) == (0, "impact")
    assert [(row["set"], row["protocol"], row["metric"]) for row in result["rows"]] == [
        ("one", "time_ordered", "recall@5"), ("two", "time_ordered", "recall@5"), ("*", "time_ordered", "recall@5"),
    ]  # fmt: skip
    assert set(result["rows"][0]["baselines"]) == set(NAMES)
    assert result["rows"][0]["value"] == pytest.approx(1.0)
    assert result["rows"][0]["n"] == 12


def test_a_history_without_questions_is_said_and_not_scored(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "one", 3)
    events: list[dict[str, Any]] = []

    benchmark(_settings(tmp_path), {"name": "impact", "data": str(tmp_path / "data")}, lambda e: events.append(dict(e)))

    assert events[-1]["data"]["rows"] == []
    assert any("nothing to ask" in str(event.get("text")) for event in events)


def test_a_folder_without_histories_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInput):
        benchmark(_settings(tmp_path), {"name": "impact", "data": str(tmp_path)}, lambda _: None)
    with pytest.raises(UsageError):
        benchmark(_settings(tmp_path), {"name": "impact"}, lambda _: None)


@pytest.mark.outside
def test_on_small_histories_of_real_projects_no_single_signal_is_better() -> None:
    root = outside_data()
    if root is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA is not set")
    commits = [path for path in sorted((root / "git").glob("*.commits.csv.gz")) if path.stat().st_size < SMALL_BYTES]
    if not commits:
        pytest.skip("no small histories there")
    files = {
        path.name: path.read_bytes()
        for commit in commits[:1]
        for path in (commit, commit.with_name(commit.name.replace("commits", "files")))
    }

    for data in git_history.read(files):
        row = measure(history(data.tables[CORE_CHANGES_FILES.name]), PRIOR, np.random.default_rng(1))

        assert row is not None
        assert row["value"] >= max(row["baselines"].values()), data.set
