"""Long tables of series -> points of ``load_forecast``.

Put formats of regular series without labels here. A point is known when its step has ended.
"""

import io
from collections.abc import Mapping
from pathlib import PurePosixPath

import polars as pl

from weaver_forge.benchmarks import BenchmarkData, delimited, each
from weaver_forge.contracts.tables.operations import CORE_SERVICE_POINTS
from weaver_forge.errors import SourceError, WeaverForgeError

_COLUMNS = frozenset({"series_id", "ds", "y"})
_PARQUET = b"PAR1"


def read(files: Mapping[str, bytes], problems: list[WeaverForgeError] | None = None) -> list[BenchmarkData]:
    """Recognise long tables ``series_id, ds, y`` (parquet or csv); files of other formats are left alone.

    Args:
        files: Path below the given folder (with slashes) -> bytes.
        problems: Where a file that has the format and cannot be read is told; else it is raised.
    """
    names = [name for name in sorted(files) if _is_long(files[name])]
    return each(names, lambda name: [_long(name, files[name])], problems)


def _is_long(data: bytes) -> bool:
    if data[:4] != _PARQUET:
        return delimited.header(data) >= _COLUMNS
    try:
        return set(pl.read_parquet_schema(io.BytesIO(data))) >= _COLUMNS
    except (pl.exceptions.PolarsError, OSError):
        return False


def _long(name: str, data: bytes) -> BenchmarkData:
    if data[:4] == _PARQUET:
        rows = pl.read_parquet(io.BytesIO(data), columns=sorted(_COLUMNS))
    else:
        rows = delimited.read(name, data, sorted(_COLUMNS))
    points = points_of(rows, name)
    n_series, n_given = points["service_key"].n_unique(), rows["series_id"].n_unique()
    notes = (f"{n_given - n_series} series without two values were left out",) if n_given > n_series else ()
    return BenchmarkData(
        decision="load_forecast",
        entity="points",
        set=str(PurePosixPath(name).with_suffix("")),
        format="long series (series_id, ds, y)",
        tables={CORE_SERVICE_POINTS.name: points},
        protocols=("h48", "h288"),
        notes=notes,
    )


def points_of(rows: pl.DataFrame, name: str, metric: str = "requests") -> pl.DataFrame:
    """``series_id, ds, y`` as ``core_service__points``; a missing value is a gap.

    Args:
        rows: Series in any order; ``ds`` a timestamp or text.
        name: The file, for messages.
        metric: Name of the metric that the values get.

    Raises:
        SourceError: If ``ds`` or ``y`` cannot be read.
    """
    try:
        ds = rows["ds"].str.to_datetime(time_unit="us") if rows.schema["ds"] == pl.String else rows["ds"]
        y = rows["y"].cast(pl.Float64)
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"ds or y is not readable: {error}", where=name, do="Repair the file") from error
    ds = ds.dt.replace_time_zone(None) if isinstance(ds.dtype, pl.Datetime) and ds.dtype.time_zone else ds
    series = pl.DataFrame(
        {"service_key": rows["series_id"].cast(pl.String), "at": ds.cast(pl.Datetime("us")), "value": y}
    )
    series = series.filter(pl.col("value").is_finite()).unique(["service_key", "at"], keep="first", maintain_order=True)
    series = series.sort("service_key", "at")
    gap = pl.col("at").diff().dt.total_seconds().over("service_key")
    step = gap.mode().min().over("service_key").cast(pl.Int32)
    return (
        series.with_columns(pl.lit(metric).alias("metric"), step.alias("step_s"), pl.lit(1, dtype=pl.Int64).alias("n"))
        .filter(pl.col("step_s") > 0)
        .with_columns((pl.col("at") + pl.duration(seconds="step_s")).alias("known_at"))
        .select(CORE_SERVICE_POINTS.column_names)
    )
