"""The hash chain: making a link, and finding everything that does not fit one.

What the chain alone cannot show is a ledger cut off after a whole batch, or replaced by an older copy of
itself: every link left is genuine. Keep ``Verification.head`` somewhere else and hand it back as ``known``.
"""

import hashlib
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from weaver_forge.errors import SourceError
from weaver_forge.ledger.canonical import link_sha256, row_sha256
from weaver_forge.ledger.schema import CHAIN, ROW_SHA256, LedgerTable, Schema
from weaver_forge.ledger.stores import Row, Store

GENESIS = "0" * 64
"""What the first link names as the hash before it."""

SHOWN = 100
"""Findings that are put in words; one wrong byte can break every link after it."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link: enough to notice later that the ledger was cut off or replaced."""

    batch_seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What verify found.

    Args:
        ok: Every row is covered by a link and every link follows from the one before.
        n_batches: Links read.
        n_rows: Rows read.
        broken: What does not hold, in words: table, batch, row. At most :data:`SHOWN`, then a count.
        head: The newest link; None for an empty ledger.
    """

    ok: bool
    n_batches: int
    n_rows: int
    broken: list[str]
    head: Head | None


def rows_sha256(row_hashes: Iterable[str]) -> str:
    """Hash of a batch: over its rows' hashes, in order."""
    digest = hashlib.sha256()
    for row_hash in row_hashes:
        digest.update(row_hash.encode("ascii"))
    return digest.hexdigest()


def head_of(store: Store) -> Head | None:
    """The newest link."""
    rows = store.query("select batch_seq, hash from chain order by batch_seq desc limit 1")
    return Head(*rows[0]) if rows else None


def make_link(
    head: Head | None, *, kind: str, row_hashes: Sequence[str], recorded_at: str, version: int
) -> dict[str, Any]:
    """The link after ``head`` that covers rows with these hashes."""
    link: dict[str, Any] = {
        "batch_seq": (head.batch_seq if head else 0) + 1,
        "kind": kind,
        "n_rows": len(row_hashes),
        "schema_version": version,
        "recorded_at": recorded_at,
        "rows_sha256": rows_sha256(row_hashes),
        "previous_hash": head.hash if head else GENESIS,
    }
    return {**link, "hash": link_sha256(link)}


def verify(store: Store, schema: Schema, *, known: Head | None = None) -> Verification:
    """Read the whole ledger once, in one consistent view, and compare it with its chain.

    Args:
        store: The database.
        schema: The version it should have.
        known: A head kept elsewhere; its link must still be there, unchanged.
    """
    findings = _Findings()
    n_batches, n_rows, head = 0, 0, None
    try:
        with store.read():
            _check_version(store, schema, findings)
            n_batches, head = _check_links(store, schema, known, findings)
            for table in schema.present:
                n_rows += _check_table(store, table, schema.version, findings)
    except SourceError as error:
        findings.add(f"the ledger cannot be read to its end: {error.what}")
    return Verification(ok=not findings.count, n_batches=n_batches, n_rows=n_rows, broken=findings.words(), head=head)


class _Findings:
    def __init__(self) -> None:
        self.count = 0
        self._shown: list[str] = []

    def add(self, finding: str) -> None:
        self.count += 1
        if self.count <= SHOWN:
            self._shown.append(finding)

    def words(self) -> list[str]:
        rest = self.count - len(self._shown)
        return [*self._shown, f"... and {rest} more"] if rest else self._shown


def _check_version(store: Store, schema: Schema, findings: _Findings) -> None:
    versions = [row[0] for row in store.query("select version from schema_version order by version")]
    if versions != list(range(1, schema.version + 1)):
        findings.add(f"schema_version: holds {versions!r}, expected 1 to {schema.version}")


def _check_links(store: Store, schema: Schema, known: Head | None, findings: _Findings) -> tuple[int, Head | None]:
    names = [column.name for column in CHAIN]
    kinds = {table.kind for table in schema.present}
    n, expected, previous, seen = 0, 1, GENESIS, known is None
    head: Head | None = None
    for row in store.stream(_select("chain", names, order='"batch_seq"')):
        link = dict(zip(names, row, strict=True))
        n += 1
        batch = f"chain, batch {link['batch_seq']!r}"
        if link["batch_seq"] != expected:
            findings.add(f"{batch}: expected batch {expected}: a link was removed, added or reordered")
        if isinstance(link["batch_seq"], int):
            expected = link["batch_seq"] + 1
        if link["previous_hash"] != previous:
            findings.add(f"{batch}: does not follow from the link before it")
        if link["hash"] != link_sha256(link):
            findings.add(f"{batch}: the link was changed")
        if link["kind"] not in kinds:
            findings.add(f"{batch}: covers {link['kind']!r}, which this ledger does not have")
        seen = seen or (known is not None and Head(link["batch_seq"], link["hash"]) == known)
        previous = link["hash"]
        head = Head(link["batch_seq"], previous)
    if not seen and known is not None:
        findings.add(f"chain, batch {known.batch_seq}: the head {known.hash[:12]}... noted earlier is not there")
    return n, head


def _check_table(store: Store, table: LedgerTable, version: int, findings: _Findings) -> int:
    """Merge the table's rows with the links of its kind, both in the order of batches."""
    columns = [column for column in table.stored if column.since <= version]
    names = [column.name for column in columns]
    rows = _Counted(store.stream(_select(table.kind, names, order='"batch_seq", "position"')))
    batches = _Batches(
        store.stream(
            "select batch_seq, n_rows, schema_version, rows_sha256 from chain where kind = :kind order by batch_seq",
            {"kind": table.kind},
        )
    )
    check = _BatchCheck(table, names, version, findings)
    for seq, group in groupby(rows, key=operator.itemgetter(0)):
        for link in batches.before(seq):
            findings.add(f"{table.kind}, batch {link[0]}: all {link[1]} rows were removed")
        link_here = batches.at(seq)
        if link_here is None:
            for row in group:
                findings.add(f"{check.place(row)}: no link covers it: it was added")
        else:
            check.rows(link_here, group)
    for link in batches.rest():
        findings.add(f"{table.kind}, batch {link[0]!r}: all {link[1]} rows were removed")
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

    def __init__(self, table: LedgerTable, names: Sequence[str], version: int, findings: _Findings) -> None:
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
            change = "removed" if len(hashes) < n_rows else "added"
            self._findings.add(
                f"{self._table.kind}, batch {seq}: {len(hashes)} rows where the link covers {n_rows}: {change}"
            )
        if self._findings.count == before and rows_sha256(hashes) != expected_hash:
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


def _select(table: str, names: Iterable[str], *, order: str) -> str:
    # Qualified by an alias: SQLite reads a quoted name that is no column as a piece of text.
    listed = ", ".join(f'r."{name}"' for name in names)
    return f'select {listed} from "{table}" r order by {order}'  # noqa: S608 - names come from schema.py
