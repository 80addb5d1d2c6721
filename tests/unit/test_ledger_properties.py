"""Whatever is appended, by whom and in what order, verifies; whatever is then done to it is found."""

import itertools
import random
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from weaver_forge.errors import WeaverForgeError
from weaver_forge.ledger import Ledger, anchors
from weaver_forge.ledger.canonical import link_sha256, row_sha256
from weaver_forge.ledger.chain import rows_sha256
from weaver_forge.ledger.roots import recorded
from weaver_forge.ledger.schema import CHAIN, CURRENT, LedgerTable

NOW = datetime(2026, 3, 1, 12)

KEYS = {"decisions": "decision_id", "acts": "act_id", "policies": "policy_sha256", "outcomes": "outcome_id"}


def row(kind: str, name: str) -> dict[str, Any]:
    common = {"decision": "d", "unit": "u", "hook": "h"}
    rows: dict[str, dict[str, Any]] = {
        "decisions": {
            **common, "entity": "e", "verdict": "allow", "level": "assisted", "scope": "development",
            "applied": False, "exit_code": 0, "made_at": NOW,
        },
        "acts": {**common, "act_key": name, "decision_id": "d", "action": "a", "state": "done", "made_at": NOW},
        "policies": {"text": name, "first_used_at": NOW},
        "outcomes": {"prediction_id": name[:1], "maturity": "pending"},
    }  # fmt: skip
    return {**rows[kind], KEYS[kind]: name}


