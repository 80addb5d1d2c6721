"""The form in which rows are stored and hashed, their ids, and what opening the ledger costs."""

import hashlib
import itertools
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver_forge.contracts.decision import BASELINE_COLUMNS, OUTPUT_COLUMNS, PROVENANCE_COLUMNS
from weaver_forge.errors import ContractError
from weaver_forge.ledger import Ledger, idempotency_key, uuid7
from weaver_forge.ledger.canonical import canonical_json, instant_of, link_sha256, row_sha256, stored_values
from weaver_forge.ledger.schema import CHAIN, CURRENT, OUTCOMES, POLICIES, PREDICTIONS, LedgerColumn

NOW = datetime(2026, 3, 1, 12)
OUTCOME = {"outcome_id": "o-1", "prediction_id": "p-1", "outcome": 1.0, "maturity": "mature"}


def test_the_hash_of_a_version_1_row_is_what_it_always_was() -> None:
    """If this fails, every ledger in the world stops verifying: add a schema version instead."""
    columns = OUTCOMES.hashed(1)
    values = {
        **stored_values(OUTCOMES, {**OUTCOME, "link_method": "run \u2192 revision", "outcome_known_at": NOW}),
        "batch_seq": 7,
        "position": 0,
        "recorded_at": "2026-03-01T12:00:00.000000Z",
        "schema_version": 1,
    }
    canonical = (
        '{"batch_seq":7,"cost":null,"link_confidence":null,"link_method":"run \\u2192 revision",'
        '"maturity":"mature","outcome":1.0,"outcome_id":"o-1","outcome_known_at":"2026-03-01T12:00:00.000000Z",'
        '"position":0,"prediction_id":"p-1","recorded_at":"2026-03-01T12:00:00.000000Z","schema_version":1,'
        '"supersedes":null}'
    )

    found = row_sha256(columns, [values[column.name] for column in columns])

    assert found == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_hash_of_a_link_is_what_it_always_was() -> None:
    link = {column.name: 0 for column in CHAIN}
    canonical = (
        '{"batch_seq":0,"kind":0,"n_rows":0,"previous_hash":0,"recorded_at":0,"rows_sha256":0,"schema_version":0}'
    )

    assert link_sha256(link) == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_columns_of_version_1_are_what_they_always_were() -> None:
    columns = [
        [table.kind, column.name, column.type, column.nullable]
        for table in CURRENT.tables
        if table.since == 1
        for column in table.stored
        if column.since == 1
    ]

    assert (
        hashlib.sha256(canonical_json(columns).encode()).hexdigest()
        == "4c197e879f5f99914235e2781724c040e326d90015b1a61f383c915dfeee6e0b"
    )


@pytest.mark.parametrize(
    ("version", "digest"),
    [
        (2, "743f6d93ad450711e93f72a8b57d1b32fa27e575de7582d77a9cbd10147451dc"),
        (3, "3433fc50cf0b1a2b96a0fa4844aa14e659b82a4c007ca1c1545f0e8448a52c20"),
    ],
)
def test_what_a_later_version_added_is_what_it_always_was(version: int, digest: str) -> None:
    columns = [
        [table.kind, column.name, column.type, column.nullable]
        for table in CURRENT.tables
        for column in table.stored
        if version in {column.since, table.since}
    ]

    assert hashlib.sha256(canonical_json(columns).encode()).hexdigest() == digest


def test_the_ledger_has_a_column_for_everything_a_prediction_says() -> None:
    contract = {column.name for column in (*OUTPUT_COLUMNS, *BASELINE_COLUMNS, *PROVENANCE_COLUMNS)}

    assert contract <= {column.name for column in PREDICTIONS.columns}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"outcome": float("nan")}, "NaN"),
        ({"outcome": float("inf")}, "infinities"),
        ({"outcome": "1"}, "not a number"),
        ({"outcome": True}, "not a number"),
        ({"maturity": None}, "missing"),
        ({"maturity": 3}, "not text"),
        ({"maturity": "a\0b"}, "NUL"),
        ({"maturity": "\udc80"}, "surrogate"),
        ({"outcome_known_at": NOW.replace(tzinfo=UTC)}, "naive"),
        ({"outcome_known_at": "yesterday"}, "isoformat"),
        ({"outcome_known_at": 3}, "not an instant"),
        ({"outcom": 1.0}, "unknown columns"),
    ],
)
def test_what_cannot_be_stored_exactly_is_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        stored_values(OUTCOMES, {**OUTCOME, **changes})


@pytest.mark.parametrize("value", ["[1, ", "3", 3, [float("nan")], {"a": object()}, '{"a": NaN}'])
def test_what_is_no_json_list_or_object_is_refused(value: Any) -> None:
    row = {"decision": "d", "entity": "e", "subject": value}

    with pytest.raises(ContractError, match="subject"):
        stored_values(
            PREDICTIONS,
            {**dict.fromkeys(c.name for c in PREDICTIONS.columns), "prediction_id": "p", "idempotency_key": "k", **row},
        )


