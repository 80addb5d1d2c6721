"""Daily partitions, for the marts that are computed a day at a time from spans."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import dagster as dg

from weaver_forge.settings import Settings

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def daily(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Days from the configured start, through today even before it has ended: load is wanted now."""
    return dg.DailyPartitionsDefinition(start_date=settings.partitions_start, end_offset=1)


def range_tags(start: date, end: date) -> dict[str, str]:
    """Tags that make one run of the days from ``start`` to ``end``, both included."""
    return {RANGE_START: start.isoformat(), RANGE_END: end.isoformat()}


def of_days(name: str) -> dg.AssetDep:
    """What an asset without partitions reads of one with days: all of them.

    Dagster is told of the newest alone. It would list thousands of days for every such input of every step, only to
    find that they are more than it compares.
    """
    return dg.AssetDep(name, partition_mapping=dg.LastPartitionMapping())


def days_of(context: dg.AssetExecutionContext) -> tuple[date, date]:
    """First day of a partitioned run, and the day after its last."""
    keys = context.partition_keys
    return date.fromisoformat(min(keys)), date.fromisoformat(max(keys)) + timedelta(days=1)


def contiguous(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Blocks of neighbouring days, both ends included: a run materializes a range, not a set."""
    ordered = sorted(set(days))
    start = 0
    for index, day in enumerate(ordered):
        if index + 1 == len(ordered) or ordered[index + 1] != day + timedelta(days=1):
            yield ordered[start], day
            start = index + 1
