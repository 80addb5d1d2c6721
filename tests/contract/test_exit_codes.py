"""Exit codes of the real command line over a real published snapshot; fresh processes for what starting costs."""

import json
import re
import resource
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from weaver_forge import __main__ as entry
from weaver_forge import errors
from weaver_forge.contracts.decision import BASELINE_COLUMNS, OUTPUT_COLUMNS, PREDICTED_AT, PROVENANCE_COLUMNS
from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import REPO_ID, REVISION
from weaver_forge.contracts.tables.ci import CORE_CI_TEST_VERDICTS
from weaver_forge.hooks.handed_order import read_handed
from weaver_forge.settings import environment_with
from weaver_forge.warehouse import Warehouse

NOW = datetime(2026, 3, 1, 12)
REPO = "example.org/team/shop"
CALM, RISKY, TESTED, OLD, BROKEN = ("a1" * 20, "b2" * 20, "c3" * 20, "d4" * 20, "e5" * 20)
TEST_ID = Column("test_id", "VARCHAR", "Test.")


def _table(decision: str, entity: str, *key: Column) -> Table:
    columns = (*key, PREDICTED_AT, *OUTPUT_COLUMNS, *BASELINE_COLUMNS, *PROVENANCE_COLUMNS)
    names = tuple(column.name for column in key)
    return Table(layer="pred", source=decision, entity=entity, grain="p", columns=columns, key=(*names, "predicted_at"))


CHANGES = _table("deploy_risk", "changes", REPO_ID, REVISION)
TESTS = _table("test_selection", "tests", REPO_ID, REVISION, TEST_ID)


def _spec(table: Table, decided_per: list[str]) -> dict[str, Any]:
    kind = {
        "entity": table.entity,
        "key": list(table.key[:-1]),
        "decided_per": decided_per,
        "candidates": "",
        "table": table.name,
    }
    return {"name": table.source, "sources": {"git": "nothing"}, "score_unit": "probability", "kinds": [kind]}


def _row(revision: str, probability: float, *, test_id: str = "", age_hours: int = 1) -> dict[str, Any]:
    made = NOW - timedelta(hours=age_hours)
    key = {"repo_id": REPO, "revision": revision} | ({"test_id": test_id} if test_id else {})
    return {
        **key,
        "predicted_at": made,
        "probability": probability,
        "baseline_probability": 0.2,
        "evidence": json.dumps([{"fact": "touches 12 files: 100 %, twice", "contribution": 0.4, "link": ""}]),
        "prediction_id": f"p-{revision[:4]}-{test_id}",
        "origin": "live",
        "model_name": "logistic",
        "model_version": "3",
        "is_baseline": False,
        "baseline_name": "base_rate",
        "made_at": made,
        "data_as_of": made,
        "resolve_by": NOW,
        "feature_sha256": "0",
        "sources_missing": "[]",
    }


