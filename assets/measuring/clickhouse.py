"""The peer: ClickHouse, as chDB, reads the same messages into a MergeTree with the same columns.

Run as a file by an interpreter whose environment has chdb, which is too large to be a dependency of ours; so only
the standard library and chdb are imported. The messages are framed anew by varints, which is what ClickHouse reads,
and that is not measured. Promoted columns and the map of attributes are as ours; events and links stay raw, and
nothing is deduplicated: less than what ours does.

``PYTHON clickhouse.py '{"path": FILE, "folder": DIR}'`` prints the figures as JSON.
"""

import importlib
import json
import resource
import sys
import time
from pathlib import Path

SCHEMA = """syntax = "proto3";
message Value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
  bytes array_value = 5; bytes kvlist_value = 6; bytes bytes_value = 7; }
message Pair { string key = 1; Value value = 2; }
message Resource { repeated Pair attributes = 1; }
message Status { string message = 2; int32 code = 3; }
message Span { bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated Pair attributes = 9;
  repeated bytes events = 11; repeated bytes links = 13; Status status = 15; }
message ScopeSpans { repeated Span spans = 2; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Request { repeated ResourceSpans resource_spans = 1; }
"""

_VALUE = """Tuple(string_value String, bool_value Nullable(Bool), int_value Nullable(Int64),
  double_value Nullable(Float64), array_value String, kvlist_value String, bytes_value String)"""
_PAIRS = f"Array(Tuple(key String, value {_VALUE}))"
_SPAN = f"""Tuple(trace_id String, span_id String, parent_span_id String, name String, kind Int32,
  start_time_unix_nano UInt64, end_time_unix_nano UInt64, attributes {_PAIRS}, events Array(String),
  links Array(String), status Tuple(message String, code Int32))"""
STRUCTURE = f"""resource_spans Array(Tuple(resource Tuple(attributes {_PAIRS}),
  scope_spans Array(Tuple(spans Array({_SPAN})))))"""

TABLE = """
create table spans.spans (
  trace_id String, span_id String, parent_span_id Nullable(String), name LowCardinality(String), kind Int32,
  start_unix_ns Int64, end_unix_ns Int64, status_code Int32, status_message String,
  service_namespace LowCardinality(String), service_name LowCardinality(String),
  service_version LowCardinality(String), deployment_environment_name LowCardinality(String),
  http_request_method LowCardinality(String), http_response_status_code Nullable(Int32),
  http_route LowCardinality(String), rpc_method LowCardinality(String), db_system_name LowCardinality(String),
  server_address LowCardinality(String), error_type LowCardinality(String),
  attributes Map(LowCardinality(String), String), resource_attributes Map(LowCardinality(String), String),
  events Array(String), links Array(String)
) engine = MergeTree order by (service_name, start_unix_ns)
"""


def _texts(pairs: str) -> str:
    """The map of attributes, values as text."""
    text = """multiIf(p.value.string_value != '', p.value.string_value,
      p.value.int_value is not null, toString(p.value.int_value),
      p.value.bool_value is not null, if(p.value.bool_value, 'true', 'false'),
      p.value.double_value is not null, toString(p.value.double_value),
      p.value.array_value || p.value.kvlist_value || p.value.bytes_value)"""
    return f"cast(arrayMap(p -> (p.key, assumeNotNull({text})), {pairs}), 'Map(String, String)')"


def _first(source: str, *names: str) -> str:
    """The first of the names that is there."""
    found = f"{source}['{names[-1]}']"
    for name in reversed(names[:-1]):
        found = f"if({source}['{name}'] != '', {source}['{name}'], {found})"
    return found


def insert_sql(source: Path, schema: Path) -> str:
    """The statement that reads a file of messages and writes all its spans."""
    return f"""
insert into spans.spans
with per_resource as (
  select {_texts("r.resource.attributes")} as resource_map, arrayJoin(r.scope_spans) as scope
  from (
    select arrayJoin(resource_spans) as r
    from file('{source}', 'Protobuf', '{STRUCTURE.replace(chr(10), " ")}')
  )
),
per_span as (
  select resource_map, arrayJoin(scope.spans) as span from per_resource
),
mapped as (
  select resource_map, span, {_texts("span.attributes")} as span_map from per_span
)
select
  lower(hex(span.trace_id)), lower(hex(span.span_id)),
  if(span.parent_span_id = '', null, lower(hex(span.parent_span_id))),
  span.name, span.kind, span.start_time_unix_nano, span.end_time_unix_nano, span.status.code, span.status.message,
  resource_map['service.namespace'], resource_map['service.name'], resource_map['service.version'],
  {_first("resource_map", "deployment.environment.name", "deployment.environment")},
  {_first("span_map", "http.request.method", "http.method")},
  toInt32OrNull({_first("span_map", "http.response.status_code", "http.status_code")}),
  span_map['http.route'], span_map['rpc.method'], {_first("span_map", "db.system.name", "db.system")},
  {_first("span_map", "server.address", "net.peer.name")}, span_map['error.type'],
  span_map, resource_map, span.events, span.links
from mapped
settings format_schema = '{schema}:Request'
"""  # noqa: S608 - our own words and paths


def by_varints(path: str, target: Path) -> None:
    """Write the messages of a file with 4-byte lengths into one with varint lengths."""
    with Path(path).open("rb") as file, target.open("wb") as out:
        while head := file.read(4):
            size = left = int.from_bytes(head, "big")
            while left > 0x7F:
                out.write(bytes([left & 0x7F | 0x80]))
                left >>= 7
            out.write(bytes([left]) + file.read(size))


def load(path: str, folder: str) -> dict[str, float]:
    """Load a file and say what it took."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    schema, source = root / "spans.proto", root / "varints.bin"
    schema.write_text(SCHEMA, encoding="utf-8")
    by_varints(path, source)
    con = importlib.import_module("chdb.session").Session(str(root / "chdb"))
    con.query("create database spans")
    con.query(TABLE)
    before, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    con.query(insert_sql(source, schema))
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - wall
    n = int(str(con.query("select count() from spans.spans", "TSV")))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"n": n, "cpu_s": cpu, "wall_s": wall, "peak_mb": after.ru_maxrss / 1024}


if __name__ == "__main__":
    print(json.dumps(load(**json.loads(sys.argv[1]))))  # noqa: T201 - the protocol with the process that asked
