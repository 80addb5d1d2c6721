"""``weaver-forge select`` and ``quarantine`` on a planted deployment: what a program pipes, what a person reads."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models import test_selection
from weaver_forge import __main__ as entry
from weaver_forge.contracts.decision import past_table, prediction_table, spec_as_data
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.tables.ci import CORE_CI_TEST_VERDICTS
from weaver_forge.policy import draw_of
from weaver_forge.settings import Settings, environment_with, load
from weaver_forge.sources.git_command import Repository
from weaver_forge.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 6, 15)
SPEC = test_selection.SPEC
KIND = SPEC.kinds[0]
NAMES = [f"tests.test_cart::test_{letter}" for letter in "abcd"] + ["tests.test_prices::test_e"]
Ask = Callable[..., "subprocess.CompletedProcess[str]"]


def git(folder: Path, *arguments: str) -> None:
    who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in (
        ("NAME", "Ann"), ("EMAIL", "Ann@Example.org"), ("DATE", "2026-03-01T00:00:00+00:00"))}  # fmt: skip
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **who}
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env=environment)


def commit(root: Path, path: str, said: str) -> str:
    """A commit that touches a file and is not drawn into the holdout."""
    repository = Repository(root)
    for n in range(40):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"# {said} {n}\n", encoding="utf-8")
        git(root, "add", "-A")
        git(root, "commit", "-qm", f"{said} {n}")
        revision = repository.resolve("HEAD")
        if draw_of("test_selection", f"{repository.repo_id}|{revision}", "ci") >= 0.05:
            return revision
    raise AssertionError("every commit was drawn")


@pytest.fixture(scope="module")
def revisions(deployment: Settings) -> dict[str, str]:
    lines = (deployment.root / "data" / "revisions.json").read_text(encoding="utf-8")
    return dict(json.loads(lines))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A deployment whose root is a repository, with five tests, forty past failing runs, and skipping earned."""
    root = tmp_path_factory.mktemp("select")
    git(root, "init", "-q", "-b", "main")
    (root / "weaver-forge.toml").write_text(
        f'[pipeline]\npython = "{sys.executable}"\n[clock]\nnow = "{NOW.isoformat()}Z"\n[decisions]\n', encoding="utf-8"
    )
    (root / ".gitignore").write_text("assets\nmodels\ndata\nledger.db\nout\n", encoding="utf-8")
    (root / "policy.yaml").write_text(
        "version: 1\ndecisions:\n  test_selection: {scope: development, ceiling: autonomous, quarantine_days: 20}\n"
    )
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Begin")
    found = {
        "code": commit(root, "src/cart.py", "code"),
        "lock": commit(root, "uv.lock", "lock"),
        "test": commit(root, "tests/test_prices.py", "test"),
    }
    (root / "assets").symlink_to(ROOT / "assets")
    (root / "models").symlink_to(ROOT / "models")
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "revisions.json").write_text(json.dumps(found), encoding="utf-8")
    settings = load(root)
    _publish(settings, Repository(root).repo_id, list(found.values()))
    return settings


