"""The proof that one row is under a daily root, which a third party can check without the ledger or this program.

``docs/ledger.md`` has the ten lines of Python that check one.
"""

from typing import TYPE_CHECKING, Any

from weaver_forge.errors import LedgerBroken, UsageError
from weaver_forge.ledger import merkle, roots
from weaver_forge.ledger.canonical import link_text, row_text, text_sha256
from weaver_forge.ledger.chain import MERKLE_SINCE, rows_sha256
from weaver_forge.ledger.schema import CHAIN, ROW_SHA256, LedgerTable

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading


def prove(ledger: "Reading", kind: str, key: str) -> dict[str, Any]:
    """The way from a row to the root of its day.

    Returns:
        ``kind``, ``id``; ``row``, the text that is hashed; ``row_path``, from its hash to ``rows_sha256`` in
        ``link`` (``row_hashes``, all of the batch, where the row is of schema version 1); ``link``, the text that is
        hashed; ``link_path``, from its hash to ``merkle_root``; ``day`` of that root.

    Raises:
        UsageError: If there is no such row, or the day of its batch has not ended.
        LedgerBroken: If the row is not the one that its link covers.
    """
    table = ledger.table(kind)
    with ledger.one_view():
        values = _row(ledger, table, key)
        link = _link(ledger, values["batch_seq"])
        root = roots.covering(ledger.select, link["batch_seq"])
        if root is None:
            raise UsageError(
                f"batch {link['batch_seq']} is under no daily root yet", where=f"ledger {kind} {key}",
                do="Roots are made when a day has ended: ask again tomorrow",
            )  # fmt: skip
        beside = [row[0] for row in ledger.select(
            f'select row_sha256 from "{kind}" where batch_seq = :b order by position',  # noqa: S608 - our own name
            {"b": link["batch_seq"]},
        )]  # fmt: skip
        hashes = [row[0] for row in ledger.select(
            "select hash from chain where batch_seq between :first and :last order by batch_seq",
            {"first": root.first_batch, "last": root.last_batch},
        )]  # fmt: skip
    hashed = table.hashed(link["schema_version"])
    row = row_text(hashed, [values[column.name] for column in hashed])
    place, version = values["position"], link["schema_version"]
    linked = link_text(link)
    link_place = link["batch_seq"] - root.first_batch
    if (
        text_sha256(row) != values[ROW_SHA256] or beside[place] != values[ROW_SHA256]
        or rows_sha256(beside, version) != link["rows_sha256"] or text_sha256(linked) != hashes[link_place]
        or merkle.root(hashes) != root.merkle_root
    ):  # fmt: skip
        raise LedgerBroken(
            "the row, its link and its root do not fit together", where=f"ledger {kind} {key}",
            do="Run `weaver-forge ledger verify`: it names what was changed",
        )  # fmt: skip
    way = {"row_path": merkle.path(beside, place)} if version >= MERKLE_SINCE else {"row_hashes": beside}
    return {
        "kind": kind, "id": key, "row": row, **way, "link": linked,
        "link_path": merkle.path(hashes, link_place), "merkle_root": root.merkle_root, "day": root.day,
    }  # fmt: skip


def _row(ledger: "Reading", table: LedgerTable, key: str) -> dict[str, Any]:
    names = [column.name for column in table.stored]
    listed = ", ".join(f'"{name}"' for name in names)
    found = ledger.select(f'select {listed} from "{table.kind}" where "{table.key}" = :id', {"id": key})  # noqa: S608 - our own names
    if not found:
        raise UsageError("there is no such row", where=f"ledger {table.kind} {key}", do="Give the whole id")
    return dict(zip(names, found[0], strict=True))


def _link(ledger: "Reading", batch_seq: int) -> dict[str, Any]:
    names = [column.name for column in CHAIN]
    listed = ", ".join(f'"{name}"' for name in names)
    found = ledger.select(f"select {listed} from chain where batch_seq = :b", {"b": batch_seq})  # noqa: S608 - our own names
    if not found:
        raise LedgerBroken(
            "no link covers the row", where=f"ledger, batch {batch_seq}", do="Run `weaver-forge ledger verify`"
        )
    return dict(zip(names, found[0], strict=True))
