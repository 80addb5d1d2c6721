"""The ledger in one SQLite file, by the standard library's sqlite3: what a gate can load in time.

Put no SQL of the ledger's own tables here.
"""

import sqlite3
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from weaver_forge.errors import ContractError, MissingInput, SourceError, StoreBusy, StoreFull, WeaverForgeError
from weaver_forge.ledger import ddl
from weaver_forge.ledger.ddl import Dialect
from weaver_forge.ledger.schema import Schema
from weaver_forge.ledger.stores import WAIT_S, Row

_SHOWN = 20
"""Findings of SQLite's own check that are asked for."""

_CATALOGUE = """
-- grain: table, index, view or trigger that somebody declared
select type || ' ' || name || ' of ' || tbl_name, sql from sqlite_master where name not like 'sqlite\\_%' escape '\\'
"""


class SqliteStore:
    """A file in WAL mode. ``synchronous=FULL``: an acknowledged row survives a power cut."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: str, *, create: bool, wait_s: float = WAIT_S) -> None:
        self.where = path
        if path != ":memory:":
            if not create and not Path(path).is_file():
                raise MissingInput("there is no ledger", where=path, do="Run `weaver-forge run` first")
            if create:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None)
            try:
                # Bytes that somebody made invalid must reach verify as a wrong hash, not as a decoding error.
                self._connection.text_factory = _text
                self._use_wal(wait_s)
                self._connection.execute("pragma synchronous = full")
            except BaseException:
                self._connection.close()
                raise

    @contextmanager
    def write(self) -> Generator[None]:
        """Hold SQLite's write lock from the first read of the head on."""
        with self._transaction("begin immediate"):
            yield

    @contextmanager
    def read(self) -> Generator[None]:
        """A snapshot; writers go on."""
        with self._transaction("begin"):
            yield

    def has_table(self, name: str) -> bool:
        """Look the table up in the catalogue."""
        return bool(self.query("select 1 from sqlite_master where type = 'table' and name = :n", {"n": name}))

    def execute(self, sql: str) -> None:
        """Run one statement."""
        with self._errors():
            self._connection.execute(sql)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows with one prepared statement."""
        listed, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        with self._errors():
            self._connection.executemany(
                f'insert into "{table}" ({listed}) values ({marks})',  # noqa: S608 - names come from schema.py
                rows,
            )

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """All rows of a query."""
        with self._errors():
            return self._connection.execute(sql, parameters or {}).fetchall()

    def stream(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Iterator[Row]:
        """Rows as SQLite steps through them."""
        with self._errors():
            yield from self._connection.execute(sql, parameters or {})

    def batches(self, sql: str, parameters: Mapping[str, Any] | None = None, *, size: int) -> Iterator[list[Row]]:
        """Rows, many at a time; text that is no UTF-8 is an error here, since calling Python a text costs most."""
        with self._errors():
            cursor = self._connection.execute(sql, parameters or {})
            while rows := self._many(cursor, size):
                yield rows

    def damage(self, schema: Schema) -> Iterator[str]:
        """Pages and indexes by SQLite's own check; every table, index, view and guard against its declaration."""
        for (said,) in self.query(f"pragma integrity_check({_SHOWN})"):
            if said != "ok":
                yield f"the file is damaged: {said}"
        found: dict[str, str] = dict(self.query(_CATALOGUE))
        expected = declared(schema)
        for name, texts in expected.items():
            if name not in found:
                yield f"the database: {name} is missing"
            elif found[name] not in texts:
                yield f"the database: {name} is not what the ledger declares"
        for name in found.keys() - expected.keys():
            if name.startswith(("trigger", "view")):
                yield f"the database: {name} is no part of the ledger"

    def close(self) -> None:
        """Close the file; the last one out folds the WAL back in."""
        self._connection.close()

    def _many(self, cursor: sqlite3.Cursor, size: int) -> list[Row]:
        self._connection.text_factory = str
        try:
            return cursor.fetchmany(size)
        finally:
            self._connection.text_factory = _text

    @contextmanager
    def _transaction(self, begin: str) -> Generator[None]:
        self.execute(begin)
        try:
            yield
            self.execute("commit")
        finally:
            if self._connection.in_transaction:
                self._connection.rollback()

    def _use_wal(self, wait_s: float) -> None:
        """Switch to WAL once. SQLite does not wait for its lock here by itself, so two creators may clash."""
        deadline = time.monotonic() + wait_s
        while True:
            try:
                if self._connection.execute("pragma journal_mode").fetchone() != ("wal",):
                    self._connection.execute("pragma journal_mode = wal")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise ContractError(str(error), where=f"ledger {self.where}") from error
        except (sqlite3.Error, UnicodeDecodeError) as error:  # a damaged file's messages need not be UTF-8
            raise self._error(error) from error

    def _error(self, error: sqlite3.Error | UnicodeDecodeError) -> WeaverForgeError:
        if "locked" in str(error):
            return StoreBusy("another process holds the ledger", where=self.where, do="Try again when it is done")
        if "full" in str(error):
            return StoreFull(
                "there is no room left for the ledger", where=self.where, do="Make room: nothing was added"
            )
        return SourceError(f"the ledger cannot be used: {error}", where=self.where, do="Check file and disk")


def declared(schema: Schema) -> dict[str, set[str]]:
    """What the catalogue of a ledger may say: made new, or brought forward from any older version."""
    texts: dict[str, set[str]] = {}
    for first in range(1, schema.version + 1):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            for statement in ddl.create(replace(schema, version=first), "sqlite"):
                connection.execute(statement)
            for version in range(first + 1, schema.version + 1):
                for statement in ddl.migrate(replace(schema, version=version), version, "sqlite"):
                    connection.execute(statement)
            for name, sql in connection.execute(_CATALOGUE):
                texts.setdefault(name, set()).add(sql)
    return texts


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
