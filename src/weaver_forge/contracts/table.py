"""What a table is: columns, types, units, keys and grain as data.

DDL, Dagster asset keys, blocking asset checks, casts and ``docs/tables.md`` are all made from
these values. Put the declaration of one concrete table in ``contracts/tables/``.
"""

from dataclasses import dataclass
from typing import Literal

Layer = Literal["raw", "core", "feat", "pred"]

MONEY = "DECIMAL(38, 15)"
"""FOCUS exports carry up to 14 decimal places; sums must be exact."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its DuckDB type, and in words its meaning, its unit and when it is null."""

    name: str
    type: str
    doc: str
    nullable: bool = False

    @property
    def ddl(self) -> str:
        """The column as a line of ``create table``."""
        return f'"{self.name}" {self.type}' + ("" if self.nullable else " not null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table. Its name and its asset key are computed: ``{layer}_{source}__{entity}``.

    Args:
        grain: What one row is, as a noun phrase.
        key: Columns that identify a row; unique, never null.
        day_column: The UTC timestamp whose date is the daily partition; None for tables that are not daily.
        replace_by: Columns whose value set is replaced as a whole on write (a restated billing period);
            empty for append-only tables, in which a row with a known key adds nothing.
        newest_by: Column, or columns from the first to the last that decides, that order the reports on one row:
            one that is older than the stored row changes nothing (webhooks come late, twice and out of order). A
            null is older than any value; of equals the one that comes last holds. Needs ``replace_by`` to be the key.
        view: The table is a view that the warehouse makes; no DDL, no writes.
    """

    layer: Layer
    source: str
    entity: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    day_column: str | None = None
    replace_by: tuple[str, ...] = ()
    newest_by: str | tuple[str, ...] = ()
    view: bool = False

    def __post_init__(self) -> None:
        """Refuse a key, partition, replacement or ordering column that is not declared."""
        names = set(self.column_names)
        unknown = {*self.key, *self.replace_by, *self.newest_by_columns, *filter(None, [self.day_column])} - names
        if unknown or len(names) != len(self.columns):
            raise ValueError(f"{self.name}: undeclared or repeated columns: {sorted(unknown) or 'repeated'}")
        if self.newest_by and self.replace_by != self.key:
            raise ValueError(f"{self.name}: newest_by orders reports on one row, so replace_by must be the key")

    @property
    def name(self) -> str:
        """The table's name, which is also its asset key."""
        return f"{self.layer}_{self.source}__{self.entity}"

    @property
    def group(self) -> str:
        """The Dagster group the asset stands in."""
        return f"{self.layer}_{self.source}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in declared order."""
        return tuple(column.name for column in self.columns)

    @property
    def newest_by_columns(self) -> tuple[str, ...]:
        """What orders the reports on one row, the most important first; empty when the last to come holds."""
        return (self.newest_by,) if isinstance(self.newest_by, str) else self.newest_by

    @property
    def ddl(self) -> str:
        """``create table`` for DuckDB. No primary key: it costs five to nine times the insert (measured)."""
        body = ",\n  ".join(column.ddl for column in self.columns)
        return f'create table if not exists "{self.name}" (\n  {body}\n)'
