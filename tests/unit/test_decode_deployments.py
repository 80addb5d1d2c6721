"""Deployment lines: what is needed, what is filled in, what is refused."""

import json
from datetime import datetime
from typing import Any

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.tables.operations import RAW_DEPLOYMENTS_EVENTS
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


def test_unknown_keys_are_noted_once() -> None:
    batch = read({**RECORD, "team": "a"}, {**RECORD, "deployment_id": "d-2", "team": "b", "zone": "c"})

    assert batch.rejected == ()
    assert batch.notes == ("unknown keys are left out: team, zone",)
