"""``enable``: how far hooks may go at most; says what that would change before it changes it."""

import sys
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.autonomy import rows_of, user
from weaver_forge.cli.place import Place, place
from weaver_forge.contracts.values import Level
from weaver_forge.errors import UsageError
from weaver_forge.hooks.facts import plain
from weaver_forge.hooks.matrix import Proposed, changes
from weaver_forge.hooks.publishing_standings import publish_standings
from weaver_forge.ledger import Ledger

Flag = Annotated[bool, Parameter(negative="")]

_COLUMNS = (
    "decision", "action", "scope", "ceiling_now", "ceiling_then", "earned", "level_now", "level_then", "trials",
)  # fmt: skip


def enable(
    *,
    level: Literal["assisted", "supervised", "autonomous"],
    scope: Literal["development", "deployment", "operations", "all"],
    decision: str | None = None,
    business_context: str = "",
    actor: str = "",
    yes: Flag = False,
    json: Flag = False,
) -> int:
    """Set the highest level that hooks may have; how much of it is in force has to be earned.

    Args:
        level: The ceiling; the lower of this and policy.yaml's holds.
        scope: Where in the life of a change.
        decision: For this decision alone; else for all of the scope.
        business_context: Why, in words; it stands in the ledger.
        actor: Who allows it; the user's name where it is not said.
        yes: Do it without asking.
        json: Print what changes and what is earned as JSON; needs --yes.
    """
    at = place(None)
    asked = Proposed(decision, scope, Level(level))
    at.settings.data.mkdir(parents=True, exist_ok=True)
    with Ledger.open(at.settings.ledger_url) as ledger:
        before = rows_of(at, ledger)
        _refuse_unknown(decision, before)
        found = changes(before, asked)
        if not json:
            _say(found, asked)
        _agreed(yes=yes, json=json)
        now = at.settings.now()
        row = {
            "decision": decision,
            "scope": scope,
            "level": level,
            "actor": actor or user(),
            "context": business_context or None,
            "made_at": now,
        }
        ledger.append("ceilings", [row], now=now)
        publish_standings(at.settings.published, ledger, {r["decision"] for r in before}, now=now)
        after = rows_of(at, ledger)
    return _told(at, row, found, after, json=json)


def _refuse_unknown(decision: str | None, rows: list[dict[str, Any]]) -> None:
    known = sorted({row["decision"] for row in rows})
    if decision is not None and decision not in known:
        raise UsageError(
            f"no decision {decision!r} has an action here",
            where="--decision",
            do=f"Known: {', '.join(known) or 'none'}",
        )


def _agreed(*, yes: bool, json: bool) -> None:
    """Ask where somebody can answer; nothing is set without a yes.

    Raises:
        UsageError: If nobody said yes.
    """
    if yes:
        return
    if not json and sys.stdin.isatty() and input("Set it? [y/N] ").strip().lower() in {"y", "yes"}:
        return
    raise UsageError("nothing was changed: nobody said yes", where="enable", do="Give --yes")


def _say(found: list[dict[str, Any]], asked: Proposed) -> None:
    text.out(f"A ceiling of {asked.level} for {asked.decision or 'every decision'} in {asked.scope} would change:")
    for line in text.table(_COLUMNS, [[row[name] for name in _COLUMNS] for row in found]):
        text.out(f"  {line}")
    if any(row["is_capped"] for row in found):
        text.out("policy.yaml allows less for some of them, and the lower of both holds: raise it there, in review.")
    if any(row["level_then"] != row["ceiling_then"] for row in found):
        text.out("What is not earned yet stays as it is: a ceiling allows, outcomes promote.")


def _told(
    at: Place, row: dict[str, Any], found: list[dict[str, Any]], after: list[dict[str, Any]], *, json: bool
) -> int:
    changed = {(r["decision"], r["entity"], r["action"], r["scope"]) for r in found}
    now = [r for r in after if (r["decision"], r["entity"], r["action"], r["scope"]) in changed]
    if json:
        text.as_json(plain({"ceiling": row, "changes": found, "rows": now}))
        return 0
    text.out(f"\nSet by {row['actor']}; hooks that read {at.settings.published} know it from now on.")
    text.group(
        "Earned now",
        [
            f"{r['decision']} {r['action']} ({r['scope']}): {r['level']} in force; {r['trials']}; {r['why']}"
            for r in now
        ],
    )
    return 0
