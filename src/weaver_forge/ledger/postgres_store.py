"""The ledger on a PostgreSQL server, by SQLAlchemy Core, which is loaded when the first such URL is opened.

Put no SQL of the ledger's own tables here.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from weaver_forge.errors import (
    ConfigurationError,
    ContractError,
    SourceError,
    StoreBusy,
    StoreFull,
    WeaverForgeError,
)
from weaver_forge.ledger import ddl
from weaver_forge.ledger.ddl import Dialect
from weaver_forge.ledger.schema import Schema
from weaver_forge.ledger.stores import WAIT_S, Row

if TYPE_CHECKING:
    import sqlalchemy

_BUSY = {"55P03", "40P01", "57014"}
"""SQLSTATEs: lock not available, deadlock, cancelled."""

_FULL = {"53100", "53200"}
"""SQLSTATEs: disk full, out of memory."""

_GUARDS = """
-- grain: guard that is on and refuses in our words
select t.tgname
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'weaver_forge'
join pg_proc p on p.oid = t.tgfoid and p.prosrc like :refuse
where t.tgenabled = 'O'
"""


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
                self.execute(f"set lock_timeout to {round(WAIT_S * 1000)}")
                # A server may be set to say yes before a row is on disk; to us it may not.
                self.execute("set synchronous_commit to on")

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

    def batches(self, sql: str, parameters: Mapping[str, Any] | None = None, *, size: int) -> Iterator[list[Row]]:
        """Rows through a server-side cursor, many at a time."""
        statement = self._sql.text(sql).execution_options(yield_per=size)
        with self._errors():
            for rows in self._connection.execute(statement, dict(parameters or {})).partitions():
                yield [tuple(row) for row in rows]

    def damage(self, schema: Schema) -> Iterator[str]:
        """The guards; of its pages the server takes care."""
        on = {name for (name,) in self.query(_GUARDS, {"refuse": f"%{ddl.REFUSE}%"})}
        for name in ("chain", *(table.kind for table in schema.present)):
            if f"{name}_refuse" not in on:
                yield f"the database: the guard {name}_refuse is missing, changed or off"

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
        original = getattr(error, "orig", None)
        state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)  # psycopg 3, psycopg2
        if state in _BUSY:
            return StoreBusy("another process holds the ledger", where=self.where, do="Try again when it is done")
        if state in _FULL:
            return StoreFull(
                "there is no room left for the ledger", where=self.where, do="Make room: nothing was added"
            )
        reason = str(getattr(error, "orig", None) or error).strip()
        return SourceError(
            f"the ledger cannot be used: {reason}", where=self.where, do="Check the server and [ledger] url"
        )
