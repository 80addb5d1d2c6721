"""Snapshots: published whole or not at all, read by anybody, never pulled from under a reader."""

import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from weaver_forge import snapshot as reader
from weaver_forge.contracts.table import Column, Table
from weaver_forge.errors import NothingPublished, SourceError, UsageError
from weaver_forge.snapshot import open_snapshot
from weaver_forge.warehouse import Warehouse, publish

NOW = datetime(2026, 3, 1, 12, 30, 0, 5)
REVISIONS = ("abc1" + "0" * 36, "abc2" + "0" * 36, "f" * 40)
KEY = (Column("repo_id", "VARCHAR", "Repository."), Column("revision", "VARCHAR", "Commit."))
AT = Column("predicted_at", "TIMESTAMP", "When for.")

PREDICTIONS = Table(
    layer="pred",
    source="risk",
    entity="changes",
    grain="prediction",
    columns=(*KEY, AT, Column("made_at", "TIMESTAMP", "When."), Column("probability", "DOUBLE", "0-1.")),
    key=("repo_id", "revision", "predicted_at"),
)
CANDIDATES = Table(
    layer="pred",
    source="risk",
    entity="changes_candidates",
    grain="candidate",
    columns=(*KEY, AT, Column("candidate", "VARCHAR", "Who."), Column("rank", "INTEGER", "1 first.")),
    key=("repo_id", "revision", "predicted_at", "rank"),
)
VIEW = Table(
    layer="core",
    source="trace",
    entity="spans",
    grain="span",
    columns=KEY,
    key=("revision",),
    view=True,
)
SPEC: dict[str, Any] = {
    "name": "risk",
    "kinds": [{"entity": "changes", "key": ["repo_id", "revision"], "table": PREDICTIONS.name}],
}


