"""What log records say by the minute, in SQL: their text, and counts of templates.

Put SQL over ``raw_otlp__log_records`` here, as pure functions of an open connection and a range of whole minutes
``[start, end)`` in naive UTC. What a template is stands in ``decode.log_templates``.
"""

from datetime import datetime, timedelta

import duckdb
import polars as pl

from weaver_forge.contracts.tables.log_marts import CORE_LOG_MINUTES, CORE_LOG_TEMPLATES
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.warehouse.marts import unix_ns
from weaver_forge.warehouse.metric_marts import SERVICE_KEY

LAG = timedelta(seconds=60)
"""Records are taken to be here a minute after they were written."""

_MESSAGE_KEYS = ("message", "msg", "body", "log", "event")
"""Where a structured record has its sentence, the commonest name first."""


def lines(con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
    """``service_key, minute_at, severity, line, n`` of a range: the sentence of each record, equal ones counted once.

    Of a structured body (or a text that is a JSON object) the message within, else its keys; of a record without a
    body the name of its event, else null.
    """
    message = ", ".join(f"json_extract_string(body, '$.{key}')" for key in _MESSAGE_KEYS)
    return con.sql(f"""
-- grain: service, minute, severity and sentence with at least one record
with records as (
  select
    {SERVICE_KEY} as service_key,
    time_bucket(interval 1 minute, make_timestamp(time_unix_ns // 1000)) as minute_at,
    {_severity()} as severity,
    body,
    event_name,
    body is not null and body[1] = '{{' and json_valid(body) as is_object
  from {RAW_OTLP_LOG_RECORDS.name}
  where time_unix_ns >= {unix_ns(start)}
    and time_unix_ns < {unix_ns(end)}
)
select
  service_key,
  minute_at,
  severity,
  coalesce(
    case when is_object then coalesce({message}, event_name, array_to_string(json_keys(body), ' ')) else body end,
    event_name
  ) as line,
  count(*) as n
from records
group by all
order by minute_at, service_key, severity, line
""").pl()  # noqa: S608 - declared names, here and below


def minutes(counted: pl.DataFrame) -> pl.DataFrame:
    """``core_log__minutes`` of lines (as :func:`lines` gives them) with their ``template_id``."""
    known_at = pl.col("minute_at") + timedelta(minutes=1) + LAG
    return (
        counted.with_columns(pl.col("template_id").fill_null(""))
        .group_by("service_key", "minute_at", "template_id", "severity")
        .agg(pl.col("n").sum().cast(pl.Int64).alias("n_records"))
        .with_columns(known_at.alias("known_at"))
        .sort("service_key", "minute_at", "template_id", "severity")
    )


def templates(con: duckdb.DuckDBPyConnection, mined: pl.DataFrame) -> pl.DataFrame:
    """``core_log__templates``: those stored and those mined now, counted over all minutes.

    Templates that the miner gave up and that no minute has any more are left out.

    Args:
        con: An open connection.
        mined: ``template_id, template, leaf`` of the templates that the miner holds, oldest first.
    """
    con.register("mined", mined.with_row_index("place"))
    found = con.sql(f"""
-- grain: template
with stored as (
  select template_id, template, leaf, position from {CORE_LOG_TEMPLATES.name}
),
counts as (
  select
    template_id,
    min(minute_at) as first_seen_at,
    max(minute_at) as last_seen_at,
    cast(sum(n_records) as bigint) as n_records
  from {CORE_LOG_MINUTES.name}
  where template_id <> ''
  group by template_id
),
together as (
  select
    coalesce(mined.template_id, stored.template_id) as template_id,
    coalesce(mined.template, stored.template) as template,
    coalesce(mined.leaf, stored.leaf) as leaf,
    coalesce(stored.position, mined.place + (select coalesce(max(position) + 1, 0) from stored)) as position,
    mined.template_id is not null as is_held
  from mined
  full join stored on stored.template_id = mined.template_id
)
select
  together.*,
  counts.first_seen_at,
  counts.last_seen_at,
  coalesce(counts.n_records, 0) as n_records
from together
left join counts on counts.template_id = together.template_id
where together.is_held or counts.n_records > 0
order by position
""").pl()  # noqa: S608
    con.unregister("mined")
    return found


def _severity() -> str:
    """Number first; of a record without one the text, as the severities are usually written."""
    text = "lower(severity_text)"
    return f"""
    case
      when severity_number between 1 and 4 then 'trace'
      when severity_number between 5 and 8 then 'debug'
      when severity_number between 9 and 12 then 'info'
      when severity_number between 13 and 16 then 'warn'
      when severity_number between 17 and 20 then 'error'
      when severity_number between 21 and 24 then 'fatal'
      when {text} in ('trace', 'debug', 'info', 'warn', 'error', 'fatal') then {text}
      when {text} in ('warning') then 'warn'
      when {text} in ('information', 'informational', 'notice') then 'info'
      when {text} in ('critical', 'alert', 'emergency', 'panic') then 'fatal'
      when {text} in ('err', 'severe') then 'error'
      else 'unknown'
    end"""
