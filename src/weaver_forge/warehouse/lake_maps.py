"""Lists of key and value as maps, which is how Parquet stores them and DuckDB reads them."""

import polars as pl
import pyarrow as pa

from weaver_forge.contracts.table import Table


def with_maps(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """MAP columns as Polars' own maps, which Parquet stores as maps; without a copy."""
    maps = [
        frame[c.name] for c in table.columns if c.type.startswith("MAP") and isinstance(frame[c.name].dtype, pl.List)
    ]
    return frame.with_columns(_as_map(values) for values in maps) if maps else frame


def _as_map(values: pl.Series) -> pl.Series:
    # A cast would copy every text: measured, a sixth of the price of writing the file.
    lists = values.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    pairs = lists.values
    made = pl.from_arrow(pa.MapArray.from_arrays(lists.offsets.cast(pa.int32()), pairs.field(0), pairs.field(1)))
    assert isinstance(made, pl.Series)
    return made.alias(values.name)