def _deployment(root: Path) -> Warehouse:
    return Warehouse(root / "data" / "warehouse.duckdb", root / "data" / "lake", wait_s=1)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment with one snapshot, to be read only.

    Two predictions for the first revision, each with candidates of its own, and one for each other revision.
    """
    root = tmp_path_factory.mktemp("deployment")
    warehouse = _deployment(root)
    old, new = datetime(2026, 2, 1), datetime(2026, 2, 2)
    rows = [("r", REVISIONS[0], old, old, 0.1), ("r", REVISIONS[0], new, new, 0.2)]
    rows += [("r", revision, old, old, 0.3) for revision in REVISIONS[1:]]
    warehouse.append(PREDICTIONS, pl.DataFrame(rows, schema=PREDICTIONS.column_names, orient="row"))
    causes = [("r", REVISIONS[0], at, f"cause {rank} of {at:%d}", rank) for at in (old, new) for rank in (2, 1)]
    warehouse.append(CANDIDATES, pl.DataFrame(causes, schema=CANDIDATES.column_names, orient="row"))
    publish_to(warehouse)
    return root


@pytest.fixture
def warehouse(published: Path, tmp_path: Path) -> Warehouse:
    """A copy of that deployment, to be written."""
    shutil.copytree(published / "data", tmp_path / "data")
    return _deployment(tmp_path)


def publish_to(warehouse: Warehouse, **changes: Any) -> int:
    said: dict[str, Any] = {
        "tables": [PREDICTIONS, CANDIDATES, VIEW],
        "specs": [SPEC],
        "policy_text": "version: 1\n",
        "artifacts": {"risk__changes": b'{"weights": [1]}'},
        "now": NOW,
        "data_as_of": datetime(2026, 2, 28),
    }
    return warehouse.publish(warehouse.path.parent / "published", **(said | changes))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_snapshot_says_what_was_published(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        assert snapshot.version == 1
        assert (snapshot.published_at, snapshot.data_as_of) == (NOW, datetime(2026, 2, 28))
        assert snapshot.specs == {"risk": SPEC}
        assert snapshot.policy_text == "version: 1\n"
        assert snapshot.artifact("risk", "changes") == b'{"weights": [1]}'
        assert snapshot.tables() == [PREDICTIONS.name, CANDIDATES.name]
        assert snapshot.meta["lake_path"] == "data/lake/spans"
        assert snapshot.rows("select count(*) as n from pred_risk__changes where probability > ?", [0.15]) == [{"n": 3}]


@pytest.mark.parametrize("where", ["", "data/published", "data/published/serving-000001.duckdb"])
def test_a_root_a_folder_or_a_file_opens(published: Path, where: str) -> None:
    with open_snapshot(published / where) as snapshot:
        assert snapshot.path == published / "data/published/serving-000001.duckdb"


def test_the_newest_prediction_of_a_subject_is_given(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        one = snapshot.predictions("risk", "changes", {"repo_id": "r", "revision": REVISIONS[0]})
        every = snapshot.predictions("risk", "changes", {})
        none = snapshot.predictions("risk", "changes", {"repo_id": "other"})

    assert [(row["revision"], row["probability"]) for row in one] == [(REVISIONS[0], 0.2)]
    assert [row["probability"] for row in every] == [0.2, 0.3, 0.3]
    assert none == []


@pytest.mark.parametrize("value", ["it's", "a ? b -- c", "\\' or 1=1", "naïve", "", 7, 0.5, True, None, NOW])
def test_a_parameter_is_a_value_whatever_it_holds(published: Path, value: object) -> None:
    with open_snapshot(published) as snapshot:
        assert snapshot.rows("select ? as it", [value]) == [{"it": value}]


def test_a_value_that_sql_has_no_word_for_is_refused(published: Path) -> None:
    with open_snapshot(published) as snapshot, pytest.raises(TypeError, match="cannot be a parameter"):
        snapshot.rows("select ?", [b"x"])


def test_candidates_are_those_of_the_newest_prediction(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        rows = snapshot.candidates("risk", "changes", {"revision": "abc1"})

    assert [row["candidate"] for row in rows] == ["cause 1 of 02", "cause 2 of 02"]


def test_a_revision_may_be_cut_while_only_one_begins_so(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        assert snapshot.predictions("risk", "changes", {"revision": "ff"})[0]["revision"] == REVISIONS[2]
        assert snapshot.predictions("risk", "changes", {"revision": "0123"}) == []
        with pytest.raises(UsageError, match=f"not unique: {REVISIONS[0]}, {REVISIONS[1]}"):
            snapshot.predictions("risk", "changes", {"revision": "abc"})


@pytest.mark.parametrize(
    ("decision", "entity", "match", "message"),
    [
        ("fate", "changes", {}, "This snapshot has: risk"),
        ("risk", "tests", {}, "It has: changes"),
        ("risk", "changes", {"service_key": "x"}, "Use repo_id, revision"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(
    published: Path, decision: str, entity: str, match: dict[str, str], message: str
) -> None:
    with open_snapshot(published) as snapshot, pytest.raises(UsageError, match=message):
        snapshot.predictions(decision, entity, match)


def test_a_decision_without_predictions_yet_has_none(warehouse: Warehouse, tmp_path: Path) -> None:
    publish_to(warehouse, tables=[])

    with open_snapshot(tmp_path) as snapshot:
        assert snapshot.predictions("risk", "changes", {"revision": "abc"}) == []
        assert snapshot.candidates("risk", "changes", {}) == []


def test_nothing_published_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingPublished, match="weaver-forge run"):
        open_snapshot(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", '{"file": "serving-000009.duckdb"}', "[1]"])
def test_a_broken_pointer_is_an_error_not_an_absence_of_predictions(tmp_path: Path, content: str) -> None:
    (tmp_path / "CURRENT").write_text(content)

    with pytest.raises(SourceError):
        open_snapshot(tmp_path)


def test_a_file_that_is_no_snapshot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "serving-000001.duckdb"
    path.write_bytes(b"something else " * 500)

    with pytest.raises(SourceError, match="not a readable snapshot"):
        open_snapshot(path)


def test_a_snapshot_of_a_newer_release_is_refused(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "FORMAT", 0)

    with pytest.raises(SourceError, match="newer release"):
        open_snapshot(published)


def test_reader_and_writer_speak_of_the_same_layout() -> None:
    assert reader.FORMAT == publish.FORMAT


def test_old_snapshots_go_and_an_open_one_stays_readable(warehouse: Warehouse, tmp_path: Path) -> None:
    """A reader keeps what it opened, even when its file is removed; new readers see the newest."""
    held = open_snapshot(tmp_path)

    for _ in range(3):
        publish_to(warehouse, keep=2)

    assert names(tmp_path / "data/published") == [
        "CURRENT",
        "artifacts-000003",
        "artifacts-000004",
        "serving-000003.duckdb",
        "serving-000004.duckdb",
    ]
    assert len(held.predictions("risk", "changes", {})) == 3
    held.close()
    with open_snapshot(tmp_path) as snapshot:
        assert snapshot.version == 4


def test_at_least_the_current_snapshot_is_kept(warehouse: Warehouse) -> None:
    with pytest.raises(UsageError, match="keep is 0"):
        publish_to(warehouse, keep=0)


@pytest.mark.parametrize("step", ["_write_tables", "_write_artifacts", "_point"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_publication_that_breaks_off_leaves_a_valid_snapshot(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """Whichever step it dies at, CURRENT names a whole snapshot, and the next publication sweeps up."""
    whole = getattr(publish, step)

    def die(*arguments: Any) -> None:
        if when == "after":
            whole(*arguments)
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(publish, step, die)
        with pytest.raises(OSError, match="disk full"):
            publish_to(warehouse)

    expected = 2 if (step, when) == ("_point", "after") else 1
    with open_snapshot(tmp_path) as snapshot:
        assert snapshot.version == expected
        assert len(snapshot.predictions("risk", "changes", {})) == 3
        assert snapshot.artifact("risk", "changes")
    assert publish_to(warehouse, keep=1) > expected
    assert len(names(tmp_path / "data/published")) == 3


def test_an_unfinished_file_of_a_killed_publication_is_swept(warehouse: Warehouse, tmp_path: Path) -> None:
    folder = tmp_path / "data/published"
    (folder / "serving-000002.duckdb.unfinished").write_bytes(b"half")
    (folder / "artifacts-000002.unfinished").mkdir()

    version = publish_to(warehouse)

    assert version == 2
    assert not [name for name in names(folder) if "unfinished" in name]


def test_several_processes_read_at_once_without_polars(published: Path) -> None:
    """A gate runs where only the base is installed: the reader loads neither polars nor pyarrow."""
    script = """
import json, pathlib, sys
from weaver_forge.snapshot import open_snapshot
with open_snapshot(pathlib.Path(sys.argv[1])) as snapshot:
    rows = snapshot.predictions("risk", "changes", {"revision": "f"})
    heavy = sorted({"polars", "pyarrow", "numpy", "pandas", "deltalake", "sqlalchemy"} & set(sys.modules))
    print(json.dumps([len(rows), heavy]))
"""

    with open_snapshot(published):
        done = subprocess.run(
            [sys.executable, "-c", script, str(published)], capture_output=True, text=True, check=True
        )

    assert json.loads(done.stdout) == [1, []]
