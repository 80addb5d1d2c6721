"""Coverage with a context a test becomes the map from tests to files, whichever way coverage.py stored it."""

import json
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import coverage
import polars as pl
import pytest

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.dtypes import empty, from_rows, schema
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS
from weaver_forge.contracts.tables.ci import CORE_CI_RUNS, CORE_CI_TEST_RESULTS
from weaver_forge.contracts.tables.coverage import CORE_COVERAGE_TEST_FILES, RAW_COVERAGE_TEST_FILES
from weaver_forge.decode.coverage_contexts import decode
from weaver_forge.decode.report_rows import Told
from weaver_forge.links.coverage import core_coverage
from weaver_forge.settings import test_data as outside_data
from weaver_forge.testing.damage import damaged

TOLD = Told(received_at=datetime(2026, 3, 2))


def read(data: bytes, root: str = "") -> Batch:
    return decode([Frame("coverage", data)], TOLD, root=root)


def rows(batch: Batch) -> pl.DataFrame:
    return batch.tables[RAW_COVERAGE_TEST_FILES.name]


def report(files: dict[str, dict[str, list[str]]], **meta: Any) -> bytes:
    body = {name: {"contexts": contexts} for name, contexts in files.items()}
    return json.dumps({"meta": {"format": 3, "show_contexts": True, **meta}, "files": body}).encode()


def data_file(folder: Path, contexts: dict[str, dict[str, list[int]]], *, branches: bool = False) -> bytes:
    """Write a data file by coverage.py itself: context -> file -> lines."""
    data = coverage.CoverageData(str(folder / "data"))
    for context, files in contexts.items():
        data.set_context(context)
        if branches:
            data.add_arcs({name: [(-1, lines[0]), *zip(lines, [*lines[1:], -1])] for name, lines in files.items()})  # noqa: B905 - the arc out
        else:
            data.add_lines(files)
    data.close()
    return (folder / "data").read_bytes()


MEASURED = {
    "": {"src/lib.py": [1, 4]},
    "tests/test_a.py::test_b[x|run]|setup": {"src/lib.py": [1]},
    "tests/test_a.py::test_b[x|run]|run": {"src/lib.py": [1, 9, 200]},
    "unit|tests/test_a.py::TestC::test_d|run": {"src/lib.py": [2], "src/other.py": [1]},
    "tests.test_a.TestC.test_e": {"src/other.py": [3]},
    "nightly": {"src/other.py": [3]},
}
EXPECTED = [
    ("", "import", "", "src/lib.py", 2),
    ("nightly", "other", "", "src/other.py", 1),
    ("tests.test_a.TestC.test_e", "test", "tests.test_a.TestC::test_e", "src/other.py", 1),
    ("tests/test_a.py::TestC::test_d", "test", "tests.test_a.TestC::test_d", "src/lib.py", 1),
    ("tests/test_a.py::TestC::test_d", "test", "tests.test_a.TestC::test_d", "src/other.py", 1),
    ("tests/test_a.py::test_b[x|run]", "test", "tests.test_a::test_b[x|run]", "src/lib.py", 3),
]


@pytest.mark.parametrize("branches", [False, True], ids=["lines", "arcs"])
def test_a_data_file_says_which_test_executes_which_file(tmp_path: Path, *, branches: bool) -> None:
    """Phases of a test are one; parameters may hold bars; imports and labels are no tests."""
    frame = rows(read(data_file(tmp_path, MEASURED, branches=branches)))

    assert frame.select("test", "kind", "test_id", "file", "n_lines").rows() == EXPECTED
    assert frame["format"].unique().to_list() == ["sqlite"]
    assert frame.schema == schema(RAW_COVERAGE_TEST_FILES)


def test_a_json_report_says_the_same() -> None:
    files: dict[str, dict[str, list[str]]] = {}
    for context, measured in MEASURED.items():
        for name, lines in measured.items():
            for line in lines:
                files.setdefault(name, {}).setdefault(str(line), []).append(context)

    frame = rows(read(report(files)))

    assert frame.select("test", "kind", "test_id", "file", "n_lines").rows() == EXPECTED


