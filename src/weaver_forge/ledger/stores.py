"""The one small protocol behind which both databases stand: ``sqlite_store`` and ``postgres_store``.

Everything above it is plain SQL text with ``:named`` parameters. SQLite does not go through
SQLAlchemy because importing it costs 0.28 s of the gate's 0.5 s (docs/decisions/0002).
Put no SQL of the ledger's own tables here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from weaver_forge.errors import ConfigurationError
from weaver_forge.ledger.ddl import Dialect
from weaver_forge.ledger.schema import Schema

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

    def batches(self, sql: str, parameters: Mapping[str, Any] | None = None, *, size: int) -> Iterator[list[Row]]:
        """The rows of a query, ``size`` at a time, within ``read``."""

    def damage(self, schema: Schema) -> Iterator[str]:
        """What is wrong with the database itself, in words: its pages, its tables' declarations, its guards."""

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
        from weaver_forge.ledger.sqlite_store import SqliteStore

        return SqliteStore(rest.removeprefix("/") or ":memory:", create=create)
    if scheme.split("+")[0] == "postgresql":
        from weaver_forge.ledger.postgres_store import PostgresStore  # loads SQLAlchemy

        return PostgresStore(url)
    raise ConfigurationError(
        f"the ledger cannot be kept in {scheme or url!r}",
        where="[ledger] url",
        do="Write sqlite:///PATH or postgresql://USER@HOST/DATABASE",
    )
