"""``weaver-forge ledger``: what it prints, writes and exits with."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.__main__ import main
from weaver_forge.ledger import Ledger

NOW = datetime(2026, 3, 1, 12)


def decision(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "decision_id": name, "decision": "deploy_risk", "entity": "changes", "unit": "u", "hook": "ci_gate",
        "verdict": "allow", "level": "assisted", "scope": "deployment", "applied": False, "exit_code": 0,
        "made_at": NOW, **changes,
    }  # fmt: skip


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger of a deployment in which two days have passed."""
    (tmp_path / "weaver-forge.toml").write_text('[clock]\nnow = "2026-03-03T12:00:00Z"\n[decisions]\n')
    monkeypatch.chdir(tmp_path)
    for name in ("WEAVER_FORGE_HOME", "WEAVER_FORGE_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "data" / "ledger.sqlite"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.append("decisions", [decision("d-1"), decision("d-2", verdict="deny")], now=NOW)
        ledger.append("decisions", [decision("d-3")], now=NOW + timedelta(days=1))
    return path


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def ledger(*arguments: str) -> tuple[int, str]:
        code = main(["ledger", *arguments])
        return code, capsys.readouterr().out

    return ledger


def tamper(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        guards = con.execute("select name, sql from sqlite_master where type = 'trigger'").fetchall()
        for name, _ in guards:
            con.execute(f'drop trigger "{name}"')
        con.execute(statement)
        for _, sql in guards:
            con.execute(sql)


def test_verify_makes_the_root_that_is_due_and_says_what_it_read(run: Run) -> None:
    first, second = run("verify"), run("verify", "--json")

    assert first == (0, "The ledger is whole: 4 rows in 3 batches, 1 daily roots.\n")
    assert json.loads(second[1])["n_roots"] == 2
    assert run("tail", "roots")[1].split()[:2] == ["day", "first_batch"]


def test_verify_holds_the_ledger_against_what_was_kept(run: Run, path: Path, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept.jsonl")

    said = [run("verify", "--keep", kept)[0], run("verify", "--against", kept)[0], run("verify", "--keep", kept)[0]]

    assert said == [0, 0, 0]
    lines = (tmp_path / "kept.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 3  # two roots and a head; the same again adds nothing
    for table in ("chain", "decisions", "roots"):
        tamper(path, f"delete from {table} where batch_seq >= 3")
    assert run("verify")[0] == 0
    assert run("verify", "--against", kept)[0] == 5
    assert run("verify", "--against", "nothing")[0] == 5


def test_verify_exits_5_and_names_the_row_that_was_changed(
    run: Run, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(path, "update decisions set verdict = 'allow' where decision_id = 'd-2'")

    code = main(["ledger", "verify"])

    assert code == 5
    assert "decisions, batch 1, row 1 (decision_id 'd-2'): was changed" in capsys.readouterr().err
    assert json.loads(run("verify", "--json")[1])["ok"] is False


@pytest.mark.parametrize("words", [("ledger", "score"), ("ledger", "escapes"), ("autonomy",)])
def test_figures_of_a_record_that_lacks_rows_are_shown_with_a_warning(
    path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    main(list(words))
    before = capsys.readouterr().err
    tamper(path, "delete from decisions where decision_id = 'd-2'")

    main(list(words))

    assert not before
    assert "WARNING: the record is damaged, rows do not fit its chain: 1 of decisions" in capsys.readouterr().err


def test_export_writes_any_kind_with_filters_and_says_how_many(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"

    code, said = run("export", str(file), "--since", "2026-03-02", "--decision", "deploy_risk", "--json")

    assert (code, json.loads(said)["rows"]) == (0, 1)
    assert file.read_text().splitlines()[1].startswith("3,0,")
    assert run("export", str(tmp_path / "chain.parquet"), "--kind", "chain") == (
        0,
        f"3 chain in {tmp_path}/chain.parquet\n",
    )
    lines = run("export", "--until", "2026-03-02")[1].splitlines()
    assert [json.loads(line)["decision_id"] for line in lines] == ["d-1", "d-2"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "rows.xlsx"),
        ("export", "rows.csv", "--since", "yesterday"),
        ("export", "rows.csv", "--kind", "guesses"),
        ("export", "rows.csv", "--kind", "policies", "--decision", "deploy_risk"),
        ("show", "d-3", "--proof"),
        ("show", "nothing", "--proof"),
    ],
)
def test_what_cannot_be_meant_exits_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments)[0] == 2


def test_show_gives_the_proof_of_a_row(run: Run) -> None:
    proof = json.loads(run("show", "d-2", "--proof")[1])

    assert json.loads(proof["row"])["verdict"] == "deny"
    assert (proof["day"], proof["kind"], proof["id"]) == ("2026-03-01", "decisions", "d-2")
