"""intelligence: what the published history shows, tested; reads the snapshot alone and writes nothing."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from assets.resources import Emit
from weaver_forge.errors import UsageError
from weaver_forge.insights.families import ALL
from weaver_forge.insights.finding import Report, judge, read
from weaver_forge.insights.hypothesis import CATEGORIES
from weaver_forge.insights.showing import report_data
from weaver_forge.settings import Settings
from weaver_forge.snapshot import Snapshot, open_snapshot

DAYS = 90


def intelligence(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Tell ``{"categories": [names], "days": n}``; both optional. All categories are judged, whichever are told."""
    categories = [str(name) for name in arguments.get("categories") or ()]
    if unknown := [name for name in categories if name not in CATEGORIES]:
        raise UsageError(f"no category {unknown[0]!r}", where="--category", do=f"Known: {', '.join(CATEGORIES)}")
    with open_snapshot(settings.published) as snapshot:
        report = run(snapshot, settings.now(), days_of(arguments))
        data = {**report_data(report, categories), **about(snapshot)}
    emit({"event": "result", "data": data})
    return 0


def days_of(arguments: Mapping[str, Any]) -> int:
    """The length of the window.

    Raises:
        UsageError: If it is no number from 1 on.
    """
    days = int(arguments.get("days") or DAYS)
    if days < 1:
        raise UsageError(f"{days} days hold nothing", where="--days", do="Give 1 or more")
    return days


def run(snapshot: Snapshot, now: datetime, days: int) -> Report:
    """Judge every family on the newest days of a snapshot."""
    until = snapshot.data_as_of or now
    since = until - timedelta(days=days)
    rows = read(ALL, snapshot.rows, snapshot.tables(), since)
    return judge(ALL, rows, since=max(since, _begins(snapshot, since)), until=until)


def about(snapshot: Snapshot) -> dict[str, Any]:
    """Where the numbers are from: the file on which every query can be run again."""
    return {"snapshot": str(snapshot.path), "snapshot_version": snapshot.version}


def _begins(snapshot: Snapshot, since: datetime) -> datetime:
    """The first thing that happened in the window: what is said a month is divided by the days that there are."""
    told = {
        "core_changes__changes": "committed_at",
        "core_ci__runs": "started_at",
        "core_trace__red_minutes": "minute_at",
        "core_cost__charges": "charge_period_start",
    }
    seen = []
    for table, column in told.items():
        if table in snapshot.tables():
            row = snapshot.rows(f"select min({column}) as first from {table} where {column} >= ?", [since])[0]  # noqa: S608 - constants
            seen += [row["first"]] if row["first"] else []
    return min(seen, default=since)