def _verdicts() -> list[dict[str, Any]]:
    known = {"repo_id": REPO, "run_id": "1", "revision": CALM, "verdict": "passed", "n_attempts": 1, "file": None}
    times = {"run_ended_at": NOW, "known_at": NOW}
    return [{**known, **times, "test_id": f"t{n}", "duration_ms": 1000.0} for n in range(8)]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment with three changes and the ranked tests of a fourth, published."""
    root = tmp_path_factory.mktemp("deployment")
    warehouse = Warehouse(root / "data" / "warehouse.duckdb", root / "data" / "lake")
    warehouse.migrate([CHANGES, TESTS, CORE_CI_TEST_VERDICTS])
    changes = [_row(CALM, 0.1), _row(RISKY, 0.9), _row(OLD, 0.9, age_hours=30), _row(BROKEN, float("nan"))]
    tests = [_row(TESTED, n / 10, test_id=f"t{n}") for n in range(8)]
    for table, rows in ((CHANGES, changes), (TESTS, tests), (CORE_CI_TEST_VERDICTS, _verdicts())):
        frame = pl.DataFrame(rows, infer_schema_length=None)
        absent = [c for c in table.columns if c.name not in frame.columns]
        frame = frame.with_columns(pl.lit(None).alias(c.name) for c in absent)
        warehouse.append(table, frame.select(table.column_names))
    warehouse.publish(
        root / "data" / "published",
        tables=[CHANGES, TESTS, CORE_CI_TEST_VERDICTS],
        specs=[_spec(CHANGES, ["repo_id", "revision"]), _spec(TESTS, ["repo_id", "revision"])],
        policy_text="version: 1\n",
        artifacts={},
        now=NOW,
        data_as_of=NOW,
    )
    (root / "weaver-forge.toml").write_text(f'[clock]\nnow = "{NOW.isoformat()}Z"\n[decisions]\n', encoding="utf-8")
    return root


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory that is in no deployment and no repository, with nobody's environment."""
    monkeypatch.chdir(tmp_path)
    for name in environment_with():
        if name.startswith(("WEAVER_FORGE_", "GITHUB_")):
            monkeypatch.delenv(name)
    return tmp_path


def _policy(root: Path, level: str, *, closed: bool = False, earned: bool = True) -> None:
    """A ceiling, and a published standing that has earned it where anything is earned at all."""
    standing = {"entity": "changes", "action": "", "scope": "deployment", "level": level if earned else "assisted"}
    folder = root / "data" / "published"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "standings.json").write_text(json.dumps({"standings": [{"decision": "deploy_risk", **standing}]}))
    mode = "fail_closed" if closed else "fail_open"
    (root / "policy.yaml").write_text(
        "version: 1\ndecisions:\n"
        f"  deploy_risk: {{ceiling: {level}, on_unknown: {mode}, review_at: 0.35, deny_at: 0.7}}\n"
        f"  test_selection: {{ceiling: {level}, on_unknown: {mode}}}\n",
        encoding="utf-8",
    )


def _gate(root: Path, revision: str, *more: str) -> int:
    return entry.main(["gate", "--decision", "deploy_risk", "--change", revision, "--from", str(root), *more])


@pytest.mark.parametrize(
    ("revision", "level", "closed", "code"),
    [
        (CALM, "autonomous", False, 0),
        (RISKY, "assisted", False, 0),
        (RISKY, "supervised", False, 3),
        (RISKY, "autonomous", False, 1),
        (OLD, "autonomous", False, 0),
        (OLD, "autonomous", True, 3),
        (BROKEN, "autonomous", True, 3),
        ("0" * 40, "autonomous", False, 0),
        ("0" * 40, "assisted", True, 3),
    ],
)
def test_the_gate_exits_as_the_table_says(
    published: Path, outside: Path, revision: str, level: str, closed: bool, code: int
) -> None:
    _policy(published, level, closed=closed)

    assert _gate(published, revision, "--no-on-demand") == code


def test_a_ceiling_alone_stops_nothing(published: Path, outside: Path) -> None:
    """What a hook may really do is earned; the policy only says how much it may become."""
    _policy(published, "autonomous", earned=False)

    assert _gate(published, RISKY) == 0


