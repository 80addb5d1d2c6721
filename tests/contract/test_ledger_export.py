"""An export is the rows: read back from each format, it equals what the ledger says, on both databases."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from weaver_forge.errors import ContractError, SourceError, UsageError
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.exporting import Wanted, export
from weaver_forge.ledger.schema import CHAIN, CURRENT, LedgerColumn

NOW = datetime(2026, 3, 1, 12)
ODD = ["", "a,b", 'say "hi"', "two\nlines", "\u00fc\u2192\U0001f600", "null", "\\N", "'", " pad ", "\r\n", "1", "\t"]
NUMBERS = [0.1, 1e-300, 1.7976931348623157e308, 5e-324, -2.5, 0.0, 1 / 3, None]


def decision(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "decision_id": f"d-{n}", "decision": "deploy_risk" if n % 2 else "test_selection", "entity": "e",
        "unit": ODD[n % len(ODD)], "subject": {"name": ODD[n % len(ODD)], "n": n}, "hook": "h", "verdict": "allow",
        "level": "assisted", "scope": "development", "applied": bool(n % 3), "exit_code": -n,
        "reasons": [ODD[n % len(ODD)]] if n % 4 else None, "actor": ODD[(n + 1) % len(ODD)] if n % 5 else None,
        "held_out": bool(n % 2) if n % 7 else None, "draw": NUMBERS[n % len(NUMBERS)],
        "made_at": NOW + timedelta(microseconds=n), **changes,
    }  # fmt: skip


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger.open(ledger_url) as opened:
        for day in range(3):
            rows = [decision(n) for n in range(day * 20, day * 20 + 20)]
            opened.append("decisions", rows, now=NOW + timedelta(days=day))
        yield opened


def from_json(path: Path, columns: tuple[LedgerColumn, ...]) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    return [{c.name: _value(c, row[c.name], nested=True) for c in columns} for row in rows]


def from_list(path: Path, columns: tuple[LedgerColumn, ...]) -> list[dict[str, Any]]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [{c.name: _value(c, row[c.name], nested=True) for c in columns} for row in rows]


def from_csv(path: Path, columns: tuple[LedgerColumn, ...]) -> list[dict[str, Any]]:
    types = {c.name: c.type if c.type in {"DOUBLE", "BIGINT", "BOOLEAN"} else "VARCHAR" for c in columns}
    found = duckdb.execute(
        "select * from read_csv(?, header = true, auto_detect = false, quote = '\"', escape = '\"', "
        f"allow_quoted_nulls = false, parallel = false, columns = {types})",
        [str(path)],
    )
    return [{c.name: _value(c, value) for c, value in zip(columns, row, strict=True)} for row in found.fetchall()]


def from_parquet(path: Path, columns: tuple[LedgerColumn, ...]) -> list[dict[str, Any]]:
    rows = duckdb.execute("select * from read_parquet(?)", [str(path)]).fetchall()
    return [{c.name: _value(c, value) for c, value in zip(columns, row, strict=True)} for row in rows]


def _value(column: LedgerColumn, value: Any, *, nested: bool = False) -> Any:
    if column.type == "TIMESTAMP" and isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=None)
    return json.loads(value) if column.type == "JSON" and isinstance(value, str) and not nested else value


@pytest.mark.parametrize(
    ("name", "read"),
    [("r.json", from_list), ("r.jsonl", from_json), ("r.csv", from_csv), ("r.parquet", from_parquet)],
)
def test_an_export_read_back_is_what_the_ledger_says(
    ledger: Ledger, tmp_path: Path, name: str, read: Callable[..., list[dict[str, Any]]]
) -> None:
    expected = ledger.rows("decisions", "order by batch_seq, position")

    n_rows = export(ledger, Wanted(kind="decisions"), tmp_path / name)

    assert n_rows == len(expected) == 60
    found = read(tmp_path / name, CURRENT.table("decisions").stored)
    assert repr(found) == repr(expected)  # -0.0, 1 and True are told apart
    assert [path.name for path in tmp_path.iterdir() if "ledger" not in path.name] == [name]


@pytest.mark.parametrize("kind", [*(table.kind for table in CURRENT.tables), "chain"])
@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "parquet"])
def test_any_kind_is_exported_also_where_there_is_none(kind: str, suffix: str, tmp_path: Path) -> None:
    with Ledger.open("sqlite://") as ledger:
        assert export(ledger, Wanted(kind=kind), tmp_path / f"empty.{suffix}") == 0
        if suffix == "parquet":
            columns = CHAIN if kind == "chain" else CURRENT.table(kind).stored
            found = duckdb.execute(
                "describe select * from read_parquet(?)", [str(tmp_path / "empty.parquet")]
            ).fetchall()
            assert [row[0] for row in found] == [column.name for column in columns]
        if suffix == "json":
            assert json.loads((tmp_path / "empty.json").read_text(encoding="utf-8")) == []


def test_rows_are_chosen_by_when_they_were_recorded_and_by_decision(ledger: Ledger, tmp_path: Path) -> None:
    day = timedelta(days=1)
    row = {"entity": "e", "subject": {"a": 1}, "unit": "u", "predicted_at": NOW, "made_at": NOW, "origin": "live"}
    for name in ("deploy_risk", "anomaly"):
        made = {**row, "prediction_id": name, "decision": name, "model_name": "m", "model_version": "1"}
        ledger.append("predictions", [{**made, "is_baseline": True}], now=NOW)
        ledger.append("outcomes", [{"prediction_id": name, "maturity": "pending"}], now=NOW)

    def n(kind: str, **filters: Any) -> int:
        return export(ledger, Wanted(kind=kind, **filters), tmp_path / "rows.jsonl")

    assert [n("decisions", since=NOW + day), n("decisions", until=NOW + day)] == [40, 20]
    assert n("decisions", since=NOW + day, until=NOW + 2 * day, decision="deploy_risk") == 10
    assert [n("outcomes", decision="anomaly"), n("outcomes", decision="none"), n("outcomes")] == [1, 0, 2]
    assert n("chain") == ledger.verify().n_batches
    with pytest.raises(UsageError, match="no decision"):
        n("policies", decision="anomaly")
    with pytest.raises(ContractError, match="no ledger table"):
        n("guesses")


def test_what_cannot_be_written_leaves_what_was_there(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="says no format"):
        export(ledger, Wanted(kind="decisions"), tmp_path / "rows.xlsx")
    with pytest.raises(SourceError, match="cannot be written"):
        export(ledger, Wanted(kind="decisions"), tmp_path / "no folder" / "rows.csv")
    with pytest.raises(UsageError):
        export(ledger, Wanted(kind="policies", decision="d"), tmp_path / "rows.csv")

    assert not list(tmp_path.glob("rows*"))


MEMORY = """
import resource, sys
from datetime import datetime
from pathlib import Path
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.exporting import Wanted, export
with Ledger.open(sys.argv[1], create=False) as ledger:
    export(ledger, Wanted(kind="decisions", until=datetime.fromisoformat(sys.argv[3])), Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_an_export_takes_no_more_memory_for_ten_times_the_rows(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with Ledger.open(url) as ledger:
        for day in range(10):
            rows = [decision(n, decision_id=f"d-{day}-{n}", reasons=["x" * 500]) for n in range(4000)]
            ledger.append("decisions", rows, now=NOW + timedelta(days=day))

    def peak(days: int) -> int:
        until = (NOW + timedelta(days=days)).isoformat()
        command = [sys.executable, "-c", MEMORY, url, str(tmp_path / "rows.csv"), until]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert peak(10) < peak(1) + 25  # MB; the tenfold would be more than 30 in text alone
