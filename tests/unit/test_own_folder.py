"""What hooks write into a working tree does not get into a commit, where it would count as changed data."""

import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from weaver_forge.cli import lists, place
from weaver_forge.hooks import own_folder, pytest_plugin
from weaver_forge.hooks.ci_run import CiRun
from weaver_forge.hooks.own_folder import make_folder
from weaver_forge.hooks.pytest_record import Recorder, Session
from weaver_forge.hooks.record import Record

NOW = datetime(2026, 3, 1, 12)


def spool_a_decision(root: Path) -> None:
    row = {"decision": "test_selection", "unit": "local/a|r1", "made_at": NOW}
    assert Record().write(row, policy_text="", spool=root / place.LOCAL_SPOOL, now=NOW).startswith("spool")


def record_tests(root: Path) -> None:
    Recorder(root / pytest_plugin.RECORD, root / pytest_plugin.SPANS, Session(run=CiRun(run_id="7"))).abandon()


def write_a_list(root: Path) -> None:
    lists.write(root / own_folder.NAME / "now.txt", "test_a\n")


@pytest.mark.parametrize("write", [spool_a_decision, record_tests, write_a_list])
def test_git_does_not_see_what_is_written_into_a_working_tree(
    tmp_path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)

    write(tmp_path)
    seen = subprocess.run(["git", "status", "--porcelain", "-uall"], check=True, capture_output=True, text=True)

    assert len([path for path in (tmp_path / ".weaver-forge").rglob("*.*") if path.is_file()]) > 1
    assert not seen.stdout


def test_a_folder_that_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".weaver-forge").mkdir()

    make_folder(tmp_path / ".weaver-forge" / "decisions")

    assert [path.name for path in (tmp_path / ".weaver-forge").iterdir()] == ["decisions"]


def test_another_folder_gets_no_file_of_ours(tmp_path: Path) -> None:
    make_folder(tmp_path / "spool" / "decisions")

    assert [path.name for path in tmp_path.rglob("*")] == ["spool", "decisions"]


def test_a_file_for_git_that_cannot_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)

    make_folder(tmp_path / ".weaver-forge")

    assert list((tmp_path / ".weaver-forge").iterdir()) == []