def _publish(settings: Settings, repo_id: str, revisions: list[str]) -> None:
    warehouse = Warehouse(settings.warehouse, settings.lake)
    predictions, past = prediction_table(SPEC, KIND), past_table(SPEC, KIND)
    made = {
        "predicted_at": NOW, "made_at": NOW - timedelta(hours=1), "data_as_of": NOW, "resolve_by": NOW,
        "origin": "live", "model_name": "m", "model_version": "1", "is_baseline": False, "baseline_name": "b",
        "evidence": "[]", "feature_sha256": "", "sources_missing": "[]", "baseline_probability": 0.1,
        "baseline_score": 0.0,
    }  # fmt: skip
    rows = [
        {**made, "repo_id": repo_id, "revision": revision, "test_id": name, "prediction_id": f"{revision[:8]}-{name}",
         "probability": 0.5 / (place + 1), "score": -float(place)}
        for revision in revisions for place, name in enumerate(NAMES)
    ]  # fmt: skip
    verdicts = [
        {"repo_id": repo_id, "run_id": f"run{k}", "revision": f"old{k}", "test_id": name, "n_attempts": 1,
         "verdict": "flaky" if name == NAMES[3] and k < 3 else "passed", "duration_ms": 1000.0,
         "run_ended_at": NOW - timedelta(days=k + 1), "known_at": NOW - timedelta(days=k + 1)}
        for k in range(5) for name in NAMES
    ]  # fmt: skip
    runs = [
        {"repo_id": repo_id, "revision": f"old{k}", "predicted_at": NOW - timedelta(days=k + 1), "order_name": "time",
         "fitted_at": NOW - timedelta(days=99), "known_at": NOW - timedelta(days=k), "n_tests": 5, "n_failing": 1,
         "n_unstable": 0, "expected_ms": 5000.0, "cost_ms": 5000.0, "first_share": 0.4 if k % 2 else 0.2,
         "first_share_tests": 0.4 if k % 2 else 0.2, "shares": "[0.4]" if k % 2 else "[0.2]",
         "shares_tests": "[0.4]" if k % 2 else "[0.2]"}
        for k in range(40)
    ]  # fmt: skip
    for table, some in ((predictions, rows), (CORE_CI_TEST_VERDICTS, verdicts), (past, runs)):
        warehouse.append(table, from_rows(table, some))
    artifact = {"model": {"artifact": {"objective": "time"}}, "baseline": {"artifact": {}}, "is_baseline": False}
    warehouse.publish(
        settings.published, tables=[predictions, CORE_CI_TEST_VERDICTS, past], specs=[spec_as_data(SPEC)],
        policy_text="version: 1\n", artifacts={"test_selection__tests": json.dumps(artifact).encode()}, now=NOW,
        data_as_of=NOW,
    )  # fmt: skip
    _earn(settings, "autonomous")


def _earn(settings: Settings, level: str) -> None:
    row = {
        "decision": "test_selection",
        "entity": "tests",
        "action": "skip_tests",
        "scope": "development",
        "level": level,
    }
    (settings.published / "standings.json").write_text(json.dumps({"standings": [row]}), encoding="utf-8")


@pytest.fixture
def program(deployment: Settings) -> Ask:
    """A process, as a shell starts it."""

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "weaver_forge", *arguments],
            cwd=deployment.root, capture_output=True, text=True, timeout=120, check=False,
            env=environment_with(WEAVER_FORGE_HOME="", **environment),
        )  # fmt: skip

    return run


