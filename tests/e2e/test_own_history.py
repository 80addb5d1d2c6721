"""A newcomer's first minutes: git history alone, then their own test report."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.settings import environment_with, load
from weaver_forge.warehouse import Warehouse

pytestmark = pytest.mark.e2e

CHECKOUT = Path(__file__).parents[2]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def rows(root: Path, sql: str) -> list[tuple[Any, ...]]:
    settings = load(root)
    return Warehouse(settings.warehouse, settings.lake).query(sql).rows()


def test_doctor_names_the_next_command_before_anything_was_run(first_day: Any) -> None:
    assert first_day.before.code == 0
    assert "nothing yet" in first_day.before.out
    assert "Next: weaver-forge run" in first_day.before.out


def test_a_first_run_with_git_alone_says_which_changes_are_risky_and_on_which_facts(
    first_day: Any, repository: Path, checkout: Path
) -> None:
    assert first_day.run.code == 0, first_day.run.err
    lines = first_day.run.out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("deploy_risk, changes: "))

    risky = lines[place + 2 : place + 7]

    assert lines[place + 1].split() == ["likeliest", "probability", "facts", "message"]
    known = [revision for folder in (repository, checkout) for revision in git(folder, "log", "--format=%H").split()]
    assert all(any(revision.startswith(line.split()[0]) for revision in known) for line in risky)
    assert all("lines added" in line or "file" in line for line in risky)


def test_a_first_run_with_git_alone_names_hot_files_and_what_each_missing_source_would_bring(
    first_day: Any, repository: Path, checkout: Path
) -> None:
    out = first_day.run.out
    hot = out.split("Hot files", 1)[1].splitlines()[2:5]

    paths = [line.split()[0] for line in hot]

    known = {path for at in (repository, checkout) for path in git(at, "log", "--name-only", "--format=").splitlines()}
    assert set(paths) <= known
    assert "no verdicts: what ties a test to the change orders alone" in out.split("Still missing", 1)[1]
    assert "without spans there are no points" in out


def test_the_stored_history_is_the_history(first_day: Any, repository: Path) -> None:
    stored = rows(
        first_day.root,
        "select count(*), sum(n_added), sum(n_deleted) from core_changes__changes where repo_id like '%/shop'",
    )

    numstat = [line.split("\t") for line in git(repository, "log", "--numstat", "--format=").splitlines() if line]
    counted = [row for row in numstat if row[0] != "-"]
    expected = (
        int(git(repository, "rev-list", "--count", "HEAD")),
        sum(int(added) for added, _, _ in counted),
        sum(int(deleted) for _, deleted, _ in counted),
    )
    assert tuple(map(int, stored[0])) == expected


def test_doctor_says_what_is_missing_and_the_next_command(first_day: Any, forge: Callable[..., Any]) -> None:
    said = forge("doctor", cwd=first_day.root)

    assert said.code == 0
    assert "tests: test_selection is without it" in said.out
    assert "otlp: load_forecast is without it" in said.out
    assert "Next: weaver-forge gate --decision deploy_risk --change HEAD" in said.out


def test_the_gate_answers_with_facts_in_the_repository(
    first_day: Any, forge: Callable[..., Any], repository: Path
) -> None:
    said = forge("gate", "--decision", "deploy_risk", "--change", "HEAD", "--from", first_day.root, cwd=repository)

    assert said.code == 0
    assert said.out.index("Evidence") < said.out.index("Score")
    assert git(repository, "rev-parse", "HEAD") in said.out


def test_a_backtest_on_git_history_alone_is_judged_against_the_baseline(
    first_day: Any, forge: Callable[..., Any]
) -> None:
    said = forge("backtest", "deploy_risk", "--json", cwd=first_day.root)

    assert said.code == 0, said.err
    by_entity = {judged["entity"]: judged for judged in said.data}
    assert by_entity["changes"]["scores"]
    assert any(score["n"] and score["value"] is not None for score in by_entity["changes"]["scores"])
    assert by_entity["deployments"]["reason"].startswith("insufficient data: 0")


@pytest.fixture(scope="session")
def own_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pytest reports of a few of this project's own tests."""
    folder = tmp_path_factory.mktemp("reports")
    tests = CHECKOUT / "tests" / "unit" / "test_metrics_detection.py"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests), "--junitxml=report.xml"],
        check=True, capture_output=True, cwd=folder, env=environment_with(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
    )  # fmt: skip
    (folder / "refused.xml").write_text('<!DOCTYPE t [<!ENTITY a "x">]><testsuite name="&a;"/>', encoding="utf-8")
    return folder / "report.xml"


@pytest.fixture(scope="session")
def second_day(first_day: Any, forge: Callable[..., Any], checkout: Path, own_report: Path) -> Any:
    """The same history again, with reports of its newest revision; one of them has to be refused."""
    return forge(
        "ingest", "--git", checkout, "--tests", own_report.parent / "*.xml", "--revision", "HEAD", cwd=first_day.root
    )


def test_the_same_history_again_adds_nothing(second_day: Any, is_shallow: bool, first_day: Any) -> None:
    if is_shallow:
        pytest.skip("the history of this checkout is cut off: see the test of that")

    ((_, read, known, decoded, new, refused),) = [
        line.split() for line in second_day.out.splitlines() if line.split()[:1] == ["git"]
    ][:1]

    assert (read, known, decoded, new, refused) == ("0", "1", "0", "0", "0")


def test_a_cut_off_history_is_said_and_the_reports_beside_it_are_stored(second_day: Any, is_shallow: bool) -> None:
    """A refused report alone fails nothing; a shallow clone is a source that cannot be read."""
    assert second_day.code == (5 if is_shallow else 0)
    assert len(second_day.errors) == (1 if is_shallow else 0)
    assert ("fetch-depth: 0" in second_day.err) is is_shallow


def test_our_own_results_are_those_of_head_and_the_refused_report_is_kept(
    second_day: Any, first_day: Any, checkout: Path, own_report: Path
) -> None:
    stored = rows(first_day.root, "select revision, status, count(*) from core_ci__test_results group by all")

    n_tests = int(own_report.read_text(encoding="utf-8").split('tests="', 1)[1].split('"', 1)[0])
    assert stored == [(git(checkout, "rev-parse", "HEAD"), "passed", n_tests)]
    assert f"refused by tests: {own_report.parent}/refused.xml, " in second_day.out
    assert rows(first_day.root, "select source, count(*) from raw_ingest__rejected group by all") == [("tests", 1)]