def test_a_persons_yes_lets_the_next_run_pass(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is kept; another hook is not let through."""
    _policy(published, "autonomous")
    hook = ("--hook", "release")
    assert _gate(published, RISKY, "--json", *hook) == 1
    decision_id = json.loads(capsys.readouterr().out)["decision_id"]
    monkeypatch.setenv("WEAVER_FORGE_HOME", str(published))

    assert entry.main(["approve", decision_id, "--actor", "ana", "--reason", "hotfix, checked by hand"]) == 0

    capsys.readouterr()
    assert _gate(published, RISKY, "--json", *hook) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "deny"
    assert _gate(published, RISKY, "--hook", "another") == 1


def test_the_kill_switch_beside_the_snapshot_returns_a_hook_to_saying_it(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _policy(published, "autonomous")
    switch = published / "data" / "published" / "halted.json"
    switch.write_text(json.dumps({"halted": [{"scope": "all", "reason": "it went mad", "actor": "ana"}]}))

    try:
        code = _gate(published, RISKY, "--json")
    finally:
        switch.unlink()

    answer = json.loads(capsys.readouterr().out)
    assert (code, answer["verdict"], answer["level"], answer["rules"][0]) == (0, "deny", "assisted", "halted")
    assert _gate(published, RISKY) == 1


def test_a_freeze_holds_what_would_be_allowed_and_a_tag_gets_through(published: Path, outside: Path) -> None:
    """Nothing is earned here: a person wrote the rule. NOW is a Sunday."""
    _policy(published, "autonomous", earned=False)
    path = published / "policy.yaml"
    window = "freeze: [{days: [sun], reason: no Sundays, except: [hotfix]}], deny_at"
    path.write_text(path.read_text().replace("deny_at", window, 1))

    assert _gate(published, CALM) == 1
    assert _gate(published, CALM, "--tag", "hotfix") == 0


def test_protected_paths_without_a_repository_or_the_change_in_the_snapshot_are_no_allow(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _policy(published, "autonomous", earned=False)
    path = published / "policy.yaml"
    path.write_text(path.read_text().replace("deny_at", "protected_paths: [db/], deny_at", 1))

    assert _gate(published, CALM, "--json") == 0

    assert json.loads(capsys.readouterr().out)["verdict"] == "unknown"


def test_an_answer_says_evidence_before_score_and_is_on_record(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _policy(published, "assisted")

    assert _gate(published, RISKY[:6]) == 0

    said = capsys.readouterr().out
    assert said.index("touches 12 files") < said.index("logistic 3") < said.index("0.900")
    decision_id = re.search(r"Decision (\S+) \(ledger\)", said)
    assert decision_id
    monkeypatch.setenv("WEAVER_FORGE_HOME", str(published))
    assert entry.main(["why", decision_id[1]]) == 0
    assert entry.main(["why", "--change", RISKY]) == 0
    assert entry.main(["ledger", "verify"]) == 0
    assert entry.main(["ledger", "show", decision_id[1]]) == 0
    assert entry.main(["ledger", "tail"]) == 0
    assert entry.main(["ledger", "score"]) == 0
    assert entry.main(["doctor"]) == 0
    assert entry.main(["doctor", "--json"]) == 0


def test_without_a_deployment_the_decision_goes_to_the_spool(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bare snapshot is enough for a gate; its own policy holds, and nothing of the decision is lost."""
    snapshot = next((published / "data" / "published").glob("serving-*.duckdb"))
    bare = outside / snapshot.name
    bare.write_bytes(snapshot.read_bytes())

    assert entry.main(["gate", "--decision", "deploy_risk", "--change", CALM, "--from", str(bare), "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    spooled = [json.loads(p.read_text()) for p in (outside / ".weaver-forge" / "decisions").glob("*.jsonl")]
    assert [line["row"]["decision_id"] for line in spooled] == [answer["decision_id"]]
    assert answer["recorded"].startswith("spool")


def test_a_ledger_that_is_out_of_reach_stops_nothing(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _policy(published, "assisted")
    (outside / "file").write_text("")
    monkeypatch.setenv("WEAVER_FORGE_LEDGER_URL", f"sqlite:///{outside / 'file' / 'ledger.sqlite'}")

    code = _gate(published, CALM, "--json", "--spool", str(outside / "spool"))

    answer = json.loads(capsys.readouterr().out)
    assert code == 0
    assert len(list((outside / "spool").glob("*.jsonl"))) == 1
    assert any("ledger cannot be reached" in note for note in answer["notes"])


def test_a_deployment_without_a_snapshot_is_unknown_not_an_error(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    (root / "weaver-forge.toml").write_text("[decisions]\n")
    _policy(root, "autonomous", closed=True)

    assert _gate(root, CALM) == 3


def test_a_damaged_snapshot_is_unknown_not_a_verdict(
    tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "damaged" / "data" / "published"
    folder.mkdir(parents=True)
    (folder / "CURRENT").write_text('{"version": 1, "file": "serving-000001.duckdb"}')
    (folder / "serving-000001.duckdb").write_bytes(b"no database")
    (tmp_path / "damaged" / "weaver-forge.toml").write_text("[decisions]\n")

    assert _gate(tmp_path / "damaged", CALM, "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["gate", "--help"], 0),
        (["nonsense"], 2),
        (["gate"], 2),
        (["gate", "--decision", "deploy_risk"], 4),
        (["gate", "--decision", "deploy_risk", "--change", "x", "--from", "nowhere"], 5),
        (["rank-tests", "--budget", "lots"], 2),
        (["rank-tests", "--format", "go"], 2),
        (["doctor"], 4),
        (["ledger", "tail", "nothing"], 2),
        (["run", "--colour"], 2),
    ],
)
def test_usage_is_2_and_errors_are_4_and_above(outside: Path, arguments: list[str], code: int) -> None:
    assert entry.main(arguments) == code


def test_a_wrong_policy_is_an_error_that_names_its_line(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (published / "policy.yaml").write_text("version: 1\ndecisions:\n  deploy_risk:\n    levle: assisted\n")

    code = _gate(published, CALM)

    assert code == 4
    assert re.search(r"policy\.yaml, line 4: unknown key 'levle'.*Did you mean 'ceiling'", capsys.readouterr().err)


def _classes(root: type[errors.WeaverForgeError]) -> list[type[errors.WeaverForgeError]]:
    return [root, *(found for child in root.__subclasses__() for found in _classes(child))]


@pytest.mark.parametrize("error", _classes(errors.WeaverForgeError))
def test_no_error_exits_like_a_verdict(error: type[errors.WeaverForgeError]) -> None:
    """1 and 3 say something about a change; an error never does."""
    assert error.exit_code == 2 or error.exit_code >= 4


@pytest.mark.parametrize(
    "escaping", [RuntimeError("x"), SystemExit(1), SystemExit("text"), ImportError("gone"), MemoryError()]
)
def test_a_crash_never_reads_as_a_deny(escaping: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 belongs to an enforced deny alone; whatever breaks exits with 4 or more."""

    def crash(_argv: list[str]) -> int:
        raise escaping

    monkeypatch.setattr("weaver_forge.cli.app.run", crash)

    assert entry.main(["gate"]) == 70


def test_a_broken_dependency_exits_with_70(tmp_path: Path) -> None:
    """The console entry itself needs the standard library only."""
    (tmp_path / "cyclopts.py").write_text("raise ImportError('broken')")

    done = subprocess.run(
        [sys.executable, "-m", "weaver_forge", "gate"],
        env=environment_with(PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 70
    assert len(done.stderr.splitlines()) == 1
    assert "WEAVER_FORGE_DEBUG" in done.stderr


def test_rank_tests_keeps_the_budget_and_hands_over_both_lists(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _policy(published, "assisted")
    files = ["--run-file", "run.txt", "--rest-file", "rest.txt"]

    code = entry.main(["rank-tests", "--change", TESTED, "--budget", "25%", "--from", str(published), *files])

    assert code == 0
    assert Path("run.txt").read_text(encoding="utf-8").split() == ["t7", "t6"]
    assert Path("rest.txt").read_text(encoding="utf-8").split() == ["t5", "t4", "t3", "t2", "t1", "t0"]


def test_rank_tests_writes_what_the_pytest_plugin_reads(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _policy(published, "assisted")
    words = ["rank-tests", "--change", TESTED, "--budget", "25%", "--from", str(published), "--format", "pytest"]

    code = entry.main([*words, "--run-file", "now.json", "--rest-file", "later.json", "--json"])

    said = capsys.readouterr()
    now, later = (read_handed(Path(name), tuple) for name in ("now.json", "later.json"))
    assert code == 0
    assert now.order == later.order == tuple(f"t{n}" for n in (7, 6, 5, 4, 3, 2, 1, 0))
    assert (now.rest, later.rest) == (now.order[2:], now.order[:2])
    assert json.loads(Path("now.json").read_text(encoding="utf-8")) == json.loads(said.out)
    assert "--weaver-mode=select --weaver-from=" in said.err


def test_tests_that_a_runner_does_not_know_are_no_list_for_it(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _policy(published, "assisted")

    code = entry.main(
        ["rank-tests", "--change", TESTED, "--from", str(published), "--format", "go", "--run-file", "now"]
    )

    assert code == 2
    assert not Path("now").exists()
    assert "none of the tests is one of Go" in capsys.readouterr().err


def test_without_an_order_everything_runs_and_it_is_said(
    published: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A budget must not cut an order that is none."""
    _policy(published, "autonomous")
    words = ["rank-tests", "--change", "0" * 40, "--budget", "25%", "--from", str(published), "--json"]

    code = entry.main(words)

    answer = json.loads(capsys.readouterr().out)
    assert code == 0
    assert answer["run_everything"] is True
    assert [test["test_id"] for test in answer["run"]] == [f"t{n}" for n in range(8)]
    assert answer["rest"] == []
    assert "RUN EVERYTHING" in answer["ranking_reasons"][0]


@pytest.mark.parametrize("form", ["ids", "json"])
def test_where_no_test_is_known_there_is_no_run_list_that_reads_as_nothing_to_run(
    tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    Path("run.txt").write_text("of an earlier run\n", encoding="utf-8")
    (tmp_path / "weaver-forge.toml").touch()  # a deployment that has published nothing yet
    files = ["--run-file", "run.txt", "--rest-file", "rest.txt", "--format", form]

    code = entry.main(["rank-tests", "--change", "0" * 40, *files])

    said = capsys.readouterr().err
    assert code == 0
    assert not Path("run.txt").exists()
    assert Path("rest.txt").read_text(encoding="utf-8") in {"", "[]"}
    assert "run.txt is not written" in said
    assert "run the whole suite" in said


HEAVY = ("dagster", "mlflow", "sklearn", "polars", "pyarrow", "pandas", "numpy", "deltalake", "sqlalchemy", "rich")
QUESTIONS = (
    ["gate", "--decision", "deploy_risk", "--change", RISKY],
    ["rank-tests", "--change", TESTED, "--budget", "25%"],
)


@pytest.mark.parametrize("words", QUESTIONS, ids=["gate", "rank-tests"])
def test_an_answer_from_a_published_prediction_loads_nothing_heavy(
    published: Path, outside: Path, words: list[str]
) -> None:
    _policy(published, "assisted")
    program = (
        "import sys; from weaver_forge.__main__ import main; code = main(sys.argv[1:]); "
        f"print('LOADED', code, [name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--from", str(published)], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "LOADED 0 []"


def _cpu_seconds(*words: str) -> float:
    """What a fresh process costs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("words", QUESTIONS, ids=["gate", "rank-tests"])
def test_an_answer_costs_little_more_than_loading_its_four_libraries(
    published: Path, outside: Path, words: list[str]
) -> None:
    """A ratio, since absolute times belong to an idle machine: 2.1 there. The least of many: noise only ever adds."""
    _policy(published, "assisted")
    libraries, answers = [], []

    while len(answers) < 3 or (min(answers) >= 2.5 * min(libraries) and len(answers) < 20):
        libraries.append(_cpu_seconds("-c", "import cyclopts, duckdb, msgspec, yaml"))
        answers.append(_cpu_seconds("-m", "weaver_forge", *words, "--from", str(published)))

    assert min(answers) < 2.5 * min(libraries)
