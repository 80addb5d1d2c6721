"""What tests take, as the published snapshot knows it. One query; what a duration means for a verdict is policy's."""

from typing import TYPE_CHECKING

import duckdb

from weaver_forge.errors import SourceError

if TYPE_CHECKING:
    from weaver_forge.snapshot import Snapshot

TESTS = "core_ci__test_durations"
VERDICTS = "core_ci__test_verdicts"
"""Where a deployment that has taken nothing in since there are :data:`TESTS` has what tests take."""


def known_durations(snapshot: "Snapshot | None", repo_id: str) -> dict[str, float | None]:
    """Test -> mean milliseconds over all its known runs (None where never reported), all tests of the repository.

    Nothing where there is no snapshot, or one that cannot be read: then no duration is known.
    """
    if snapshot is None:
        return {}
    where, parameters = ("where repo_id = ?", [repo_id]) if repo_id else ("", [])
    try:
        for table in (TESTS, VERDICTS):
            sql = f"select test_id, avg(duration_ms) as duration_ms from {table} {where} group by test_id"  # noqa: S608 - constants
            if table in snapshot.tables() and (rows := snapshot.rows(sql, parameters)):
                return {row["test_id"]: row["duration_ms"] for row in rows}
    except (SourceError, duckdb.Error):  # why it cannot be read is the gate's to say: it asks it for predictions too
        return {}
    return {}
