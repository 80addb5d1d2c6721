"""The SQL of ``core_trace__spans`` over Parquet files of ``raw_otlp__spans``: service key, entry and error."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow.parquet as pq


def span_view_sql(files: Sequence[str | Path], *, with_kinds: Collection[str | Path] = ()) -> str:
    """The SELECT that makes ``core_trace__spans`` out of Parquet files of ``raw_otlp__spans``.

    An entry is a server or consumer span, or an unspecified or internal one without a parent. Some systems
    record no span kinds at all; there a span is an entry too when its parent is in another service or nowhere
    to be found. That needs a look-up among all spans, which costs five to fifty times the plain view (1M
    spans: 0.1 s against 0.7 s for RED), so it is made for those files only whose footer says that they have
    spans of kind 0. Over files of ordinary instrumentation the view has no join.

    Args:
        files: All of the lake.
        with_kinds: Those of which it is known that every span has a kind; of the others the footer is read.
    """
    known_kinds = frozenset(with_kinds)
    kindless = [path for path in files if path not in known_kinds and _may_lack_kinds(Path(path))]
    plain = [path for path in files if path not in kindless]
    parts = []
    if plain:
        parts.append(_spans_sql(plain, _entry("s")))
    if kindless:
        known = f"""s.kind = 0
      and not exists (
        select 1
        from read_parquet({_listed(files)}, union_by_name = true) as p
        where p.trace_id = s.trace_id
          and p.span_id = s.parent_span_id
          and p.service_name = s.service_name
          and p.service_namespace = s.service_namespace
          and p.deployment_environment_name = s.deployment_environment_name
          and s.kind = 0
      )"""  # noqa: S608 - paths and names of ours, here and below
        parts.append(_spans_sql(kindless, f"{_entry('s')} or ({known})"))
    return "\nunion all\n".join(parts)


def _spans_sql(files: Sequence[str | Path], is_entry: str) -> str:
    return f"""
-- grain: span
select
  s.service_namespace || '/' || s.service_name || '/' || s.deployment_environment_name as service_key,
  s.trace_id,
  s.span_id,
  s.parent_span_id,
  s.name,
  s.kind,
  s.start_unix_ns,
  (s.end_unix_ns - s.start_unix_ns) / 1e6 as duration_ms,
  s.status_code = 2 or (s.kind = 2 and coalesce(s.http_response_status_code >= 500, false)) as is_error,
  {is_entry} as is_entry,
  s.service_version,
  s.http_route,
  make_timestamp(s.start_unix_ns // 1000) as started_at
from read_parquet({_listed(files)}, union_by_name = true) as s"""  # noqa: S608


def _entry(span: str) -> str:
    return f"{span}.kind in (2, 5) or ({span}.kind in (0, 1) and {span}.parent_span_id is null)"


def _may_lack_kinds(path: Path) -> bool:
    """Whether a file's footer leaves it open that it has spans of kind 0."""
    footer = pq.read_metadata(path)
    leaf = next(i for i in range(footer.num_columns) if footer.schema.column(i).path == "kind")
    for group in range(footer.num_row_groups):
        statistics = footer.row_group(group).column(leaf).statistics
        if statistics is None or not statistics.has_min_max or statistics.min == 0:
            return True
    return False


def _listed(files: Sequence[str | Path]) -> str:
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in files) + "]"
