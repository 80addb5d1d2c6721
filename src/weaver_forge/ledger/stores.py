"""The two databases behind one small protocol: stdlib sqlite3, and SQLAlchemy Core for PostgreSQL.

Everything above this module is plain SQL text with ``:named`` parameters. SQLite does not go through
SQLAlchemy because importing it costs 0.28 s of the gate's 0.5 s (docs/decisions/0002).
Put no SQL of the ledger's own tables here.
"""

import sqlite3
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from weaver_forge.errors import (
    ConfigurationError,
    ContractError,
    MissingInput,
    SourceError,
    StoreBusy,
    WeaverForgeError,
)
from weaver_forge.ledger.ddl import Dialect

if TYPE_CHECKING:
    import sqlalchemy

Row = tuple[Any, ...]

WAIT_S = 30.0
"""How long an append waits for the one before it."""


class Store(Protocol):
    """One connection to a ledger's database."""

    dialect: Dialect
    where: str

    def write(self) -> Any:
        """Context manager: a transaction that holds the head lock, so that appends come one at a time."""

    def read(self) -> Any:
        """Context manager: a transaction in which every query sees the same state."""

    def has_table(self, name: str) -> bool:
        """Tell whether the table exists."""

    def execute(self, sql: str) -> None:
        """Run one statement that returns nothing."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows; values in the order of the columns."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """All rows of a query."""

    def stream(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Iterator[Row]:
        """The rows of a query one by one, within ``read``; memory does not grow with their number."""

    def close(self) -> None:
        """Let go of the connection."""


def open_store(url: str, *, create: bool) -> Store:
    """Connect to ``sqlite:///PATH`` or ``postgresql://...``.

    Raises:
        ConfigurationError: If the URL names another database.
        MissingInput: If the SQLite file is not there and may not be created.
        SourceError: If the database cannot be reached.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator:
        return SqliteStore(rest.removeprefix("/") or ":memory:", create=create)
    if scheme.split("+")[0] == "postgresql":
        return PostgresStore(url)
    raise ConfigurationError(
        f"the ledger cannot be kept in {scheme or url!r}",
        where="[ledger] url",
        do="Write sqlite:///PATH or postgresql://USER@HOST/DATABASE",
    )


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
            # Bytes that somebody made invalid must reach verify as a wrong hash, not as a decoding error.
            self._connection.text_factory = _text
            self._use_wal(wait_s)
            self._connection.execute("pragma synchronous = full")

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

    def close(self) -> None:
        """Close the file; the last one out folds the WAL back in."""
        self._connection.close()

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
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _error(self, error: sqlite3.Error) -> WeaverForgeError:
        if "locked" in str(error):
            return StoreBusy("another process holds the ledger", where=self.where, do="Try again when it is done")
        return SourceError(f"the ledger cannot be used: {error}", where=self.where, do="Check file and disk")


class PostgresStore:
    """A server by URL; the tables stand in a schema of their own, ``weaver_forge``."""

    dialect: Dialect = "postgresql"

    # "WForge" as a number: the one advisory lock that every append takes.
    _HEAD_LOCK = 0x57_46_6F_72_67_65

    def __init__(self, url: str) -> None:
        import sqlalchemy

        self._sql = sqlalchemy
        parsed = sqlalchemy.make_url(url)
        self.where = parsed.render_as_string(hide_password=True)
        with self._errors():
            engine = sqlalchemy.create_engine(parsed, poolclass=sqlalchemy.NullPool)
            self._connection = engine.connect()
            with self._connection.begin():
                self.execute("select pg_advisory_xact_lock(:lock)", {"lock": self._HEAD_LOCK})
                self.execute("create schema if not exists weaver_forge")
                self.execute("set search_path to weaver_forge")

    @contextmanager
    def write(self) -> Generator[None]:
        """Hold the advisory lock until commit. Read committed, so the head is seen after the wait."""
        with self._errors(), self._connection.begin():
            self.execute("select pg_advisory_xact_lock(:lock)", {"lock": self._HEAD_LOCK})
            yield

    @contextmanager
    def read(self) -> Generator[None]:
        """A snapshot of the whole transaction."""
        with self._errors(), self._connection.begin():
            self.execute("set transaction isolation level repeatable read read only")
            yield

    def has_table(self, name: str) -> bool:
        """Ask the catalogue for the table in our schema."""
        sql = "select 1 from pg_tables where schemaname = 'weaver_forge' and tablename = :n"
        return bool(self.query(sql, {"n": name}))

    def execute(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run one statement."""
        with self._begun():
            self._connection.execute(self._sql.text(sql), dict(parameters or {}))

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows, many to a statement (an insert construct is what SQLAlchemy batches)."""
        if not rows:  # an insert construct without parameters would add a row of nulls
            return
        target = self._sql.table(table, *(self._sql.column(name) for name in columns))
        with self._begun():
            self._connection.execute(target.insert(), [dict(zip(columns, row, strict=True)) for row in rows])

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """All rows of a query."""
        with self._begun():
            result = self._connection.execute(self._sql.text(sql), dict(parameters or {}))
            return [tuple(row) for row in result]

    def stream(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Iterator[Row]:
        """Rows through a server-side cursor, 2,000 at a time."""
        statement = self._sql.text(sql).execution_options(yield_per=2000)
        with self._errors():
            for row in self._connection.execute(statement, dict(parameters or {})):
                yield tuple(row)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    @contextmanager
    def _begun(self) -> Generator[None]:
        """Within the transaction that is open, else in one of its own, so that none is left open."""
        with self._errors():
            if self._connection.in_transaction():
                yield
            else:
                with self._connection.begin():
                    yield

    @contextmanager
    def _errors(self) -> Generator[None]:
        exceptions = self._sql.exc
        try:
            yield
        except exceptions.IntegrityError as error:
            raise ContractError(str(error.orig), where=f"ledger {self.where}") from error
        except (exceptions.SQLAlchemyError, ImportError) as error:
            raise self._error(error) from error

    def _error(self, error: "sqlalchemy.exc.SQLAlchemyError | ImportError") -> WeaverForgeError:
        if isinstance(error, ImportError):
            return ConfigurationError(
                f"no PostgreSQL driver: {error}", where=self.where, do="Install weaver-forge[scale]"
            )
        reason = str(getattr(error, "orig", None) or error).strip()
        return SourceError(
            f"the ledger cannot be used: {reason}", where=self.where, do="Check the server and [ledger] url"
        )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
