"""How a table of the ledger is declared: columns, kinds, versions. No table stands here, and no database is touched.

The tables are in :mod:`weaver_forge.ledger.tables_record` and :mod:`weaver_forge.ledger.tables_autonomy`; ``schema``
puts them together.
"""

from dataclasses import dataclass, field

from weaver_forge.contracts.table import Column

TYPES = ("VARCHAR", "DOUBLE", "BIGINT", "BOOLEAN", "TIMESTAMP", "JSON")


@dataclass(frozen=True, slots=True)
class LedgerColumn(Column):
    """A column and the schema version that brought it. Types are :data:`TYPES`."""

    since: int = 1

    def __post_init__(self) -> None:
        """Refuse a type the canonical form does not know, and a later column that old rows cannot have."""
        if self.type not in TYPES:
            raise ValueError(f"{self.name}: type {self.type!r} is not one of {TYPES}")
        if self.since > 1 and not self.nullable:
            raise ValueError(f"{self.name}: a column added later must be nullable")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTable:
    """One kind of row.

    Args:
        kind: The table's name, and the word ``append`` takes.
        grain: What one row is.
        key: The column that identifies a row; made by ``append`` where a row comes without.
        columns: The kind's own columns, after :data:`STAMPS`.
        idempotent_by: Columns that are unique together; a row whose values are known adds nothing, whatever else it
            says. Where it is empty, a row whose key is known adds nothing if it says the same, and is refused if not.
        indexes: Column lists that queries look rows up by.
        since: The schema version that brought the table; its columns say a version of their own only if later.
        later_indexes: Schema version and column list of each index that came after the table.
    """

    kind: str
    grain: str
    key: str
    columns: tuple[LedgerColumn, ...]
    idempotent_by: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    since: int = 1
    later_indexes: tuple[tuple[int, tuple[str, ...]], ...] = ()
    names: frozenset[str] = field(init=False, repr=False, compare=False)
    """Names of the kind's own columns."""

    def __post_init__(self) -> None:
        """Look the names up once: every row that is appended asks for them."""
        object.__setattr__(self, "names", frozenset(column.name for column in self.columns))

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that tell whether a row is there already."""
        return self.idempotent_by or (self.key,)

    @property
    def stored(self) -> tuple[LedgerColumn, ...]:
        """All columns of the table in the database, in order."""
        return (*STAMPS, *self.columns)

    def hashed(self, version: int) -> tuple[LedgerColumn, ...]:
        """The columns that a row of this schema version is hashed over, in order."""
        return tuple(c for c in self.stored if c.since <= version and c.name != ROW_SHA256)


@dataclass(frozen=True, slots=True)
class Schema:
    """A version of the whole ledger: what ``append`` writes and ``verify`` knows."""

    version: int
    tables: tuple[LedgerTable, ...]

    @property
    def present(self) -> tuple[LedgerTable, ...]:
        """The tables that a ledger of this version has."""
        return tuple(table for table in self.tables if table.since <= self.version)

    def table(self, kind: str) -> LedgerTable:
        """The table of a kind.

        Raises:
            KeyError: If there is no such kind.
        """
        for table in self.present:
            if table.kind == kind:
                return table
        raise KeyError(f"no ledger table {kind!r}; there are {[t.kind for t in self.present]}")


def text(name: str, doc: str, *, nullable: bool = False, since: int = 1) -> LedgerColumn:
    """A column of text."""
    return LedgerColumn(name, "VARCHAR", doc, nullable, since=since)


def real(name: str, doc: str, *, nullable: bool = True, since: int = 1) -> LedgerColumn:
    """A column of doubles, null unless said otherwise: what cannot be measured is null."""
    return LedgerColumn(name, "DOUBLE", doc, nullable, since=since)


def count(name: str, doc: str, *, nullable: bool = False, since: int = 1) -> LedgerColumn:
    """A column of whole numbers."""
    return LedgerColumn(name, "BIGINT", doc, nullable, since=since)


def flag(name: str, doc: str, *, nullable: bool = False, since: int = 1) -> LedgerColumn:
    """A column of booleans."""
    return LedgerColumn(name, "BOOLEAN", doc, nullable, since=since)


def instant(name: str, doc: str, *, nullable: bool = False, since: int = 1) -> LedgerColumn:
    """A column of instants, UTC."""
    return LedgerColumn(name, "TIMESTAMP", doc, nullable, since=since)


def json(name: str, doc: str, *, nullable: bool = False, since: int = 1) -> LedgerColumn:
    """A column of lists or objects."""
    return LedgerColumn(name, "JSON", doc, nullable, since=since)


ROW_SHA256 = "row_sha256"

STAMPS: tuple[LedgerColumn, ...] = (
    count("batch_seq", "The chain link that covers the row."),
    count("position", "0-based place in the batch."),
    instant("recorded_at", "When the ledger took it in, UTC."),
    count("schema_version", "Version of the ledger's schema whose columns the hash covers."),
    text(ROW_SHA256, "Hex SHA-256 of the canonical row; lets verify name the row."),
)
