"""A large ledger to look things up in and to score: rows made by the database itself, without hashes or chain.

Appending ten million rows takes a quarter of an hour and a lookup does not care; a ledger that is to verify is made
by ``ledger.ledger_write``.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from weaver_forge.ledger import Ledger

TESTS_A_UNIT = 200
"""Predictions of one revision; tests fail on one revision in five."""

_BY_UNIT = "select name, sql from sqlite_master where type = 'index' and sql is not null and name like '%unit%'"

_DECISIONS = """
with recursive seq(n) as (select :first union all select n + 1 from seq where n + 1 < :last)
insert into decisions (
  batch_seq, position, recorded_at, schema_version, row_sha256, decision_id, decision, entity, unit, hook, verdict,
  level, scope, applied, exit_code, made_at, reasons, inputs
)
select 0, n, '2026-03-01T00:00:00.000000Z', 2, printf('%064d', n),
  printf('0195%04x-%04x-7000-8000-%012x', n / 65536, n % 65536, n), 'deploy_risk', 'changes',
  printf('local/shop|%040x', n * 2654435761 % 4294967296), 'ci_gate', 'allow', 'supervised', 'deployment', 1, 0,
  strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1767225600 + n, 'unixepoch'), '["calm"]', '{"probability":0.1}'
from seq where :a_unit > 0
"""

_PREDICTIONS = """
with recursive seq(n) as (select :first union all select n + 1 from seq where n + 1 < :last)
insert into predictions (
  batch_seq, position, recorded_at, schema_version, row_sha256, prediction_id, idempotency_key, decision, entity,
  subject, unit, predicted_at, made_at, origin, probability, score, baseline_name, baseline_probability, model_name,
  model_version, is_baseline
)
select 0, n, '2026-03-01T00:00:00.000000Z', 2, printf('%064d', n),
  printf('0195%04x-%04x-7000-8001-%012x', n / 65536, n % 65536, n), printf('%064d', n), 'test_selection', 'tests',
  printf('{"repo_id":"local/shop","revision":"%040x","test_id":"suite::t%d"}', n / :a_unit, n % :a_unit),
  printf('local/shop|%040x', n / :a_unit),
  strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1767225600 + n / :a_unit * 60, 'unixepoch'), '2026-01-01T00:00:00.000000Z',
  'live', (n * 48271 % 9973) / 9973.0, null, 'recency', (n * 16807 % 9973) / 9973.0, 'forest', '3', 0
from seq
"""

_OUTCOMES = """
with recursive seq(n) as (select :first union all select n + 1 from seq where n + 1 < :last)
insert into outcomes (
  batch_seq, position, recorded_at, schema_version, row_sha256, outcome_id, prediction_id, outcome, maturity,
  outcome_known_at, link_method, link_confidence, cost
)
select 0, n, '2026-03-01T00:00:00.000000Z', 2, printf('%064d', n),
  printf('0195%04x-%04x-7000-8002-%012x', n / 65536, n % 65536, n),
  printf('0195%04x-%04x-7000-8001-%012x', n / 65536, n % 65536, n),
  case when n / :a_unit % 5 = 0 and n * 48271 % 9973 > 9000 then 1.0 else 0.0 end, 'mature',
  '2026-02-01T00:00:00.000000Z', 'revision', 1.0, 20.0 + n % 977
from seq
"""


def decision_id(number: int) -> str:
    """The id of the decision with this number; ids follow time, as those that are made do."""
    return f"0195{number // 65536:04x}-{number % 65536:04x}-7000-8000-{number:012x}"


def decision_unit(number: int) -> str:
    """Its unit."""
    return f"local/shop|{number * 2654435761 % 4294967296:040x}"


def fill(path: Path, *, decisions: int = 0, resolved: int = 0, first: int = 0) -> None:
    """Put rows from number ``first`` on into a ledger, which is made where there is none.

    Args:
        path: The SQLite file.
        decisions: Number up to which there are decisions.
        resolved: Number up to which there are predictions with a mature outcome.
        first: Rows below this number are there already.
    """
    with Ledger.open(f"sqlite:///{path}"):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = off")
        connection.execute("pragma cache_size = -500000")
        connection.execute("begin")
        # Units come in no order: an index of them is made faster at the end.
        indexes = connection.execute(_BY_UNIT).fetchall()
        for name, _ in indexes:
            connection.execute(f'drop index "{name}"')
        for sql, last in ((_DECISIONS, decisions), (_PREDICTIONS, resolved), (_OUTCOMES, resolved)):
            if last > first:
                connection.execute(sql, {"first": first, "last": last, "a_unit": TESTS_A_UNIT})
        for _, sql in indexes:
            connection.execute(sql)
        connection.execute("commit")
