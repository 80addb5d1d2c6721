"""One byte of any column of any table, on either database: verify finds it and names the table, batch and row."""

import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from weaver_forge.errors import WeaverForgeError
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.schema import CHAIN, CURRENT, LedgerColumn, LedgerTable

NOW = datetime(2026, 3, 1, 12)
KINDS = [table.kind for table in CURRENT.tables]


def value_for(column: LedgerColumn) -> Any:
    """Something in every column, also where there may be nothing."""
    of_type: dict[str, Any] = {"DOUBLE": 0.37, "BIGINT": 5, "BOOLEAN": True, "TIMESTAMP": NOW}
    return of_type.get(column.type, ["said"] if column.type == "JSON" else f"some {column.name}")


def one_row(table: LedgerTable) -> dict[str, Any]:
    return {column.name: value_for(column) for column in table.columns if column.name != "supersedes"}


@pytest.fixture
def full(ledger_url: str) -> Iterator[Ledger]:
    """A row of every kind, roots by a day that ended."""
    with Ledger.open(ledger_url) as ledger:
        if ledger._store.dialect == "sqlite":
            ledger._store.execute("pragma synchronous = off")
        for kind in KINDS:
            if kind != "roots":
                assert ledger.append(kind, [one_row(CURRENT.table(kind))], now=NOW) == 1
        assert ledger.seal(now=NOW + timedelta(days=1))
        assert ledger.verify().ok
        yield ledger


def flipped(value: Any) -> Any:
    """The value with one byte of its stored form changed by one bit."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ 1
    if isinstance(value, float):
        raw = bytearray(struct.pack("<d", value))
        raw[0] ^= 1
        return struct.unpack("<d", raw)[0]
    return value[:-1] + chr(ord(value[-1]) ^ 1)


def literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def of_each_type(table: LedgerTable) -> list[LedgerColumn]:
    """A column of each type that the table has: every one of them is swept on SQLite."""
    return list({column.type: column for column in table.stored}.values())


def set_to(ledger: Ledger, table: str, column: str, value: Any, place: int) -> None:
    """As somebody would who has the database in hand: guards off, and on again behind."""
    store, update = ledger._store, f'update "{table}" set "{column}" = {literal(value)} where batch_seq = {place}'
    with store.write():
        if store.dialect == "postgresql":
            store.execute("set local session_replication_role = replica")
            store.execute(update)
            return
        guards = store.query(f"select name, sql from sqlite_master where type = 'trigger' and tbl_name = '{table}'")
        for name, _ in guards:
            store.execute(f'drop trigger "{name}"')
        store.execute(update)
        for _, sql in guards:
            store.execute(sql)


@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_of_any_column_is_found_and_its_row_named(full: Ledger, kind: str) -> None:
    table = CURRENT.table(kind)
    [(batch,)] = full.select(f'select batch_seq from "{kind}"')
    unseen = []

    for column in of_each_type(table) if full._store.dialect == "postgresql" else table.stored:
        [(before,)] = full.select(f'select "{column.name}" from "{kind}"')
        if before is None:
            assert column.name == "supersedes"
            continue
        set_to(full, kind, column.name, flipped(before), batch)
        now_at = batch ^ 1 if column.name == "batch_seq" else batch
        found = full.verify().broken
        if not any(
            finding.startswith(f"{kind}, batch {batch}") or f"{kind}, batch {now_at}" in finding for finding in found
        ):
            unseen.append((column.name, found))
        set_to(full, kind, column.name, before, now_at)

    assert unseen == []
    assert full.verify().ok


def test_a_byte_of_any_column_of_a_link_is_found_and_the_link_named(full: Ledger) -> None:
    place, unseen = 3, []

    for column in CHAIN:
        [(before,)] = full.select(f'select "{column.name}" from chain where batch_seq = {place}')
        after = 999 if column.name == "batch_seq" else flipped(before)
        set_to(full, "chain", column.name, after, place)
        found = full.verify().broken
        if not any(f"batch {place}" in finding or "999" in finding for finding in found):
            unseen.append((column.name, found))
        set_to(full, "chain", column.name, before, after if column.name == "batch_seq" else place)

    assert unseen == []
    assert full.verify().ok


def test_the_version_of_the_schema_is_found_too(full: Ledger, ledger_url: str) -> None:
    full._store.execute(f"update schema_version set version = {CURRENT.version ^ 8} where version = {CURRENT.version}")

    try:
        with Ledger.open(ledger_url, create=False) as again:
            found = again.verify().broken
    except WeaverForgeError as error:
        found = [error.what]

    assert any("schema" in finding for finding in found)
