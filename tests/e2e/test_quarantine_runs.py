"""Real pytest runs in which tests in quarantine fail: alone, beside others, with xdist, and after the date."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from weaver_forge.settings import environment_with

pytestmark = pytest.mark.e2e

TESTS = """
import os
def test_ok(): pass
def test_flaky(): assert os.environ.get("PORT")
def test_bad(): assert not os.environ.get("BREAK")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "test_p.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    _ranking(tmp_path, "2999-01-01T00:00:00Z")
    return tmp_path


def _ranking(folder: Path, expires_at: str) -> None:
    names = ("test_p::test_flaky", "test_p::test_ok", "test_p::test_bad")
    document = {
        "run_everything": False, "rest": [], "run": [{"test_id": name, "rank": n} for n, name in enumerate(names, 1)],
        "quarantined": [{"test_id": "test_p::test_flaky", "expires_at": expires_at, "reason": "waits for a port"}],
    }  # fmt: skip
    (folder / "ranking.json").write_text(json.dumps(document), encoding="utf-8")


def run(folder: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    plugin = ("-p", "weaver_forge.hooks.pytest_plugin", "--weaver-from", "ranking.json", "--weaver-mode", "select")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *plugin, *options],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env=environment_with(WEAVER_FORGE_HOME=str(folder), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **environment),
    )  # fmt: skip


def test_a_quarantined_test_runs_is_recorded_and_fails_no_run_on_its_own(project: Path) -> None:
    done = run(project, "--weaver-record", "ran.jsonl")

    assert done.returncode == 0, done.stdout
    assert "1 failed, 2 passed" in done.stdout
    assert "test_p.py::test_flaky failed in quarantine (until 2999-01-01): the run does not fail for it" in done.stdout
    lines = [json.loads(line) for line in (project / "ran.jsonl").read_text(encoding="utf-8").splitlines()]
    outcomes = {line["test_id"]: line["outcome"] for line in lines if "test_id" in line}
    assert outcomes["test_p::test_flaky"] == "failed"


def test_with_xdist_it_is_the_same(project: Path) -> None:
    done = run(project, "-p", "xdist", "-n", "2")

    assert (done.returncode, "1 failed, 2 passed" in done.stdout) == (0, True), done.stdout


def test_another_failure_fails_the_run(project: Path) -> None:
    done = run(project, BREAK="1")

    assert done.returncode == 1
    assert "other failures count" in done.stdout


def test_a_file_that_cannot_be_collected_fails_the_run(project: Path) -> None:
    (project / "test_q.py").write_text("import nothing_of_this_name\n", encoding="utf-8")

    assert run(project).returncode == 2
    assert run(project, "--continue-on-collection-errors").returncode == 1


def test_after_its_date_its_failure_counts_again(project: Path) -> None:
    _ranking(project, "2020-01-01T00:00:00Z")

    done = run(project)

    assert done.returncode == 1
    assert "quarantine" not in done.stdout


def test_without_a_failure_nothing_is_said(project: Path) -> None:
    done = run(project, PORT="1")

    assert done.returncode == 0
    assert "quarantine" not in done.stdout


@pytest.mark.parametrize("others", [["github.com/acme/other"], ["github.com/acme/other", "github.com/acme/shop"]])
def test_entries_of_a_deployment_in_reach_excuse_tests_of_their_repository_alone(
    project: Path, others: list[str]
) -> None:
    """Tests of two repositories may be called the same."""
    rows = [
        {"repo_id": repo_id, "test_id": "test_p::test_flaky", "since": "2020-01-01T00:00:00Z",
         "expires_at": "2999-01-01T00:00:00Z"}
        for repo_id in others
    ]  # fmt: skip
    (project / "ranking.json").unlink()
    (project / "weaver-forge.toml").write_text("[decisions]\n", encoding="utf-8")
    (project / "data" / "published").mkdir(parents=True)
    (project / "data" / "published" / "quarantine.json").write_text(json.dumps({"quarantined": rows}))
    for arguments in (["init", "-q"], ["remote", "add", "origin", "https://github.com/acme/shop.git"]):
        subprocess.run(["git", *arguments], cwd=project, check=True)

    done = run(project)

    assert done.returncode == (0 if "github.com/acme/shop" in others else 1), done.stdout
