"""verify finds whatever is done to the stored rows behind the ledger's back, and old files stay whole."""

import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weaver_forge.errors import ConfigurationError, WeaverForgeError
from weaver_forge.ledger import Head, Ledger
from weaver_forge.ledger.canonical import link_sha256, row_sha256
from weaver_forge.ledger.checking_rows import SHOWN
from weaver_forge.ledger.schema import CHAIN, CURRENT, PREDICTIONS, LedgerColumn, LedgerTable, Schema

NOW = datetime(2026, 3, 1, 12)


def prediction(name: str, **changes: Any) -> dict[str, Any]:
    row = {
        "prediction_id": name,
        "decision": "d",
        "entity": "e",
        "subject": {"test": name},
        "unit": "r1",
        "predicted_at": NOW,
        "made_at": NOW,
        "origin": "live",
        "probability": 0.5,
        "is_baseline": True,
        "model_name": "m",
        "model_version": "1",
    }
    return {**row, **changes}


def fill(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.append("predictions", [prediction(name) for name in "abc"], now=NOW)
        ledger.append("outcomes", [{"prediction_id": "a", "outcome": 1.0, "maturity": "mature"}], now=NOW)
        ledger.append("predictions", [prediction("d"), prediction("e")], now=NOW)


@contextmanager
def unguarded(path: Path) -> Generator[sqlite3.Connection]:
    """As somebody would who has the file in hand: the guards are taken off, and put back behind."""
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("pragma synchronous = off")
        con.execute("begin")
        guards = con.execute("select name, tbl_name, sql from sqlite_master where type = 'trigger'").fetchall()
        for name, _, _ in guards:
            con.execute(f'drop trigger "{name}"')
        try:
            yield con
        finally:
            left = {name for (name,) in con.execute("select name from sqlite_master where type = 'table'")}
            for _, table, sql in guards:
                if table in left:
                    con.execute(sql)
            con.execute("commit")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    fill(path)
    return path


def broken(path: Path, *statements: str, known: Head | None = None) -> list[str]:
    with unguarded(path) as con:
        for statement in statements:
            con.execute(statement)
    with Ledger.open(f"sqlite:///{path}") as ledger:
        found = ledger.verify(known=known)
    assert found.ok is not bool(found.broken)
    return found.broken


def test_an_untouched_ledger_verifies(path: Path) -> None:
    assert broken(path) == []


def test_a_changed_row_is_named(path: Path) -> None:
    found = broken(path, "update predictions set probability = 0.9 where prediction_id = 'b'")

    assert found == ["predictions, batch 1, row 1 (prediction_id 'b'): was changed"]


def test_a_row_changed_together_with_its_own_hash_is_found(path: Path) -> None:
    columns = PREDICTIONS.hashed(CURRENT.version)
    listed = ", ".join(f'"{column.name}"' for column in columns)
    with unguarded(path) as con:
        con.execute("update predictions set probability = 0.9 where prediction_id = 'b'")
        row = con.execute(f"select {listed} from predictions where prediction_id = 'b'").fetchone()

    found = broken(path, f"update predictions set row_sha256 = '{row_sha256(columns, row)}' where prediction_id = 'b'")

    assert [finding.split(":")[0] for finding in found] == ["predictions, batch 1"]


@pytest.mark.parametrize(("name", "place"), [("a", 0), ("b", 1), ("c", 2)])
def test_a_removed_row_is_found(path: Path, name: str, place: int) -> None:
    found = broken(path, f"delete from predictions where prediction_id = '{name}'")

    assert any("predictions, batch 1: 2 rows where the link covers 3: removed" in text for text in found)


def test_a_removed_batch_is_found(path: Path) -> None:
    found = broken(path, "delete from predictions where batch_seq = 1")

    assert found == ["predictions, batch 1: all 3 rows were removed"]


def test_a_batch_removed_at_the_end_is_found(path: Path) -> None:
    found = broken(path, "delete from predictions where batch_seq = 3")

    assert found == ["predictions, batch 3: all 2 rows were removed"]


def copy_of(path: Path, name: str, **changes: Any) -> str:
    with closing(sqlite3.connect(path)) as con:
        con.row_factory = sqlite3.Row
        row = dict(con.execute("select * from predictions where prediction_id = ?", [name]).fetchone())
    row |= {"prediction_id": "z", "idempotency_key": "z", **changes}
    values = ", ".join("null" if value is None else repr(value) for value in row.values())
    return f"insert into predictions ({', '.join(row)}) values ({values})"


def test_an_added_row_is_found(path: Path) -> None:
    found = broken(path, copy_of(path, "c", position=3))

    assert any("predictions, batch 1: 4 rows where the link covers 3: added" in text for text in found)


@pytest.mark.parametrize("batch", [0, 2, 9])
def test_a_row_added_in_a_batch_that_no_link_of_its_kind_covers_is_named(path: Path, batch: int) -> None:
    found = broken(path, copy_of(path, "c", batch_seq=batch))

    assert found == [f"predictions, batch {batch}, row 2 (prediction_id 'z'): no link covers it: it was added"]


def test_reordered_rows_are_named(path: Path) -> None:
    found = broken(
        path,
        "update predictions set position = 9 where prediction_id = 'a'",
        "update predictions set position = 0 where prediction_id = 'b'",
        "update predictions set position = 1 where prediction_id = 'a'",
    )

    assert found == [
        "predictions, batch 1, row 0 (prediction_id 'b'): was changed",
        "predictions, batch 1, row 1 (prediction_id 'a'): was changed",
    ]


def test_a_removed_link_is_found(path: Path) -> None:
    found = broken(path, "delete from chain where batch_seq = 2", "delete from outcomes")

    assert "chain, batch 3: expected batch 2: a link was removed, added or reordered" in found
    assert "chain, batch 3: does not follow from the link before it" in found


def test_a_link_changed_together_with_its_hash_breaks_the_next(path: Path) -> None:
    names = [column.name for column in CHAIN]
    with closing(sqlite3.connect(path)) as con:
        row = con.execute(f"select {', '.join(names)} from chain where batch_seq = 2").fetchone()
    link = {**dict(zip(names, row, strict=True)), "recorded_at": "2020-01-01T00:00:00.000000Z"}

    found = broken(
        path,
        f"update chain set recorded_at = '{link['recorded_at']}', hash = '{link_sha256(link)}' where batch_seq = 2",
    )

    assert found == ["chain, batch 3: does not follow from the link before it"]


def test_a_ledger_cut_off_after_a_whole_batch_is_found_with_a_head_kept_elsewhere(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        head = ledger.head()
    cut = ("delete from chain where batch_seq = 3", "delete from predictions where batch_seq = 3")

    found = broken(path, *cut, known=head)

    assert head is not None
    assert found == [f"chain, batch 3: the head {head.hash[:12]}... noted earlier is not there"]
    assert broken(path) == []  # what is left is genuine: the chain alone cannot know


def test_a_head_noted_earlier_still_stands_after_more_was_appended(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        head = ledger.head()
        ledger.append("predictions", [prediction("f")], now=NOW)

        assert ledger.verify(known=head).ok


def test_many_findings_are_counted_not_listed(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.append("predictions", [prediction(f"many-{n}") for n in range(SHOWN + 50)], now=NOW)

    found = broken(path, "update predictions set probability = 0.9 where batch_seq = 4")

    assert len(found) == SHOWN + 1
    assert found[-1] == "... and 50 more"


@pytest.mark.parametrize("statement", ["drop table outcomes", "alter table predictions drop column evidence"])
def test_a_table_or_column_that_is_gone_is_a_finding_not_a_crash(path: Path, statement: str) -> None:
    found = broken(path, "drop view newest_outcomes", statement)

    assert any("cannot be read" in text for text in found)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "ledger.sqlite"
    fill(path)
    with closing(sqlite3.connect(path)) as con:
        con.execute("pragma journal_mode = delete")  # one file, easily copied
    return path


CELLS = [
    *((table.kind, c.name) for table in CURRENT.tables[:1] for c in table.stored),
    *(("outcomes", c.name) for c in CURRENT.table("outcomes").stored),
    *(("chain", c.name) for c in CHAIN),
    ("schema_version", "version"),
]


def flipped(value: Any, byte: int, bit: int) -> Any:
    """The value with one bit of its stored form turned; None stays what it is not: a value is put there."""
    if value is None:
        return "x"
    if isinstance(value, int):
        return value ^ (1 << bit)
    raw = bytearray(value.encode() if isinstance(value, str) else repr(value).encode())
    raw[byte % len(raw)] ^= 1 << bit
    return bytes(raw)


def holds(path: Path) -> bool:
    """Whether the ledger opens and verifies."""
    try:
        with Ledger.open(f"sqlite:///{path}", create=False) as ledger:
            return ledger.verify().ok
    except WeaverForgeError:
        return False


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cell=st.sampled_from(CELLS), place=st.integers(0, 9), byte=st.integers(0, 80), bit=st.integers(0, 7))
def test_any_bit_turned_in_any_stored_value_is_found(
    filled: Path, cell: tuple[str, str], place: int, byte: int, bit: int
) -> None:
    """Also where the bytes are no longer UTF-8, or no longer of the column's type."""
    kind, name = cell
    copy = filled.with_name("copy.sqlite")
    shutil.copy(filled, copy)
    with unguarded(copy) as con:
        rowids = [rowid for (rowid,) in con.execute(f'select rowid from "{kind}" order by rowid')]
        rowid = rowids[place % len(rowids)]
        value = con.execute(f'select "{name}" from "{kind}" where rowid = ?', [rowid]).fetchone()[0]
        wrong = flipped(value, byte, bit)
        cast = "cast(? as text)" if isinstance(wrong, bytes) else "?"
        try:
            con.execute(f'update "{kind}" set "{name}" = {cast} where rowid = ?', [wrong, rowid])
        except sqlite3.IntegrityError:
            return  # turned into another row's key: the database itself refuses
        stored = con.execute(f'select "{name}" is ? from "{kind}" where rowid = ?', [value, rowid]).fetchone()
        same = stored is not None and stored[0] == 1

    assert holds(copy) is same


VERSION_1 = Schema(version=1, tables=CURRENT.tables)
LATER = LedgerColumn("reviewer", "VARCHAR", "Added in the next version.", nullable=True, since=CURRENT.version + 1)
NOTES = LedgerTable(
    kind="notes",
    grain="remark",
    key="note_id",
    since=CURRENT.version + 1,
    indexes=(("note",),),
    columns=(LedgerColumn("note_id", "VARCHAR", "UUIDv7."), LedgerColumn("note", "VARCHAR", "Words.")),
)
NEXT = Schema(
    version=CURRENT.version + 1,
    tables=(
        replace(
            PREDICTIONS,
            columns=(*PREDICTIONS.columns, LATER),
            later_indexes=(*PREDICTIONS.later_indexes, (CURRENT.version + 1, ("reviewer",))),
        ),
        *CURRENT.tables[1:],
        NOTES,
    ),
)


def test_an_old_file_is_brought_forward_and_still_verifies(path: Path) -> None:
    """A later column and a later table break no link of the version before, and the next hashes them."""
    url = f"sqlite:///{path}"

    with Ledger.open(url, schema=NEXT) as ledger:
        old = ledger.verify()
        ledger.append("predictions", [prediction("f", reviewer="ada")], now=NOW)
        ledger.append("notes", [{"note": "moved"}], now=NOW)
        new = ledger.verify()
        row = ledger.prediction("f")

    assert (old.ok, old.n_rows) == (True, 6)
    assert (new.ok, new.n_rows) == (True, 8)
    assert row is not None
    assert (row["reviewer"], row["schema_version"]) == ("ada", NEXT.version)
    with Ledger.open(url, schema=NEXT) as ledger:
        assert ledger.verify().ok


def test_a_new_file_has_the_later_columns_from_the_start(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'new.sqlite'}", schema=NEXT) as ledger:
        ledger.append("predictions", [prediction("f", reviewer="ada")], now=NOW)

        assert ledger.verify().ok


def test_the_later_column_of_an_old_row_cannot_be_filled_in_unseen(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}", schema=NEXT):
        pass
    with unguarded(path) as con:
        con.execute("update predictions set reviewer = 'eve' where prediction_id = 'a'")

    with Ledger.open(f"sqlite:///{path}", schema=NEXT) as ledger:
        found = ledger.verify()

    assert found.broken == ["predictions, batch 1, row 0 (prediction_id 'a'): reviewer came later and must be empty"]


def test_an_older_program_refuses_a_newer_file(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}", schema=NEXT):
        pass

    with pytest.raises(
        ConfigurationError, match=f"schema version {NEXT.version}, this program knows {CURRENT.version}"
    ):
        Ledger.open(f"sqlite:///{path}")


def test_a_ledger_of_version_1_becomes_the_same_as_a_new_one_and_its_rows_still_verify(tmp_path: Path) -> None:
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    with Ledger.open(f"sqlite:///{old}", schema=VERSION_1) as ledger:
        ledger.append("predictions", [prediction("a")], now=NOW)

    with Ledger.open(f"sqlite:///{old}") as ledger, Ledger.open(f"sqlite:///{new}"):
        ledger.append("predictions", [prediction("b")], now=NOW)
        found = ledger.verify()
        versions = [row["schema_version"] for row in ledger.tail("predictions", 2)]

    assert (found.ok, found.n_rows, versions) == (True, 2, [1, CURRENT.version])
    shapes = []
    for path in (old, new):
        with closing(sqlite3.connect(path)) as con:
            names = {name for (name,) in con.execute("select name from sqlite_master where name not like 'sqlite_%'")}
            columns = {n: [c[1:4] for c in con.execute(f"pragma table_info({n})")] for n in names}
            shapes.append(columns)
    assert shapes[0] == shapes[1]
