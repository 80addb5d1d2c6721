"""What an ingest says at its end: what was read, what was refused and why, and what is still missing."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from assets.decisions import missing_sources
from assets.resources import Deployment, Emit


def report_intake(deployment: Deployment, intakes: Sequence[Mapping[str, Any]], emit: Emit) -> None:
    """A table a source: inputs read and already known, rows decoded and new, pieces refused with the reason."""
    rows = [
        [i["source"], i["inputs_read"], i["inputs_known"], i["rows_decoded"], i["rows_new"], i["rejected"]]
        for i in intakes
        if i["inputs_read"] or i["inputs_known"] or i["rejected"]
    ]
    columns = ["source", "inputs read", "known before", "rows", "new rows", "refused"]
    emit({"event": "table", "title": "Taken in", "columns": columns, "rows": rows})
    for intake in intakes:
        for reason, count in json.loads(str(intake["top_reasons"])).items():
            text = f"refused by {intake['source']}, {count} times: {reason}"
            emit({"event": "line", "text": text, "style": "warn"})
    if any(intake["rejected"] for intake in intakes):
        emit({"event": "line", "text": "every refused piece is kept in raw_ingest__rejected", "style": "dim"})
    _report_links(deployment, emit)


def _report_links(deployment: Deployment, emit: Emit) -> None:
    ((total, linked),) = deployment.warehouse.query(
        "select count(*) as total, count(revision) as linked from core_ci__test_results"
    ).iter_rows()
    if total > linked:
        text = f"{total - linked} of {total} test results have no revision and are not used: give --revision or --run"
        emit({"event": "line", "text": text, "style": "warn"})


def report_gaps(deployment: Deployment, emit: Emit) -> None:
    """Sources that never gave a row, and what each decision loses by that."""
    rows = [
        [source, spec.name, spec.sources[source]]
        for spec in deployment.specs
        for source in missing_sources(deployment, spec)
    ]
    if rows:
        emit(
            {"event": "table", "title": "Still missing", "columns": ["source", "decision", "without it"], "rows": rows}
        )
