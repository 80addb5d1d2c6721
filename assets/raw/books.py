"""The books of one source: which inputs are known, and what was refused of them.

Put here what is read from and written to the ingest tables. Rows of the source itself are stored before the books
say so: a crash in between means that something is read again, and adds nothing.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from weaver_forge.contracts.batch import Rejected
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS, RAW_INGEST_REJECTED
from weaver_forge.sources.prefix import Known
from weaver_forge.warehouse import Warehouse

Row = dict[str, Any]

WAITING, REFUSED = "waiting", "refused"
"""States of a tail: of the bytes at a file's end that stop inside a message."""


@dataclass(frozen=True, slots=True)
class Request:
    """One input and what the caller said about it."""

    path: Path
    said: dict[str, str]

    @property
    def context(self) -> str:
        """What was said, as canonical JSON: part of the input's identity."""
        return json.dumps(self.said, sort_keys=True)

    @property
    def stamp(self) -> tuple[str, str, int | None, datetime | None]:
        """Path, context, size and modification time: a file that has not changed is not read to find that out.

        A repository has no stamp that could be trusted; it is identified by its head.
        """
        is_file = self.path.is_file()
        size = self.path.stat().st_size if is_file else None
        return str(self.path), self.context, size, self.received_at if is_file else None

    def is_other_than(self, name: str) -> bool:
        """Whether the file of this name, which has the same in it, is another one that is still there."""
        return name != str(self.path) and Path(name).exists()

    @property
    def received_at(self) -> datetime:
        """Modification time, UTC: the best arrival time that a file has."""
        return datetime.fromtimestamp(self.path.stat().st_mtime, tz=UTC).replace(tzinfo=None)


class Books:
    """What is known of a source's inputs. Written in one transaction by :meth:`write`."""

    def __init__(self, source: str, warehouse: Warehouse) -> None:
        self._source, self._warehouse = source, warehouse
        self._known: dict[tuple[str, str], Row] = {}
        self._seen: dict[tuple[Any, ...], Row] = {}
        for row in warehouse.read(RAW_INGEST_INPUTS, where=f"source = '{source}'").iter_rows(named=True):
            self._learn(row)
        self._rejected: list[Row] = []
        self._inputs: dict[tuple[str, str], Row] = {}
        self._resolved: list[str] = []
        self._shared: tuple[tuple[str, int | None], bytes | None] = (("", None), None)
        self.n_bytes_held = 0
        """Bytes of refused pieces that are noted and not written."""

    def row_of(self, sha256: str, context: str) -> Row | None:
        """The input with this content, if it was taken in, in this run too."""
        return self._inputs.get((sha256, context)) or self._known.get((sha256, context))

    def unchanged(self, request: Request) -> Row | None:
        """The input that this file was when it was last taken in, if it has not been touched since."""
        return self._seen.get(request.stamp)

    def beginnings(self, context: str) -> Iterable[Known]:
        """Beginnings of files that were taken in."""
        return (
            Known(row["bytes_taken"], row["input_sha256"], row["head_sha256"])
            for (_, said), row in chain(self._known.items(), self._inputs.items())
            if said == context and row["bytes_taken"] is not None
        )

    def note_input(self, request: Request, sha256: str, now: datetime, more: Row, *, shorter: str = "") -> None:
        """Note that an input was taken in; of one that was noted before, with what is new about it.

        Args:
            request: The input.
            sha256: Of what was taken in of it.
            now: Naive UTC.
            more: Other columns, with size_bytes and modified_at as they were before it was read; n_rows and
                n_rejected are added to those noted before.
            shorter: What was noted of the same file since the last write; its counts go over to the longer one.
        """
        context = request.context
        before = self.row_of(sha256, context) or {}
        if shorter and shorter != sha256:
            before = self._inputs.pop((shorter, context), before)
        counts = {count: before.get(count, 0) + more.get(count, 0) for count in ("n_rows", "n_rejected")}
        row: Row = {
            "source": self._source, "input_sha256": sha256, "context": context, "name": str(request.path),
            "ingested_at": now, "bytes_taken": None, "head_sha256": None, "decoded_bytes": None, "tail_bytes": None,
            "tail_state": None, **more, **counts,
        }  # fmt: skip
        self._inputs[sha256, context] = row

    def note_rejected(self, item: Rejected, sha256: str, context: str, now: datetime) -> None:
        """Note a refused piece. Of several with the same bytes (a document's) only the first holds them."""
        place = (sha256, item.offset)
        shared = item.data is not None and item.data is self._shared[1] and place == self._shared[0]
        if not shared:
            self._shared = (place, item.data)
        data = None if shared else item.data
        self.n_bytes_held += len(data or b"") + len(item.raw)
        self._rejected.append({
            "source": self._source, "input_sha256": sha256, "name": item.name, "position": item.position,
            "reason": item.reason, "raw": item.raw, "rejected_at": now, "data": data,
            "byte_offset": item.offset, "context": context,
        })  # fmt: skip

    def note_resolved(self, sha256: str) -> None:
        """Note that a refused piece was taken in after all."""
        self._resolved.append(sha256)

    def write(self, now: datetime) -> None:
        """Write everything noted, in one transaction.

        Raises:
            StoreFull: If there is no room.
        """
        if self._rejected or self._inputs:
            self._warehouse.write_together([
                (RAW_INGEST_REJECTED, from_rows(RAW_INGEST_REJECTED, self._rejected)),
                (RAW_INGEST_INPUTS, from_rows(RAW_INGEST_INPUTS, list(self._inputs.values()))),
            ])  # fmt: skip
        if self._resolved:
            with self._warehouse.writing() as con:
                for sha256 in self._resolved:
                    con.execute(
                        f"update {RAW_INGEST_REJECTED.name} set resolved_at = ?"  # noqa: S608 - a declared name
                        " where source = ? and input_sha256 = ? and resolved_at is null",
                        [now, self._source, sha256],
                    )
        for row in self._inputs.values():
            self._learn(row)
        self._rejected, self._inputs, self._resolved, self.n_bytes_held = [], {}, [], 0

    def _learn(self, row: Row) -> None:
        self._known[row["input_sha256"], row["context"]] = row
        taken = row["size_bytes"] if row["bytes_taken"] is None else row["bytes_taken"]
        if row["decoded_bytes"] is None and row["tail_bytes"]:  # a compressed file is hashed with its tail
            taken += row["tail_bytes"]
        if taken == row["size_bytes"]:  # a file whose end was not reached has to be looked at again
            self._seen[row["name"], row["context"], row["size_bytes"], row["modified_at"]] = row
