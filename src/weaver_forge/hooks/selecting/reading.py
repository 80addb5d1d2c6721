"""What a selection reads of a published snapshot: past runs, and the files of tests. A query each.

What it means stands in ``past`` and ``always``.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import duckdb

from weaver_forge.changes.semantic.paths import is_test
from weaver_forge.contracts.decision import PAST_BASELINE
from weaver_forge.errors import SourceError
from weaver_forge.hooks.selecting.always import Fired, fired
from weaver_forge.hooks.selecting.past import Past, past_of, past_run
from weaver_forge.policy import effective

if TYPE_CHECKING:
    from weaver_forge.hooks.ci_gate import Circumstances
    from weaver_forge.hooks.subject import Kind
    from weaver_forge.snapshot import Snapshot

DECISION, ACTION = "test_selection", "skip_tests"
"""What a selection decides, and the action that the policy's rules for it are of."""

TESTS = "core_ci__test_verdicts"


def orders_of(snapshot: "Snapshot | None", kind: "Kind", repo_id: str) -> dict[str, Past]:
    """The past runs of a repository by order; nothing where none were walked through, or they cannot be read."""
    table = str(kind.get("past") or "")
    rows = _rows(snapshot, table, f'select * from "{table}" where repo_id = ?', [repo_id])  # noqa: S608 - the spec's own table
    orders = sorted({str(row["order_name"]) for row in rows})
    return {name: past_of((past_run(row) for row in rows if row["order_name"] == name), name) for name in orders}


def order_name(predictions: Sequence[dict[str, Any]], objective: str) -> str:
    """What past runs in the order of these predictions are called.

    Args:
        predictions: Of one unit.
        objective: Of the model's published order, or the one that was computed.
    """
    return PAST_BASELINE if predictions and predictions[0].get("is_baseline") else objective


def files_of(snapshot: "Snapshot | None", repo_id: str) -> dict[str, str]:
    """Test -> its file, of tests whose reports name it."""
    sql = f"select test_id, max(file) as file from {TESTS} where repo_id = ? and file is not null group by test_id"  # noqa: S608 - a constant
    return {str(row["test_id"]): str(row["file"]) for row in _rows(snapshot, TESTS, sql, [repo_id])}


def rules_of(
    around: "Circumstances", subject: Mapping[str, Any], repo_id: str, tests: Collection[str]
) -> tuple[Fired, ...]:
    """The rules that a change fires; where tests have their files is read only if it touches a test.

    Args:
        around: What is published, the policy, and the way to the files that the change touches.
        subject: The revision.
        repo_id: The repository, as the snapshot knows it.
        tests: Known tests by id.
    """
    paths = around.changed_paths(subject) if around.changed_paths is not None else None
    files = files_of(around.snapshot, repo_id) if any(is_test(path) for path in paths or ()) else {}
    return fired(paths, tests, files, effective(around.policy, DECISION, ACTION).protected_paths)


def _rows(snapshot: "Snapshot | None", table: str, sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
    """The rows of a query; nothing where the table is not there. That it cannot be read is the gate's to say."""
    if snapshot is None or not table:
        return []
    try:
        return snapshot.rows(sql, parameters) if table in snapshot.tables() else []
    except (SourceError, duckdb.Error):
        return []
