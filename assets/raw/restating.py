"""Sets of rows that an input states anew (a billing period), where the input comes block after block."""

import polars as pl

from weaver_forge.contracts.table import Table
from weaver_forge.warehouse import Warehouse


class Restating:
    """The value sets that one input has stated so far.

    The first block with rows of a set takes the place of what is stored of it; later blocks of the same input add to
    that. A crash between two blocks leaves a part, which the next run states anew: the input counts as read at its end.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._stated: dict[str, pl.DataFrame] = {}

    def begin(self) -> None:
        """Begin the next input."""
        self._stated.clear()

    def write(self, table: Table, frame: pl.DataFrame) -> int:
        """Store a block; returns rows written."""
        by = list(table.replace_by)
        stated = self._stated.get(table.name, frame.select(by).clear())
        first = frame.join(stated, on=by, how="anti", nulls_equal=True, maintain_order="left")
        more = frame.join(stated, on=by, how="semi", nulls_equal=True, maintain_order="left")
        self._stated[table.name] = pl.concat([stated, first.select(by).unique()])
        written = 0
        if not first.is_empty():
            written += self._warehouse.replace(table, first)
        if not more.is_empty():
            written += self._warehouse.append(table, more)
        return written
