"""When a charge becomes known."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from weaver_forge.contracts.tables.cost import CORE_COST_CHARGES, RAW_FOCUS_CHARGES
from weaver_forge.links.cost import core_cost

ENDED = datetime(2026, 3, 2)


@pytest.mark.parametrize(
    ("received_after", "known_after"),
    [
        (timedelta(days=30), timedelta(days=1)),
        (timedelta(hours=6), timedelta(hours=6)),
        (timedelta(hours=-6), timedelta(0)),
    ],
)
def test_a_charge_is_known_a_day_after_its_period_unless_the_file_came_earlier(
    received_after: timedelta, known_after: timedelta
) -> None:
    """Never before the period ended, never later than the stated lag."""
    raw = pl.DataFrame({name: ["x"] for name in RAW_FOCUS_CHARGES.column_names}).with_columns(
        charge_period_end=pl.lit(ENDED), received_at=pl.lit(ENDED + received_after)
    )

    core = core_cost(raw)

    assert core.columns == list(CORE_COST_CHARGES.column_names)
    assert core["known_at"].to_list() == [ENDED + known_after]
