"""Rows of a lake as Parquet: lists of key and value as maps, and which columns get dictionaries and statistics."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from weaver_forge.contracts.coded import Coded
from weaver_forge.contracts.table import Table

ROW_GROUP_ROWS = 122_880
"""Of a file; readers skip row groups by their times."""


def write_parquet(table: Table, rows: pl.DataFrame | Coded, path: Path) -> None:
    """Write conformed rows.

    Least and greatest values are kept of integers alone, so of times: those of texts, most of them in maps, are a
    third of the price of writing a span. Dictionaries are made of texts and small integers, not of a key's own
    text, which is never repeated, nor of times. Measured: two thirds of what Polars' writer takes, which knows
    neither choice, for files a fifth smaller; and
    half of that where maps come numbered, as they are stored.
    """
    pq.write_table(
        _arrow(table, rows),
        path,
        compression="zstd",
        compression_level=1,
        row_group_size=ROW_GROUP_ROWS,
        use_dictionary=[
            leaf for c in table.columns if _repeats(table, c.name, c.type) for leaf in _leaves(c.name, c.type)
        ],
        write_statistics=[c.name for c in table.columns if c.type in {"INTEGER", "BIGINT"}],
        store_schema=False,  # readers are to see plain texts, not Arrow's ways of holding them
    )


def _arrow(table: Table, rows: pl.DataFrame | Coded) -> pa.Table:
    frame, coded = (rows.frame, rows.maps()) if isinstance(rows, Coded) else (rows, {})
    newest = pl.CompatLevel.newest()  # views: texts are not copied
    made = with_maps(table, frame.drop(coded)).to_arrow(compat_level=newest)
    return pa.table({name: coded[name] if name in coded else made[name] for name in frame.columns})


def _repeats(table: Table, name: str, kind: str) -> bool:
    return kind.startswith(("VARCHAR", "INTEGER", "MAP")) and name != table.key[-1]


def _leaves(name: str, kind: str) -> tuple[str, ...]:
    return (f"{name}.key_value.key", f"{name}.key_value.value") if kind.startswith("MAP") else (name,)


def with_maps(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """MAP columns as Polars' own maps, which Parquet stores as maps; without a copy."""
    maps = [
        frame[c.name]
        for c in table.columns
        if c.type.startswith("MAP") and c.name in frame.columns and isinstance(frame[c.name].dtype, pl.List)
    ]
    return frame.with_columns(_as_map(values) for values in maps) if maps else frame


def _as_map(values: pl.Series) -> pl.Series:
    # A cast would copy every text: measured, a sixth of the price of writing the file.
    lists = values.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    pairs = lists.values
    made = pl.from_arrow(pa.MapArray.from_arrays(lists.offsets.cast(pa.int32()), pairs.field(0), pairs.field(1)))
    assert isinstance(made, pl.Series)
    return made.alias(values.name)