APPEND = st.tuples(
    st.sampled_from(sorted(KEYS)),
    st.lists(st.integers(0, 30).map(lambda n: f"{n:02d}"), max_size=6),
    st.integers(0, 2),  # which of three connections
    st.integers(-100, 100),  # hours of its clock
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(appends=st.lists(APPEND, max_size=15))
def test_any_appends_by_any_connections_give_a_chain_that_verifies_with_every_row_once_and_in_order(
    folder: Path, appends: list[tuple[str, list[str], int, int]]
) -> None:
    path = folder / "any.sqlite"
    for old in folder.glob("any.sqlite*"):
        old.unlink()
    expected: dict[str, list[str]] = {kind: [] for kind in KEYS}
    connections = [Ledger.open(f"sqlite:///{path}") for _ in range(3)]
    for connection in connections:
        connection._store.execute("pragma synchronous = off")

    for kind, names, which, hours in appends:
        new = [name for name in dict.fromkeys(names) if name not in expected[kind]]
        added = connections[which].append(kind, [row(kind, n) for n in names], now=NOW + timedelta(hours=hours))
        expected[kind] += new
        assert added == len(new)

    found, covered = connections[0].verify(), recorded(connections[1].select)
    stored = {
        kind: [r[key] for r in connections[2].rows(kind, "order by batch_seq, position", columns=(key,))]
        for kind, key in KEYS.items()
    }
    for connection in connections:
        connection.close()
    assert found.ok, found.broken
    assert stored == expected
    assert found.n_rows == sum(map(len, expected.values())) + len(covered)
    assert all(b.first_batch == a.last_batch + 1 for a, b in pairwise(covered))
    assert len({root.day for root in covered}) == len(covered)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days, three kinds, batches of one to five rows, three daily roots; and what was noted of it elsewhere."""
    path = tmp_path_factory.mktemp("whole") / "ledger.sqlite"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        for day in range(4):
            now = NOW + timedelta(days=day)
            ledger.append("decisions", [row("decisions", f"d{day}{n}") for n in range(day + 2)], now=now)
            ledger.append("outcomes", [row("outcomes", f"o{day}{n}") for n in range(2)], now=now)
            ledger.append("policies", [row("policies", f"p{day}")], now=now)
        path.with_suffix(".kept").write_text("\n".join(anchors.lines(ledger.head(), recorded(ledger.select))))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode = delete")  # one file, easily copied
    return path


COPIES = itertools.count()


@contextmanager
def tampering(whole: Path) -> Generator[sqlite3.Connection]:
    """A copy of the file in the hands of somebody who takes the guards off and puts them back."""
    for old in whole.parent.glob("copy-*"):
        old.unlink()
    copy = whole.with_name(f"copy-{next(COPIES):06d}.sqlite")
    shutil.copy(whole, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("pragma synchronous = off")
        connection.execute("begin")
        guards = connection.execute("select name, sql from sqlite_master where type = 'trigger'").fetchall()
        for name, _ in guards:
            connection.execute(f'drop trigger "{name}"')
        try:
            yield connection
        finally:
            for _, sql in guards:
                connection.execute(sql)
            connection.execute("commit")


def verdict(whole: Path, *, against: bool = False) -> bool:
    """Whether the copy verifies; one that does not even open does not."""
    known = anchors.read(whole.with_suffix(".kept")) if against else []
    (copy,) = whole.parent.glob("copy-*.sqlite")
    try:
        with Ledger.open(f"sqlite:///{copy}", create=False) as ledger:
            return ledger.verify(known=known).ok
    except WeaverForgeError:
        return False


STORED = ("decisions", "outcomes", "policies", "roots", "chain")


def columns_of(kind: str) -> list[str]:
    return [column.name for column in (CHAIN if kind == "chain" else CURRENT.table(kind).stored)]


def rowids(connection: sqlite3.Connection, kind: str) -> list[int]:
    return [found[0] for found in connection.execute(f'select rowid from "{kind}" order by rowid')]


mutations = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@mutations
@given(data=st.data(), kind=st.sampled_from(STORED))
def test_any_value_that_is_changed_is_found(whole: Path, data: st.DataObject, kind: str) -> None:
    name = data.draw(st.sampled_from(columns_of(kind)))
    value = data.draw(st.none() | st.integers(-3, 9) | st.text(max_size=3) | st.floats(0, 1) | st.binary(max_size=3))
    try:
        with tampering(whole) as connection:
            rowid = data.draw(st.sampled_from(rowids(connection, kind)))
            before = connection.execute(f'select "{name}" from "{kind}" where rowid = ?', [rowid]).fetchone()[0]
            connection.execute(f'update "{kind}" set "{name}" = ? where rowid = ?', [value, rowid])
            (after,) = connection.execute(f'select "{name}" from "{kind}" where rowid = ?', [rowid]).fetchone() or (
                b"",
            )
    except sqlite3.IntegrityError:
        return  # the database itself refuses

    assert verdict(whole) is (type(before) is type(after) and before == after)


@mutations
@given(data=st.data(), kind=st.sampled_from(STORED), how=st.sampled_from(["delete", "swap", "move", "double"]))
def test_any_row_that_is_deleted_swapped_moved_or_doubled_is_found(
    whole: Path, data: st.DataObject, kind: str, how: str
) -> None:
    place = ("batch_seq",) if kind == "chain" else ("batch_seq", "position")
    with tampering(whole) as connection:
        there = rowids(connection, kind)
        one, other = data.draw(st.sampled_from(there)), data.draw(st.sampled_from(there))
        if how == "delete":
            connection.execute(f'delete from "{kind}" where rowid = ?', [one])
        elif how == "swap":
            assume(one != other)
            swap(connection, kind, place, one, other)
        elif how == "move":
            connection.execute(f'update "{kind}" set batch_seq = batch_seq + 1000 where rowid = ?', [one])
        else:
            double(connection, kind, one, columns_of(kind))

    assert verdict(whole) is False


def swap(connection: sqlite3.Connection, kind: str, place: tuple[str, ...], one: int, other: int) -> None:
    """Let two rows change places, their own hashes with them."""
    listed = ", ".join(place)
    places = {
        rowid: tuple(connection.execute(f'select {listed} from "{kind}" where rowid = ?', [rowid]).fetchone())
        for rowid in (one, other)
    }
    for rowid, to in ((one, (-1, -1)[: len(place)]), (other, places[one]), (one, places[other])):
        assignments = ", ".join(f"{name} = ?" for name in place)
        connection.execute(f'update "{kind}" set {assignments} where rowid = ?', [*to, rowid])


def double(connection: sqlite3.Connection, kind: str, rowid: int, names: list[str]) -> None:
    """The row again, at the end of the table, under another id."""
    copy = dict(connection.execute(f'select * from "{kind}" where rowid = ?', [rowid]).fetchone())
    copy["batch_seq"] += 500
    if kind != "chain":
        table = CURRENT.table(kind)
        for name in {table.key, *table.identity}:
            copy[name] = f"{copy[name]}x"
    marks = ", ".join("?" * len(names))
    connection.execute(f'insert into "{kind}" ({", ".join(names)}) values ({marks})', [copy[name] for name in names])


@mutations
@given(batches=st.integers(1, 15))
def test_a_tail_that_is_cut_off_is_found_by_what_was_kept_elsewhere(whole: Path, batches: int) -> None:
    with tampering(whole) as connection:
        last = connection.execute("select max(batch_seq) from chain").fetchone()[0]
        for kind in STORED:
            connection.execute(f'delete from "{kind}" where batch_seq > ?', [last - batches])

    assert verdict(whole) is True  # all that is left is genuine
    assert verdict(whole, against=True) is False


@mutations
@given(data=st.data(), further=st.booleans())
def test_a_row_written_anew_with_all_hashes_up_to_its_link_or_to_the_head_is_found(
    whole: Path, data: st.DataObject, further: bool
) -> None:
    """The whole chain made again from there is genuine in itself: only what was kept elsewhere, or a root, tells."""
    with tampering(whole) as connection:
        table = CURRENT.table("decisions")
        rowid = data.draw(st.sampled_from(rowids(connection, "decisions")))
        connection.execute("update decisions set verdict = 'deny' where rowid = ?", [rowid])
        batch = rehash_row(connection, table, rowid)
        relink(connection, batch, to_the_end=further)

    assert verdict(whole, against=True) is False
    newest_root = 12
    assert verdict(whole) is (further and batch > newest_root)


def rehash_row(connection: sqlite3.Connection, table: LedgerTable, rowid: int) -> int:
    values = connection.execute(f'select * from "{table.kind}" where rowid = ?', [rowid]).fetchone()
    columns = table.hashed(values["schema_version"])
    digest = row_sha256(columns, [values[column.name] for column in columns])
    connection.execute(f'update "{table.kind}" set row_sha256 = ? where rowid = ?', [digest, rowid])
    return int(values["batch_seq"])


def relink(connection: sqlite3.Connection, batch: int, *, to_the_end: bool) -> None:
    """Make a batch's link again, and those after it."""
    last = connection.execute("select max(batch_seq) from chain").fetchone()[0]
    previous = None
    for seq in range(batch, (last if to_the_end else batch) + 1):
        link = dict(connection.execute("select * from chain where batch_seq = ?", [seq]).fetchone())
        hashes = connection.execute(
            f'select row_sha256 from "{link["kind"]}" where batch_seq = ? order by position', [seq]
        ).fetchall()
        link["rows_sha256"] = rows_sha256([found[0] for found in hashes], link["schema_version"])
        link["previous_hash"] = previous or link["previous_hash"]
        previous = link_sha256(link)
        connection.execute(
            "update chain set rows_sha256 = ?, previous_hash = ?, hash = ? where batch_seq = ?",
            [link["rows_sha256"], link["previous_hash"], previous, seq],
        )


def contents(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_a_byte_of_the_file_that_is_flipped_is_found_unless_it_means_nothing(whole: Path) -> None:
    """Of several hundred bytes at random and all of the header, the untouched meaning proves those that pass."""
    data, expected = whole.read_bytes(), contents(whole)
    rng = random.Random(3)  # noqa: S311 - which bytes, no secrets
    used = [place for place, byte in enumerate(data) if byte]  # most others are free space
    missed = 0
    for place in [*range(100), *rng.sample(used, 300)]:
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        for old in whole.parent.glob("copy-*"):
            old.unlink()
        copy = whole.with_name(f"copy-{next(COPIES):06d}.sqlite")
        copy.write_bytes(changed)
        if verdict(whole):
            assert contents(copy) == expected, f"byte {place}"
            missed += 1

    assert missed < 120  # counters of the header, free space, and the like
