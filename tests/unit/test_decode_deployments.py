"""Deployment lines: what is needed, what is filled in, what is refused."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.tables.operations import RAW_DEPLOYMENTS_EVENTS
from weaver_forge.decode import incidents
from weaver_forge.decode.deployments import decode

RECORD: dict[str, Any] = {
    "deployment_id": "d-1",
    "service_key": "shop/cart/staging",
    "version": "1.4.2",
    "started_at": "2026-03-01T13:00:00+01:00",
}


def read(*records: Any) -> Batch:
    return decode([Frame("d.jsonl", "\n".join(r if isinstance(r, str) else json.dumps(r) for r in records).encode())])


def rows(batch: Batch) -> list[dict[str, Any]]:
    return batch.tables[RAW_DEPLOYMENTS_EVENTS.name].rows(named=True)


def test_a_short_record_is_filled_in_as_documented() -> None:
    batch = read(RECORD)

    assert batch.tables[RAW_DEPLOYMENTS_EVENTS.name].schema == schema(RAW_DEPLOYMENTS_EVENTS)
    (row,) = rows(batch)
    assert (row["environment"], row["status"], row["started_at"]) == (
        "staging",
        "succeeded",
        datetime(2026, 3, 1, 12),
    )


def test_a_service_may_be_given_in_parts() -> None:
    parts = {key: value for key, value in RECORD.items() if key != "service_key"}

    batch = read({**parts, "service": {"namespace": "shop", "name": "cart"}})

    assert rows(batch)[0]["service_key"] == "shop/cart/"
    assert rows(batch)[0]["environment"] == "production"


def test_a_later_report_replaces_the_earlier_one() -> None:
    undone = {**RECORD, "rolled_back_at": "2026-03-01T14:00:00Z"}

    batch = read(RECORD, {**RECORD, "deployment_id": "d-2"}, undone)

    assert {row["deployment_id"]: row["status"] for row in rows(batch)} == {"d-1": "rolled_back", "d-2": "succeeded"}


def test_bad_lines_are_rejected_by_number_and_the_rest_is_kept() -> None:
    batch = read(
        RECORD,
        "{oops",
        {**RECORD, "deployment_id": "d-2", "status": "great"},
        {**RECORD, "deployment_id": "d-3", "service_key": "cart"},
        {**RECORD, "deployment_id": "d-4", "status": "rolled_back"},
        {**RECORD, "deployment_id": "d-5", "started_at": "soon"},
        ["x"],
    )

    assert [row["deployment_id"] for row in rows(batch)] == ["d-1"]
    reasons = {piece.position: piece.reason for piece in batch.rejected}
    assert list(reasons) == [f"line {number}" for number in range(2, 8)]
    assert "great" in reasons["line 3"]
    assert "namespace/name/environment" in reasons["line 4"]
    assert "rolled_back_at" in reasons["line 5"]
    assert "started_at" in reasons["line 6"]


def test_a_record_says_whether_it_is_a_rollback() -> None:
    back = {**RECORD, "deployment_id": "d-2", "action": "rollback"}

    batch = read(RECORD, back, {**RECORD, "deployment_id": "d-3", "action": "explode"})

    assert {row["deployment_id"]: row["action"] for row in rows(batch)} == {"d-1": "deploy", "d-2": "rollback"}
    assert "action" in batch.rejected[0].reason
    assert "explode" in batch.rejected[0].reason


def test_keys_that_a_record_cannot_have_are_noted_once_with_file_and_first_line() -> None:
    batch = read({**RECORD, "team": "a"}, {**RECORD, "deployment_id": "d-2", "team": "b", "zone": "c"})

    assert batch.rejected == ()
    (note,) = batch.notes
    assert (
        note == "d.jsonl: keys that a record cannot have are left out: team (first at line 1); zone (first at line 2)"
    )


def test_the_documented_lines_are_taken_in_without_a_word() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8").splitlines()

    of = {key: [line for line in lines if line.startswith(f'{{"{key}"')] for key in ("deployment_id", "incident_id")}
    batches = read(*of["deployment_id"]), incidents.decode([Frame("i.jsonl", "\n".join(of["incident_id"]).encode())])

    assert [batch.tables.popitem()[1].height for batch in batches] == [1, 1]
    assert [(batch.notes, batch.rejected) for batch in batches] == [((), ())] * 2
