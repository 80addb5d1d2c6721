"""Finding what does not fit among the rows of one table: they are merged with the links of their kind.

Put here what is checked of a row or a batch. Links, roots and the database itself are in ``verifying``.
"""

import operator
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from weaver_forge.ledger.canonical import row_sha256
from weaver_forge.ledger.chain import rows_sha256
from weaver_forge.ledger.schema import ROW_SHA256, LedgerTable
from weaver_forge.ledger.stores import Row, Store

SHOWN = 100
"""Findings that are put in words; one wrong byte can break every link after it."""


class Findings:
    """What does not hold, in words, and how often."""

    def __init__(self) -> None:
        """Nothing was found yet."""
        self.count = 0
        self._shown: list[str] = []

    def add(self, finding: str) -> None:
        """Note something."""
        self.count += 1
        if self.count <= SHOWN:
            self._shown.append(finding)

    def words(self) -> list[str]:
        """All that is put in words, and how many are not."""
        rest = self.count - len(self._shown)
        return [*self._shown, f"... and {rest} more"] if rest else self._shown


def check_table(store: Store, table: LedgerTable, version: int, findings: Findings) -> int:
    """Merge the table's rows with the links of its kind, both in the order of batches."""
    columns = [column for column in table.stored if column.since <= version]
    names = [column.name for column in columns]
    rows = _Counted(store.stream(select(table.kind, names, order='"batch_seq", "position"')))
    batches = _Batches(
        store.stream(
            "select batch_seq, n_rows, schema_version, rows_sha256 from chain where kind = :kind order by batch_seq",
            {"kind": table.kind},
        )
    )
    check = _BatchCheck(table, names, version, findings)
    for seq, group in groupby(rows, key=operator.itemgetter(0)):
        for link in batches.before(seq):
            findings.add(f"{table.kind}, batch {link[0]}: all {link[1]!r} rows were removed")
        link_here = batches.at(seq)
        if link_here is None:
            for row in group:
                findings.add(f"{check.place(row)}: no link covers it: it was added")
        else:
            check.rows(link_here, group)
    for link in batches.rest():
        findings.add(f"{table.kind}, batch {link[0]!r}: all {link[1]!r} rows were removed")
    return rows.count


class _Counted:
    def __init__(self, rows: Iterator[Row]) -> None:
        self.count = 0
        self._rows = rows

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


class _Batches:
    """The links of a kind, taken in step with its rows."""

    def __init__(self, links: Iterator[Row]) -> None:
        self._links = links
        self._next = next(links, None)

    def before(self, seq: Any) -> Iterator[Row]:
        while self._next is not None and _earlier(self._next[0], seq):
            yield self._take()

    def at(self, seq: Any) -> Row | None:
        return self._take() if self._next is not None and self._next[0] == seq else None

    def rest(self) -> Iterator[Row]:
        while self._next is not None:
            yield self._take()

    def _take(self) -> Row:
        taken, self._next = self._next, next(self._links, None)
        assert taken is not None
        return taken


def _earlier(left: Any, right: Any) -> bool:
    """Numbers sort before anything else that somebody may have put in their place."""
    if isinstance(left, int) and isinstance(right, int):
        return left < right
    return isinstance(left, int) and not isinstance(right, int)


class _BatchCheck:
    """Compares the rows of one batch with its link."""

    def __init__(self, table: LedgerTable, names: Sequence[str], version: int, findings: Findings) -> None:
        self._table, self._findings, self._version = table, findings, version
        self._at = {name: place for place, name in enumerate(names)}
        self._hashed = {v: table.hashed(v) for v in range(1, version + 1)}

    def place(self, row: Row) -> str:
        """Where a row stands, in words."""
        key = row[self._at[self._table.key]]
        batch, position = row[self._at["batch_seq"]], row[self._at["position"]]
        return f"{self._table.kind}, batch {batch!r}, row {position!r} ({self._table.key} {key!r})"

    def rows(self, link: Row, rows: Iterator[Row]) -> None:
        """Check a batch; every finding names the row, or the batch where no single row can be named."""
        seq, n_rows, version, expected_hash = link
        before, position, hashes = self._findings.count, 0, []
        for row in rows:
            found = row[self._at["position"]]
            if found != position:
                self._findings.add(f"{self.place(row)}: expected row {position}: one was removed or moved")
                position = found if isinstance(found, int) else position
            hashes.append(self._row_hash(row, version))
            position += 1
        if len(hashes) != n_rows:
            change = "removed" if isinstance(n_rows, int) and len(hashes) < n_rows else "added"
            self._findings.add(
                f"{self._table.kind}, batch {seq}: {len(hashes)} rows where the link covers {n_rows!r}: {change}"
            )
        if self._findings.count == before and rows_sha256(hashes, version) != expected_hash:
            self._findings.add(
                f"{self._table.kind}, batch {seq}: its rows are not those that were hashed: "
                "rows and their own hashes, or the link, were changed"
            )

    def _row_hash(self, row: Row, version: Any) -> str:
        hashed = self._hashed.get(version) if isinstance(version, int) else None
        if hashed is None:
            self._findings.add(f"{self.place(row)}: schema version {version!r} is not known")
            return ""
        computed = row_sha256(hashed, [row[self._at[column.name]] for column in hashed])
        if computed != row[self._at[ROW_SHA256]]:
            self._findings.add(f"{self.place(row)}: was changed")
        for column in self._table.columns:
            if version < column.since <= self._version and row[self._at[column.name]] is not None:
                self._findings.add(f"{self.place(row)}: {column.name} came later and must be empty")
        return computed


def select(table: str, names: Iterable[str], *, order: str) -> str:
    """A query for these columns of a whole table."""
    # Qualified by an alias: SQLite reads a quoted name that is no column as a piece of text.
    listed = ", ".join(f'r."{name}"' for name in names)
    return f'select {listed} from "{table}" r order by {order}'  # noqa: S608 - names come from schema.py