def test_instants_read_back_in_utc_from_any_zone() -> None:
    there = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))

    assert instant_of(there.isoformat()) == instant_of("2026-03-01T12:00:00.000000Z") == NOW


def test_json_is_the_same_however_it_was_written() -> None:
    assert canonical_json({"b": [1, NOW], "a": "\u00fc"}) == '{"a":"\\u00fc","b":[1,"2026-03-01T12:00:00.000000Z"]}'


def test_a_column_added_later_must_be_nullable() -> None:
    with pytest.raises(ValueError, match="nullable"):
        LedgerColumn("later", "VARCHAR", "...", since=2)


def test_ids_sort_by_time_and_are_version_7() -> None:
    early, late = (uuid7(NOW + timedelta(milliseconds=n), bytes([255 - n]) * 10) for n in (0, 1))

    assert early < late
    assert uuid.UUID(early).version == 7
    assert uuid.UUID(early).variant == uuid.RFC_4122
    assert early == f"{1772366400000:012x}"[:8] + "-" + f"{1772366400000:012x}"[8:] + "-7fff-bfff-ffffffffffff"
    with pytest.raises(ValueError, match="entropy"):
        uuid7(NOW, b"short")


def test_the_idempotency_key_depends_on_what_is_predicted_and_by_what_and_on_nothing_else() -> None:
    key = idempotency_key("d", "e", {"a": "1", "b": "2"}, NOW, "v1")

    assert key == idempotency_key("d", "e", {"b": "2", "a": "1"}, NOW, "v1")
    others = {
        idempotency_key("d2", "e", {"a": "1", "b": "2"}, NOW, "v1"),
        idempotency_key("d", "e2", {"a": "1", "b": "2"}, NOW, "v1"),
        idempotency_key("d", "e", {"a": "1", "b": "3"}, NOW, "v1"),
        idempotency_key("d", "e", {"a": "1", "b": "2"}, NOW + timedelta(microseconds=1), "v1"),
        idempotency_key("d", "e", {"a": "1", "b": "2"}, NOW, "v2"),
    }
    assert len(others | {key}) == 6


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with Ledger.open("sqlite://") as opened:
        yield opened


COUNT = itertools.count()


@settings(max_examples=50, deadline=None)
@given(
    text=TEXT,
    number=st.floats(allow_nan=False, allow_infinity=False),
    instant=st.datetimes(),
    document=st.dictionaries(st.text(), JSON, max_size=4),
    flag=st.booleans(),
)
def test_any_value_comes_back_as_it_was_and_verifies(
    ledger: Ledger, text: str, number: float, instant: datetime, document: dict[str, Any], flag: bool
) -> None:
    name = f"p-{next(COUNT)}"
    row = {
        "decision": text,
        "entity": "e",
        "unit": text,
        "origin": "live",
        "model_name": "m",
        "prediction_id": name,
        "idempotency_key": name,
        "model_version": "1",
        "is_baseline": flag,
        "subject": document,
        "predicted_at": instant,
        "made_at": NOW,
        "value": number,
    }
    ledger.append("predictions", [row], now=NOW)

    found = ledger.prediction(name)

    assert found is not None
    assert {name: found[name] for name in row} == row
    assert ledger.verify().ok


def test_a_key_that_is_a_hash_is_never_made_up() -> None:
    with Ledger.open("sqlite://") as ledger, pytest.raises(ContractError, match="policy_sha256"):
        ledger.append(POLICIES.kind, [{"text": "v: 1", "first_used_at": NOW}], now=NOW)


def test_an_unknown_kind_is_refused() -> None:
    with Ledger.open("sqlite://") as ledger:
        with pytest.raises(ContractError, match="no ledger table 'guesses'"):
            ledger.append("guesses", [{}], now=NOW)
        with pytest.raises(ContractError, match="no ledger table 'chain'"):
            ledger.tail("chain", 3)


APPEND_ONE = """
import sys
from datetime import datetime
from weaver_forge.ledger import Ledger

row = dict(decision="d", entity="e", unit="u", hook="h", verdict="allow", level="assisted",
           scope="development", applied=False, exit_code=0, made_at=datetime(2026, 3, 1))
with Ledger.open(sys.argv[1]) as ledger:
    assert ledger.append("decisions", [row], now=row["made_at"]) == 1
heavy = {"sqlalchemy", "polars", "pyarrow", "duckdb", "numpy", "httpx", "uuid", "asyncio"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""


def test_appending_a_decision_loads_the_standard_library_only(tmp_path: Path) -> None:
    """The gate answers within 0.5 s; `import sqlalchemy` alone takes 0.28 s of it."""
    done = subprocess.run(
        [sys.executable, "-c", APPEND_ONE, f"sqlite:///{tmp_path / 'ledger.sqlite'}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
