"""``ledger escapes``: what became of real failures that hooks decided about. The counting is ``ledger.queries``'."""

from datetime import datetime
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.ledger import warn_of_damage
from weaver_forge.cli.place import deployment
from weaver_forge.errors import UsageError
from weaver_forge.hooks.facts import plain
from weaver_forge.ledger import Ledger, queries

SHOWN = 20
_COLUMNS = ("decision", "action", "counted", "decisions", "caught", "escaped", "unstable", "open", "escape rate")


def escapes(
    *, decision: str = "", since: str = "", hook: str = "", json: Annotated[bool, Parameter(negative="")] = False
) -> int:
    """Count real failures as caught, escaped or unstable, and bound how many escape; each escape by name.

    Args:
        decision: Only of this decision.
        since: Decided at this date or instant (UTC) or later.
        hook: Only at this enforcement point.
        json: Print as JSON.
    """
    from weaver_forge.ledger.queries_accounting import accounting

    begin = _instant(since)
    with Ledger.open(deployment().ledger_url, create=False) as ledger:
        warn_of_damage(ledger)
        names = [decision] if decision else queries.decided(ledger)
        found = [{"decision": name, **row} for name in names for row in accounting(ledger, name, begin, hook=hook)]
    if json:
        text.as_json(plain(found))
        return 0
    if not found:
        text.out("No hook has decided about anything that can fail yet.")
        return 0
    rows = [_cells(row, counted) for row in found for counted in ("as_it_was", "if_enforced") if row[counted]]
    for line in text.table(_COLUMNS, rows):
        text.out(line)
    for row in found:
        about = f"{row['decision']} {row['action']}".strip()
        named = [" ".join(map(str, one["subject"].values())) for one in row["escapes"]]
        more = [f"and {len(named) - SHOWN} more: --json"] if len(named) > SHOWN else []
        text.group(f"{about}: escaped", [*named[:SHOWN], *more])
        if row["why"]:
            text.note(f"note: {about}: what really waited is not counted: {row['why']}")
    return 0


def _cells(row: dict[str, Any], counted: str) -> list[Any]:
    account = row[counted]
    said = {"as_it_was": "as it was", "if_enforced": "if enforced"}[counted]
    still = account["n_pending"]
    counts = [account["caught"], account["escaped"], account["unstable"], still]
    return [row["decision"], row["action"] or "-", said, row["n_decisions"], *counts, account["escape_rate"]["text"]]


def _instant(given: str) -> datetime | None:
    from weaver_forge.ledger.canonical import instant_of

    try:
        return instant_of(given) if given else None
    except ValueError as error:
        do = "Write 2026-03-01 or 2026-03-01T12:00"
        raise UsageError(f"{given!r} is no date or instant", where="--since", do=do) from error
