"""The SQL of ``core_trace__spans`` over Parquet files of ``raw_otlp__spans``: service key, entry and error.

Promoted columns of the raw table hold what was sent, also where an old name filled them. Here they say what the
conventions say now: values under their current words, and each side of a call where its kind of span puts it. An old
name stays in the map, so a column that equals it was filled by it. Columns that a query does not name cost it nothing.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from weaver_forge.semconv.renaming import CLIENT_KINDS, SERVER_KINDS, VALUES


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
  {_rpc_method("s")} as rpc_method,
  {_db_system("s")} as db_system_name,
  {_server_address("s")} as server_address,
  {_client_address("s")} as client_address,
  make_timestamp(s.start_unix_ns // 1000) as started_at
from read_parquet({_listed(files)}, union_by_name = true) as s"""  # noqa: S608


def _entry(span: str) -> str:
    return f"{span}.kind in (2, 5) or ({span}.kind in (0, 1) and {span}.parent_span_id is null)"


def _rpc_method(span: str) -> str:
    """The fully qualified method: ``rpc.service`` is a part of it now (the conventions' guide for RPC)."""
    service = f"{span}.attributes['rpc.service']"
    return f"""case
    when {service} <> '' and not contains({span}.rpc_method, '/') then {service} || '/' || {span}.rpc_method
    else {span}.rpc_method
  end"""


def _db_system(span: str) -> str:
    """The system by its current name; one sent as ``db.system.name`` is left as it was sent."""
    words = "\n".join(f"    when '{old}' then '{new}'" for old, new in VALUES["db.system"].items())
    current = f"case {span}.db_system_name\n{words}\n    else {span}.db_system_name\n  end"
    return f"if({_is_filled_by(span, 'db_system_name', 'db.system')}, {current}, {span}.db_system_name)"


def _server_address(span: str) -> str:
    """``net.peer.name`` is the server on client and producer spans, ``net.host.name`` on server and consumer spans."""
    clients, servers = _listed_kinds(CLIENT_KINDS), _listed_kinds(SERVER_KINDS)
    return f"""case
    when {span}.kind in {clients} or not {_is_filled_by(span, "server_address", "net.peer.name")}
      then coalesce({span}.server_address, if({span}.kind in {servers}, {span}.attributes['net.host.name'], null))
    when {span}.kind in {servers} then {span}.attributes['net.host.name']
  end"""


def _client_address(span: str) -> str:
    old = f"if({span}.kind in {_listed_kinds(SERVER_KINDS)}, {span}.attributes['net.peer.name'], null)"
    return f"coalesce({span}.attributes['client.address'], {span}.attributes['http.client_ip'], {old})"


def _is_filled_by(span: str, column: str, old: str) -> str:
    return f"coalesce({span}.{column} = {span}.attributes['{old}'], false)"


def _listed_kinds(kinds: Collection[int]) -> str:
    return "(" + ", ".join(map(str, sorted(kinds))) + ")"


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