@pytest.fixture
def ask(deployment: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """The same entry in this process: starting one costs ten times as much as an answer."""
    monkeypatch.chdir(deployment.root)

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        capsys.readouterr()
        with monkeypatch.context() as patched:
            for name, value in {"WEAVER_FORGE_HOME": "", **environment}.items():
                patched.setenv(name, value)
            code = entry.main(arguments)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    return run


def test_ids_alone_are_on_standard_output_and_the_story_beside_it(
    program: Ask, revisions: dict[str, str], deployment: Settings
) -> None:
    rest = deployment.root / "out" / "rest.txt"

    done = program("select", "--change", revisions["code"], "--confidence", "95%", "--rest", str(rest))

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == NAMES[:2]
    assert rest.read_text().splitlines() == NAMES[2:]
    assert "2 of 5 tests now, 3 left for later: autonomous has been earned" in done.stderr
    assert "confidence 100.0% (40 of 40, 90 % interval" in done.stderr


def test_the_whole_answer_as_json_has_lists_rules_estimate_and_curve(ask: Ask, revisions: dict[str, str]) -> None:
    found = json.loads(ask("select", "--change", revisions["code"], "--target", "50%", "--json").stdout)

    assert (found["aim"], found["aim_by"], found["objective"]) == ("target 50%", "flag", "time")
    assert [row["test_id"] for row in found["run"]] == found["selected"] == NAMES[:2]
    assert [row["test_id"] for row in found["rest"]] == NAMES[2:]
    assert (found["confidence"]["caught"], found["confidence"]["n"]) == (40, 40)
    assert (found["share"], found["share_of"]) == (pytest.approx(0.4), "time")
    assert found["past"]["n_runs"] == 40
    assert found["fired"] == []
    assert found["curve"][-1]["runs_by_time"]["value"] == pytest.approx(1.0)


def test_a_lock_file_runs_everything_and_is_named(ask: Ask, revisions: dict[str, str]) -> None:
    done = ask("select", "--change", revisions["lock"])

    assert done.stdout.splitlines() == NAMES
    assert "EVERYTHING RUNS: lock_file uv.lock" in done.stderr


def test_tests_of_a_changed_file_run_beside_the_selection(ask: Ask, revisions: dict[str, str]) -> None:
    done = ask("select", "--change", revisions["test"], "--target", "20%")

    assert done.stdout.splitlines() == [NAMES[0], NAMES[4]]
    assert "changed_test tests/test_prices.py: 1 tests always run" in done.stderr


def test_assisted_runs_everything_and_says_and_records_what_would_wait(
    ask: Ask, revisions: dict[str, str], deployment: Settings
) -> None:
    _earn(deployment, "assisted")
    try:
        done = ask("select", "--change", revisions["code"], "--target", "40%", "--json")
    finally:
        _earn(deployment, "autonomous")

    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert [row["test_id"] for row in found["run"]] == NAMES
    assert (found["rest"], found["selected"]) == ([], NAMES[:2])
    assert "level assisted: it is said, not done" in done.stderr
    why = ask("why", found["decision_id"])
    assert "target 40% of the expected time, in the order time" in why.stdout
    assert "3 of 5 are not in it; 0 were left for later by it" in why.stdout


def test_an_order_that_is_not_published_and_cannot_be_computed_runs_everything(
    ask: Ask, revisions: dict[str, str]
) -> None:
    done = ask("select", "--change", revisions["code"], "--objective", "failures", "--no-on-demand")

    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == sorted(NAMES)
    assert "RUN EVERYTHING: the published order is by time, not by failures" in done.stderr


def test_a_revision_nobody_knows_runs_every_known_test(ask: Ask) -> None:
    done = ask("select", "--change", "f" * 40, "--no-on-demand")

    assert sorted(done.stdout.splitlines()) == sorted(NAMES)
    assert "WARNING: RUN EVERYTHING" in done.stderr


def test_what_is_asked_twice_or_cannot_be_read_is_a_usage_error(ask: Ask) -> None:
    assert ask("select", "--confidence", "95%", "--time", "1m").returncode == 2
    assert ask("select", "--confidence", "lots").returncode == 2


def test_a_curve_in_no_known_form_is_refused_before_anything_is_decided(ask: Ask, revisions: dict[str, str]) -> None:
    done = ask("select", "--change", revisions["code"], "--curve", "curve.doc")

    assert done.returncode == 2
    assert "no known form" in done.stderr
    assert "Decision" not in done.stderr


@pytest.mark.parametrize("command", ["select", "rank-tests"])
def test_lists_of_an_earlier_run_are_gone_where_this_one_fails(ask: Ask, tmp_path: Path, command: str) -> None:
    """A job that goes on after a failure would leave out what the run before left out."""
    earlier = [tmp_path / name for name in ("t.excludes", "t.excludes.order", "t.excludes.methods")]
    for path in earlier:
        path.write_text("**/ATest.java\n", encoding="utf-8")

    done = ask(command, "--from", str(tmp_path / "gone"), "--format", "surefire", "--run-file", str(earlier[0]))

    assert done.returncode == 5, done.stderr
    assert [path for path in earlier if path.exists()] == []


@pytest.mark.parametrize("command", ["select", "rank-tests"])
def test_a_list_that_cannot_be_written_is_an_error_in_words(ask: Ask, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    folder = ask(command, "--run-file", str(tmp_path))
    below = ask(command, "--run-file", str(tmp_path / "file" / "now.txt"))

    assert (folder.returncode, below.returncode) == (2, 5)
    assert "it is a folder" in folder.stderr
    assert "it cannot be written" in below.stderr


def test_a_budget_cuts_nothing_where_a_rule_of_the_change_runs_everything(ask: Ask, revisions: dict[str, str]) -> None:
    found = json.loads(ask("rank-tests", "--change", revisions["lock"], "--budget", "20%", "--json").stdout)

    assert [row["test_id"] for row in found["run"]] == NAMES
    assert found["rest"] == []
    assert found["ranking_reasons"][0].startswith("EVERYTHING RUNS: lock_file uv.lock")


def test_tests_of_a_changed_file_run_beside_a_budget(ask: Ask, revisions: dict[str, str]) -> None:
    found = json.loads(ask("rank-tests", "--change", revisions["test"], "--budget", "20%", "--json").stdout)

    assert [row["test_id"] for row in found["run"]] == [NAMES[0], NAMES[4]]
    assert [row["test_id"] for row in found["rest"]] == NAMES[1:4]
    why = ask("why", found["decision_id"])
    assert "3 more had no room in the budget 20%" in why.stdout


@pytest.mark.parametrize("variable", ["CI_MERGE_REQUEST_DIFF_BASE_SHA", "GITHUB_BASE_REF"])
@pytest.mark.parametrize("command", ["select", "rank-tests"])
def test_all_commits_of_a_merge_request_count_for_the_rules(
    ask: Ask, revisions: dict[str, str], deployment: Settings, variable: str, command: str
) -> None:
    """The last commit touches a test alone, the one before it a lock file."""
    git(deployment.root, "update-ref", "refs/remotes/origin/target", revisions["code"])
    base = "target" if variable == "GITHUB_BASE_REF" else revisions["code"]

    within = ask(command, "--json", **{variable: base})
    unknown = ask(command, "--json", **{variable: "f" * 40})

    assert "EVERYTHING RUNS: lock_file uv.lock" in json.loads(within.stdout)["ranking_reasons"][0]
    assert "lock_file" not in unknown.stdout


@pytest.mark.parametrize("command", ["select", "rank-tests"])
def test_all_commits_of_a_push_count_for_the_rules(
    ask: Ask, revisions: dict[str, str], deployment: Settings, command: str
) -> None:
    """The last commit touches a test alone, the one before it a lock file."""
    event = deployment.root / "data" / "event.json"
    event.write_text(json.dumps({"before": revisions["code"]}), encoding="utf-8")
    no_request = dict.fromkeys(("CI_MERGE_REQUEST_DIFF_BASE_SHA", "GITHUB_BASE_REF", "CI_COMMIT_BEFORE_SHA"), "")
    push = {"GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(event), "GITHUB_SHA": revisions["test"]}

    pushed = ask(command, "--json", "--change", revisions["test"], **no_request, **push)
    forced = ask(command, "--json", **{**no_request, "CI_COMMIT_BEFORE_SHA": "f" * 40})

    assert "EVERYTHING RUNS: lock_file uv.lock" in json.loads(pushed.stdout)["ranking_reasons"][0]
    assert "last commit" not in pushed.stderr
    assert "lock_file" not in forced.stdout
    assert forced.stderr.count("note: only the files of the last commit count, not those since ffffffffffff") == 1


def test_what_is_published_alone_says_who_could_compute_an_order(
    ask: Ask, deployment: Settings, tmp_path: Path
) -> None:
    copy = tmp_path / "published"
    shutil.copytree(deployment.published, copy)

    done = ask("select", "--change", "f" * 40, "--from", str(copy), "--spool", str(tmp_path / "spool"))

    assert done.returncode == 0
    assert "what is published cannot, a deployment can (--from DEPLOYMENT, WEAVER_FORGE_HOME)" in done.stderr


@pytest.mark.parametrize("name", ["curve.svg", "curve.png", "curve.json", "curve.txt"])
def test_the_curve_is_written_in_the_form_of_its_name_with_todays_point(
    ask: Ask, revisions: dict[str, str], deployment: Settings, name: str
) -> None:
    file = deployment.root / "out" / name

    done = ask("select", "--change", revisions["code"], "--curve", str(file))

    assert done.returncode == 0, done.stderr
    begin = {"svg": b"<?xml", "png": b"\x89PNG", "json": b"{", "txt": b"Confidence"}[file.suffix[1:]]
    assert file.read_bytes().startswith(begin)
    if file.suffix == ".json":
        assert json.loads(file.read_text())["today"]["share"] == pytest.approx(0.4)
    if file.suffix == ".txt":
        assert "<-- today: confidence 95%: 100.0% of failing runs" in file.read_text()


def test_the_curve_may_be_printed_in_place_of_the_ids(ask: Ask, revisions: dict[str, str]) -> None:
    done = ask("select", "--change", revisions["code"], "--curve", "-")

    assert "40 past runs, 40 failing, in the order time" in done.stdout
    assert NAMES[0] not in done.stdout


def test_a_flaky_test_is_proposed_put_in_quarantine_handed_on_and_let_out(ask: Ask, revisions: dict[str, str]) -> None:
    proposed = json.loads(ask("quarantine", "propose", "--json").stdout)
    assert [(one["test_id"], one["n_flaky"]) for one in proposed] == [(NAMES[3], 3)]

    added = ask("quarantine", "add", "test_d", "--expires", "10d", "--reason", "waits for a port", "--actor", "ann")
    assert added.returncode == 0, added.stderr
    assert "In quarantine until 2026-03-16" in added.stdout

    (inside,) = json.loads(ask("quarantine", "--json").stdout)
    assert (inside["test_id"], inside["evidence"]["n_flaky"]) == (NAMES[3], 3)
    handed = json.loads(ask("select", "--change", revisions["code"], "--json").stdout)["quarantined"]
    assert [one["test_id"] for one in handed] == [NAMES[3]]
    assert json.loads(ask("quarantine", "propose", "--json").stdout) == []

    assert ask("quarantine", "remove", "test_d", "--reason", "mended").returncode == 0
    assert ask("quarantine").stdout.strip() == "No test is in quarantine."
    states = [row["state"] for row in json.loads(ask("quarantine", "--all", "--json").stdout)]
    assert states == ["in", "out"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["test_a", "--expires", "21d", "--reason", "r"], "quarantine_days"),
        (["test_a", "--expires", "2026-03-01", "--reason", "r"], "has passed"),
        (["test_a", "--expires", "soon", "--reason", "r"], "is no date"),
        (["test_", "--expires", "5d", "--reason", "r"], "is a part of 5 tests"),
        (["nothing", "--expires", "5d", "--reason", "r"], "no test is called"),
        (["test_a", "--expires", "5d", "--reason", " "], "no reason"),
        (["test_a", "--reason", "r"], "expires"),
    ],
)
def test_what_may_not_be_put_in_quarantine_is_refused_with_the_reason(
    ask: Ask, arguments: list[str], says: str
) -> None:
    done = ask("quarantine", "add", *arguments)

    assert done.returncode == 2
    assert says in done.stderr


def test_reports_are_checked_against_the_quarantine(ask: Ask, deployment: Settings) -> None:
    report = deployment.root / "out" / "junit.xml"
    report.parent.mkdir(exist_ok=True)
    report.write_text(
        "<testsuite name='s' tests='1'><testcase classname='tests.test_cart' name='test_a'><failure/></testcase>"
        "</testsuite>",
        encoding="utf-8",
    )

    before = ask("quarantine", "check", str(report))
    assert ask("quarantine", "add", NAMES[0], "--expires", "5d", "--reason", "r").returncode == 0
    inside: Any = ask("quarantine", "check", str(report))
    ask("quarantine", "remove", NAMES[0], "--reason", "done")

    assert (before.returncode, inside.returncode) == (1, 0)
    assert f"failed in quarantine: {NAMES[0]} (until 2026-03-11: r)" in inside.stdout
