"""Incident lines: what is needed, what is filled in, what is refused."""

import json
from datetime import datetime
from typing import Any

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.tables.operations import RAW_INCIDENTS_EVENTS
from weaver_forge.decode.incidents import decode

RECORD: dict[str, Any] = {
    "incident_id": "i-1",
    "service": {"namespace": "shop", "name": "cart", "environment": "production"},
    "started_at": "2026-03-01T12:00:00Z",
}


def read(*records: Any) -> Batch:
    return decode([Frame("i.jsonl", "\n".join(json.dumps(record) for record in records).encode())])


def rows(batch: Batch) -> list[dict[str, Any]]:
    return batch.tables[RAW_INCIDENTS_EVENTS.name].rows(named=True)


def test_a_short_record_is_filled_in_as_documented() -> None:
    batch = read(RECORD)

    assert batch.tables[RAW_INCIDENTS_EVENTS.name].schema == schema(RAW_INCIDENTS_EVENTS)
    (row,) = rows(batch)
    assert row["service_key"] == "shop/cart/production"
    assert row["declared_at"] == row["started_at"] == datetime(2026, 3, 1, 12)
    assert (row["severity"], row["title"], row["cause_service_key"]) == ("unknown", "", None)


def test_the_cause_found_later_replaces_the_open_record() -> None:
    found = {**RECORD, "cause_service": {"name": "prices"}, "cause_revision": "a" * 40}

    batch = read(RECORD, found)

    (row,) = rows(batch)
    assert (row["cause_service_key"], row["cause_revision"]) == ("/prices/", "a" * 40)


def test_bad_lines_are_rejected_alone() -> None:
    batch = read(
        {**RECORD, "incident_id": None},
        {**RECORD, "resolved_at": "2026-02-01T00:00:00Z"},
        {**RECORD, "service": None},
        {**RECORD, "severity": "sev1"},
        RECORD,
    )

    assert len(rows(batch)) == 1
    assert [piece.position for piece in batch.rejected] == ["line 1", "line 2", "line 3", "line 4"]


def test_an_empty_file_is_rejected_as_such() -> None:
    batch = decode([Frame("i.jsonl", b"")])

    assert "empty" in batch.rejected[0].reason


def test_keys_that_a_record_cannot_have_are_noted_with_file_and_line() -> None:
    batch = read(RECORD, {**RECORD, "incident_id": "i-2", "state": "open"})

    assert batch.notes == ("i.jsonl: keys that a record cannot have are left out: state (first at line 2)",)


def test_a_file_of_one_record_is_told_its_line_too() -> None:
    (note,) = read({**RECORD, "state": "open"}).notes

    assert note.endswith("state (first at line 1)")
