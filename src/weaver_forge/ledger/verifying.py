"""Reading a whole ledger and finding everything that does not fit: the database, its links, its roots, its rows.

One consistent view, one pass over the links and one over each table; memory does not grow with their number. Put
what is checked of rows in ``checking_rows``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from weaver_forge.errors import SourceError
from weaver_forge.ledger import merkle, roots
from weaver_forge.ledger.canonical import link_sha256
from weaver_forge.ledger.chain import GENESIS, Head
from weaver_forge.ledger.checking_rows import Findings, check_table, select
from weaver_forge.ledger.roots import Root
from weaver_forge.ledger.schema import CHAIN, ROOTS, Schema
from weaver_forge.ledger.stores import Store

Known = Head | Root
"""Something that was noted elsewhere and must still be there, unchanged."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What verify found.

    Args:
        ok: Every row is covered by a link, every link follows from the one before, every root is that of its links.
        n_batches: Links read.
        n_rows: Rows read.
        broken: What does not hold, in words: table, batch, row. At most ``checking_rows.SHOWN``, then a count.
        head: The newest link; None for an empty ledger.
        n_roots: Daily roots read.
    """

    ok: bool
    n_batches: int
    n_rows: int
    broken: list[str]
    head: Head | None
    n_roots: int = 0


def verify(store: Store, schema: Schema, *, known: Iterable[Known] = ()) -> Verification:
    """Read the whole ledger once, in one consistent view, and compare it with its chain.

    Args:
        store: The database.
        schema: The version it should have.
        known: Heads and daily roots kept elsewhere; each must still be there, unchanged.
    """
    findings = Findings()
    walk = _Links(schema, findings)
    n_rows = 0
    try:
        with store.read():
            _check_database(store, schema, findings)
            walk.over(store)
            for table in schema.present:
                n_rows += check_table(store, table, schema.version, findings)
            _check_known(store, walk, known, findings)
    except SourceError as error:
        findings.add(f"the ledger cannot be read to its end: {error.what}")
    return Verification(
        ok=not findings.count, n_batches=walk.count, n_rows=n_rows, broken=findings.words(), head=walk.head,
        n_roots=len(walk.roots),
    )  # fmt: skip


def _check_database(store: Store, schema: Schema, findings: Findings) -> None:
    for finding in store.damage(schema):
        findings.add(finding)
    versions = [row[0] for row in store.query("select version from schema_version order by version")]
    if versions != list(range(1, schema.version + 1)):
        findings.add(f"schema_version: holds {versions!r}, expected 1 to {schema.version}")


class _Links:
    """The pass over the links, and with it over the daily roots, which cover them without a gap."""

    def __init__(self, schema: Schema, findings: Findings) -> None:
        self.count = 0
        self.head: Head | None = None
        self.roots: list[Root] = []
        self._findings = findings
        self._kinds = {table.kind for table in schema.present}
        self._has_roots = ROOTS in schema.present
        self._expected, self._previous = 1, GENESIS

    def over(self, store: Store) -> None:
        """Read them all."""
        names = [column.name for column in CHAIN]
        self.roots = roots.recorded(store.query) if self._has_roots else []
        covers = _Covers(self.roots, self._findings)
        for row in store.stream(select("chain", names, order='"batch_seq"')):
            link = dict(zip(names, row, strict=True))
            self.count += 1
            computed = link_sha256(link)
            self._check(link, computed)
            covers.link(link, computed)
            self._previous = link["hash"]
            self.head = Head(link["batch_seq"], link["hash"])
        covers.end()

    def _check(self, link: dict[str, Any], computed: str) -> None:
        batch = f"chain, batch {link['batch_seq']!r}"
        if link["batch_seq"] != self._expected:
            self._findings.add(f"{batch}: expected batch {self._expected}: a link was removed, added or reordered")
        if isinstance(link["batch_seq"], int):
            self._expected = link["batch_seq"] + 1
        if link["previous_hash"] != self._previous:
            self._findings.add(f"{batch}: does not follow from the link before it")
        if link["hash"] != computed:
            self._findings.add(f"{batch}: the link was changed")
        if link["kind"] not in self._kinds:
            self._findings.add(f"{batch}: covers {link['kind']!r}, which this ledger does not have")


class _Covers:
    """Makes each root again from the links that pass by, and compares it with the one recorded."""

    def __init__(self, recorded: list[Root], findings: Findings) -> None:
        self._waiting = iter(recorded)
        self._findings = findings
        self._last = 0
        self._next()

    def link(self, link: dict[str, Any], computed: str) -> None:
        """Take a link in; at the last one of a root, compare."""
        root = self._root
        if root is None:
            return
        self._tree.add(computed)
        self._n_rows += link["n_rows"] if isinstance(link["n_rows"], int) else 0
        if link["batch_seq"] == root.last_batch:
            place = _place(root)
            if self._tree.root() != root.merkle_root:
                self._findings.add(f"{place}: is not the root of batches {root.first_batch} to {root.last_batch}")
            if self._n_rows != root.n_rows:
                self._findings.add(f"{place}: says {root.n_rows!r} rows where its links cover {self._n_rows}")
            self._last = link["batch_seq"]
            self._next()

    def end(self) -> None:
        """Whatever root is left covers links that are not there."""
        if self._root is not None:
            self._findings.add(
                f"{_place(self._root)}: covers batches up to {self._root.last_batch!r}, which are not there"
            )

    def _next(self) -> None:
        self._root, self._tree, self._n_rows = next(self._waiting, None), merkle.Tree(), 0
        root = self._root
        if root is None:
            return
        own: Any = root.batch_seq  # somebody may put anything there
        before_own = own - 1 if isinstance(own, int) else None
        if root.first_batch != self._last + 1 or root.last_batch != before_own:
            self._findings.add(
                f"{_place(root)}: covers batches {root.first_batch!r} to {root.last_batch!r}, "
                f"expected {self._last + 1} to the one before its own"
            )


def _place(root: Root) -> str:
    return f"roots, batch {root.batch_seq!r}, row 0 (day {root.day!r})"


def _check_known(store: Store, walk: _Links, known: Iterable[Known], findings: Findings) -> None:
    """Everything noted elsewhere: what is missing here was cut off, or the ledger is another one."""
    days = {root.day: root for root in walk.roots}
    for noted in known:
        if isinstance(noted, Head):
            found = store.query("select hash from chain where batch_seq = :b", {"b": noted.batch_seq})
            if [row[0] for row in found] != [noted.hash]:
                findings.add(
                    f"chain, batch {noted.batch_seq}: the head {noted.hash[:12]}... noted earlier is not there"
                )
        elif noted.day not in days:
            findings.add(f"roots: the root of {noted.day}, {noted.merkle_root[:12]}... noted earlier, is not there")
        elif (days[noted.day].merkle_root, days[noted.day].last_batch) != (noted.merkle_root, noted.last_batch):
            findings.add(f"{_place(days[noted.day])}: is not {noted.merkle_root[:12]}..., which was noted earlier")
