"""Rows whose MAP columns hold numbers in place of texts, with the texts beside them.

A chunk of spans has half a million attributes and few distinct ones. Their decoder has them numbered, Parquet stores
them numbered; rows that stay numbered in between need no text found a second time. Put here only how such rows are
held and spelled out; nothing that computes with maps takes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

CODES = pl.List(pl.Struct({"key": pl.UInt32, "value": pl.UInt32}))
"""Of a numbered MAP(VARCHAR, VARCHAR) column."""

MAP = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))
"""Of the same column spelled out."""

Words = tuple[pl.Series, pl.Series]
"""Distinct keys and distinct values of one column; a number is a position in them."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Rows of a contract.

    Args:
        frame: Columns are the contract's, MAP columns of ``words`` as ``CODES``; a null value stays null.
        words: By column.
    """

    frame: pl.DataFrame
    words: Mapping[str, Words]

    def plain(self) -> pl.DataFrame:
        """The rows with every text in its place."""
        return self.frame.with_columns(_spelled(self.frame[name], words) for name, words in self.words.items())

    def maps(self) -> dict[str, pa.MapArray]:
        """The numbered columns as Arrow's maps of dictionary arrays; texts are not copied into rows."""
        return {name: _numbered(self.frame[name], words) for name, words in self.words.items()}


def _spelled(codes: pl.Series, words: Words) -> pl.Series:
    lists = codes.rechunk().to_arrow()
    newest = pl.CompatLevel.newest()  # views: texts are pointed at, not copied
    pairs = [
        texts.gather(pl.Series(lists.values.field(side))).to_arrow(compat_level=newest)
        for side, texts in enumerate(words)
    ]
    # Polars has no constructor from offsets.
    made = pl.from_arrow(
        pa.LargeListArray.from_arrays(lists.offsets, pa.StructArray.from_arrays(pairs, names=["key", "value"]))
    )
    assert isinstance(made, pl.Series)
    return (made.cast(MAP) if made.dtype != MAP else made).alias(codes.name)


def _numbered(codes: pl.Series, words: Words) -> pa.MapArray:
    lists = codes.rechunk().to_arrow()
    keys, values = (
        pa.DictionaryArray.from_arrays(lists.values.field(side), texts.to_arrow().cast(pa.string()))
        for side, texts in enumerate(words)
    )
    return pa.MapArray.from_arrays(lists.offsets.cast(pa.int32()), keys, values)