def test_paths_below_the_root_become_relative_to_it() -> None:
    lines = {"1": ["t.py::a|run"]}
    batch = read(report({"/ci/repo/src/a.py": lines, "/usr/lib/b.py": lines, "src\\c.py": lines}), root="/ci/repo")

    assert rows(batch)["file"].to_list() == ["/usr/lib/b.py", "src/a.py", "src/c.py"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (report({}, show_contexts=False), "show_contexts = True"),
        (b"{}", "no files"),
        (b"<coverage/>", "neither a SQLite file nor JSON"),
        (report({"a.py": {"x": ["t"]}}), "line 'x'"),
        (b"SQLite format 3\x00" + b"\x00" * 600, "damaged data file"),
    ],
)
def test_what_has_no_contexts_is_refused_with_what_to_do(data: bytes, reason: str) -> None:
    batch = read(data)

    assert rows(batch).is_empty()
    assert reason in batch.rejected[0].reason


def test_another_sqlite_file_is_refused(tmp_path: Path) -> None:
    """A view of the right name is no table: it would be somebody's program."""
    con = sqlite3.connect(tmp_path / "db")
    con.executescript("create table file (id, path); create view context as select 1 as id, 'x' as context;")
    con.close()

    batch = read((tmp_path / "db").read_bytes())

    assert "it has no table arc, context" in batch.rejected[0].reason


def test_coverage_of_imports_alone_is_kept_and_noted(tmp_path: Path) -> None:
    batch = read(data_file(tmp_path, {"": {"a.py": [1]}}))

    assert rows(batch)["kind"].to_list() == ["import"]
    assert "--cov-context=test" in batch.notes[0]


def test_a_damaged_data_file_never_crashes(tmp_path: Path) -> None:
    data = data_file(tmp_path, MEASURED)

    for seed in range(150):
        assert rows(read(damaged(data, seed))).schema == schema(RAW_COVERAGE_TEST_FILES)


@pytest.mark.outside
@pytest.mark.parametrize("name", ["coverage.py-7.17-contexts.json", "dot-coverage-7.17.sqlite"])
def test_both_captured_files_of_a_run_give_one_map(name: str) -> None:
    root = outside_data()
    if root is None:
        pytest.skip("needs fixtures/coverage of WEAVER_FORGE_TEST_DATA")

    frame = rows(read((root / "fixtures" / "coverage" / name).read_bytes()))

    assert frame.select("test_id", "file", "n_lines").rows() == [
        ("", "src/lib.py", 2),
        ("tests.test_lib::test_a", "src/lib.py", 1),
        ("tests.test_lib::test_a0", "src/lib.py", 2),
        ("tests.test_lib::test_b", "src/lib.py", 1),
    ]


def test_the_map_joins_the_tests_of_reports_and_the_revision_of_its_run() -> None:
    at = datetime(2026, 3, 1)
    told = Told(received_at=datetime(2026, 3, 2), run_id="7")
    raw = rows(decode([Frame("c", report({"a.py": {"1": ["", "t.py::a|run", "t.py::gone|run", "label"]}}))], told))
    runs = from_rows(CORE_CI_RUNS, [{
        "repo_id": "r", "run_id": "7", "run_attempt": 1, "revision": "f" * 40, "workflow": "", "started_at": at,
        "ended_at": at, "link_method": "provider", "known_at": at,
    }])  # fmt: skip
    results = from_rows(CORE_CI_TEST_RESULTS, [{
        "repo_id": "r", "run_id": "7", "test_id": "t::a", "attempt": 1, "status": "passed", "known_at": at,
    }])  # fmt: skip

    frame = core_coverage(raw, runs, results, empty(RAW_GIT_COMMITS))

    assert frame.select("repo_id", "kind", "test_id", "is_known_test", "known_at").rows() == [
        ("r", "import", "", False, told.received_at),
        ("r", "test", "t::a", True, told.received_at),
        ("r", "test", "t::gone", False, told.received_at),
    ]
    assert frame["revision"].unique().to_list() == ["f" * 40]
    assert frame.schema == schema(CORE_COVERAGE_TEST_FILES)
