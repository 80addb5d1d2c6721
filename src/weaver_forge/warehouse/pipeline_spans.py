"""The spans of CI pipelines among all spans of the lake, found without reading the others.

Few spans of few files are of a pipeline. Files never change, so each is searched once; whether one has any is told by
the names of its attributes alone: a column that the file keeps as a small dictionary. What such spans mean is said in
``links.ci_spans``.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.tables.ci import CORE_CI_PIPELINE_SPANS

PREFIX = "cicd.pipeline."
"""What the name of an attribute of every such span, or of its resource, begins with."""

_MAPS = ("attributes", "resource_attributes")
_ATTRIBUTES = {
    "run_id": ("cicd.pipeline.run.id",),
    "run_url": ("cicd.pipeline.run.url.full",),
    "run_result": ("cicd.pipeline.result", "cicd.pipeline.run.status"),
    "run_attempt": ("github.workflow.run.attempt",),
    "previous_url": ("cicd.pipeline.run.previous_attempt.url.full",),
    "pipeline": ("cicd.pipeline.name",),
    "task": ("cicd.pipeline.task.name",),
    "task_run_id": ("cicd.pipeline.task.run.id",),
    "task_url": ("cicd.pipeline.task.run.url.full",),
    "task_result": ("cicd.pipeline.task.run.result", "cicd.pipeline.run.task.status"),
    "queue": ("cicd.pipeline.run.queue.duration",),
    "branch": ("vcs.ref.head.name", "vcs.ref.head"),
    "revision": ("vcs.ref.head.revision",),
    "repository_url": ("vcs.repository.url.full",),
}
"""Column -> names of the attribute, the current one first."""


def pipeline_spans(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> pl.DataFrame:
    """The spans of CI pipelines in these files, as ``core_ci__pipeline_spans``; a span wins over its resource.

    Args:
        con: Any connection.
        files: Parquet files of the span lake.
    """
    if not files:
        return empty(CORE_CI_PIPELINE_SPANS)
    listed = ", ".join(_literal(str(path)) for path in files)
    columns = ", ".join(f"coalesce({', '.join(_reads(names))}) as {column}" for column, names in _ATTRIBUTES.items())
    of_pipeline = " or ".join(
        f"len(list_filter(map_keys({of}), lambda name: starts_with(name, '{PREFIX}'))) > 0" for of in _MAPS
    )
    return con.sql(f"""
        select
          trace_id, span_id, parent_span_id, name, start_unix_ns, end_unix_ns, status_code, status_message,
          {columns}
        from read_parquet([{listed}], union_by_name = true)
        where {of_pipeline}
    """).pl()  # noqa: S608 - declared names and paths of our own


def prefixes_in(path: Path, prefixes: Collection[str]) -> frozenset[str]:
    """With which of these an attribute's name in the file begins.

    The names of attributes alone are asked, a row group at a time; read as a dictionary, each is one text.
    """
    with pq.ParquetFile(path) as file:
        leaves = [file.schema.column(number).path for number in range(len(file.schema))]
    # How a map is laid out inside differs by who wrote the file.
    names = [leaf for leaf in leaves if leaf.split(".")[0] in _MAPS and leaf.endswith(".key")]
    found: set[str] = set()
    with pq.ParquetFile(path, read_dictionary=names) as file:
        for number in range(file.num_row_groups):
            for column in file.read_row_group(number, columns=names).columns:
                found |= {prefix for prefix in prefixes if prefix not in found and _has_prefix(column, prefix)}
            if len(found) == len(prefixes):
                break
    return frozenset(found)


def _has_prefix(column: "pa.ChunkedArray", prefix: str) -> bool:
    return any(pc.any(pc.starts_with(_texts(chunk), prefix)).as_py() for chunk in column.chunks)


def _texts(array: "pa.Array") -> "pa.Array":
    """The distinct texts at the bottom of maps, lists, structs and dictionaries."""
    while True:
        if isinstance(array, pa.DictionaryArray):
            return array.dictionary
        if isinstance(array, pa.MapArray):
            array = array.keys
        elif isinstance(array, pa.StructArray):
            array = array.field(0)
        elif isinstance(array, pa.ListArray | pa.LargeListArray):
            array = array.flatten()
        else:
            return array.unique()


def _reads(names: Sequence[str]) -> list[str]:
    return [f"{of}[{_literal(name)}]" for of in _MAPS for name in names]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
