"""Upkeep deletes nothing that a view still names."""

import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from assets import upkeep
from assets.resources import Deployment
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse
from weaver_forge.warehouse.lake_upkeep import compact

DEFAULTS = {"VARCHAR": "x", "INTEGER": 2, "BIGINT": 1_767_600_000_000_000_000}


def span(number: int) -> dict[str, object]:
    plain = {c.name: None if c.nullable else DEFAULTS.get(c.type, []) for c in RAW_OTLP_SPANS.columns}
    return {**plain, "trace_id": f"{number:032x}", "span_id": f"{number:016x}"}


def test_upkeep_after_one_that_was_killed_leaves_views_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The killed one had joined files and not pointed the views at them; the next finds nothing to join."""
    settings = Settings(root=tmp_path, python=Path(sys.executable), decisions={})
    warehouse = Warehouse(settings.warehouse, settings.lake)
    for number in (1, 2):
        warehouse.append(RAW_OTLP_SPANS, from_rows(RAW_OTLP_SPANS, [span(number)]))
    compact(warehouse.spans, datetime(2026, 11, 1))
    monkeypatch.setattr(upkeep, "GRACE", timedelta(0))

    done = upkeep.keep_up(Deployment(settings, (), warehouse))

    assert (done[0]["replaced"], done[0]["deleted"]) == (0, 2)
    assert warehouse.query("select count(*) as n from raw_otlp__spans")["n"].to_list() == [2]
