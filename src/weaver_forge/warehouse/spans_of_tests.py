"""The spans of tests and of what ran below them, in any service, read from the files of the lake that have any.

Put here the reading only. Which code belongs to which test is told by ``links.impact.runtime``. Whether a file has such
spans is told by the names of its attributes (``pipeline_spans.prefixes_in``).
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl

TEST, CODE = "test.case.name", "code."
"""What the name of an attribute of a test's span begins with, and of one that says where its code is."""

_FILE = ("code.file.path", "code.filepath")
_FUNCTION = ("code.function.name",)


def spans_of_tests(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> pl.DataFrame:
    """All spans of the traces that hold a test's span.

    Args:
        con: Any connection.
        files: Parquet files of the span lake.

    Returns:
        trace_id, span_id, parent_span_id, end_unix_ns, test_id, code_file, code_function; the last three are null where
        a span does not say them.
    """
    listed = ", ".join(f"'{str(path).replace(chr(39), chr(39) * 2)}'" for path in files)
    file, function = (", ".join(f"attributes['{name}']" for name in names) for names in (_FILE, _FUNCTION))
    return con.sql(f"""
        with spans as (
          select
            trace_id, span_id, parent_span_id, end_unix_ns, attributes['{TEST}'] as test_id,
            coalesce({file}) as code_file,
            coalesce(
              {function}, attributes['code.namespace'] || '.' || attributes['code.function'],
              attributes['code.function']
            ) as code_function
          from read_parquet([{listed}], union_by_name = true)
        )
        select * from spans where trace_id in (select trace_id from spans where test_id is not null)
    """).pl()  # noqa: S608 - names and paths of our own
