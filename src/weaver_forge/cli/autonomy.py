"""``autonomy``: what every action has earned and why; ``autonomy halt`` and ``resume``: the kill switch."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge import settings as settings_module
from weaver_forge.cli import text
from weaver_forge.cli.ledger import warn_of_damage
from weaver_forge.cli.place import Place, deployment, place
from weaver_forge.errors import UsageError, WeaverForgeError
from weaver_forge.hooks import switch
from weaver_forge.hooks.facts import instant, plain
from weaver_forge.hooks.matrix import autonomy_matrix
from weaver_forge.hooks.standing import HALTED, read_standings
from weaver_forge.ledger import Ledger
from weaver_forge.ledger import spool as ledger_spool
from weaver_forge.ledger.queries_autonomy import history as standings_history
from weaver_forge.ledger.queries_autonomy import uncertain_acts
from weaver_forge.policy import Policy, parse

Flag = Annotated[bool, Parameter(negative="")]

_COLUMNS = ("decision", "action", "scope", "level", "ceiling", "earned", "bound", "bar", "trials", "n_pending")
_HISTORY = (
    "assessed_at",
    "decision",
    "action",
    "scope",
    "previous_level",
    "level",
    "proposed_level",
    "cause",
    "reason",
)


def autonomy(*, history: bool, decision: str | None, json: bool) -> int:
    """Show the matrix, or how it came about; the arguments are explained where the command is declared."""
    at = place(None)
    with Ledger.open(at.settings.ledger_url, create=False) as ledger:
        warn_of_damage(ledger)
        if history:
            return _history(ledger, decision, json=json)
        rows = rows_of(at, ledger)
        uncertain = uncertain_acts(ledger)
    rows = [row for row in rows if decision in {None, row["decision"]}]
    notes = read_standings(at.settings.published).notes
    if json:
        text.as_json(plain({"rows": rows, "uncertain_acts": uncertain, "notes": notes}))
        return 0
    for line in text.table(_COLUMNS, [[row[name] for name in _COLUMNS] for row in rows]):
        text.out(line)
    for row in rows:
        text.group(f"{row['decision']} {row['action']} ({row['scope']})", _said(row))
    text.group("Not known whether done (claimed, never finished; never repeated)", map(_claimed, uncertain))
    for line in notes:
        text.note(f"note: {line}")
    return 0


def rows_of(at: Place, ledger: Ledger) -> list[dict[str, Any]]:
    """The matrix of the deployment at hand."""
    policy = parse(at.policy_text, at.policy_name) if at.policy_text else Policy(version=1)
    specs = at.snapshot.specs if at.snapshot else {}
    return autonomy_matrix(ledger, policy, specs, read_standings(at.settings.published))


def halt(
    *,
    reason: str,
    scope: str = "all",
    actor: str = "",
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    json: Flag = False,
) -> int:
    """Return every hook to assisted within a second, until resumed; works without the ledger.

    Args:
        reason: Why, in words; hooks say it with every verdict.
        scope: development, deployment, operations or all.
        actor: Who halts; the user's name where it is not said.
        from_: The published folder that hooks read, if not the one of the deployment found from here.
        json: Print what was turned as JSON.
    """
    return _turn(scope=scope, reason=reason, actor=actor, folder=from_, is_on=True, json=json)


def resume(
    *,
    reason: str,
    scope: str = "all",
    actor: str = "",
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    json: Flag = False,
) -> int:
    """Turn the kill switch off. What had been earned is checked again before it takes effect.

    Args:
        reason: Why, in words.
        scope: development, deployment, operations or all; all resumes every scope.
        actor: Who resumes; the user's name where it is not said.
        from_: The published folder that hooks read, if not the one of the deployment found from here.
        json: Print what was turned as JSON.
    """
    return _turn(scope=scope, reason=reason, actor=actor, folder=from_, is_on=False, json=json)


def user() -> str:
    """Who sits here, as the system says."""
    return settings_module.variable("USER") or settings_module.variable("LOGNAME") or "unknown"


def _turn(*, scope: str, reason: str, actor: str, folder: Path | None, is_on: bool, json: bool) -> int:
    if not reason.strip():
        raise UsageError("no reason is given", where="autonomy", do="Give --reason WHY; it stands in the ledger")
    at = deployment() if folder is None else None
    published = folder if at is None else at.published
    assert published is not None
    now = at.now() if at else settings_module.Settings(root=Path.cwd(), python=Path(), decisions={}).now()
    rows = switch.turn(published, scope=scope, is_on=is_on, actor=actor or user(), reason=reason, now=now)
    recorded = [_recorded(at, row, now) for row in rows]
    if json:
        text.as_json(plain({"switches": rows, "file": str(published / HALTED), "recorded": recorded}))
        return 0
    for row, where in zip(rows, recorded, strict=True):
        text.out(f"{'HALTED' if is_on else 'RESUMED'} {row['scope']}: {row['reason']} ({row['actor']}; {where})")
    if is_on:
        text.out("Every hook that reads this folder is assisted from now on. To end it: weaver-forge autonomy resume")
    else:
        text.out("Hooks act again at the level that is in force; see weaver-forge autonomy")
    return 0


def _recorded(at: settings_module.Settings | None, row: dict[str, Any], now: Any) -> str:
    """Tell the ledger, else the spool; the file is in force whatever becomes of the record."""
    if at is None:
        return "in the file alone: no deployment was named"
    try:
        with Ledger.open(at.ledger_url) as ledger:
            ledger.append("switches", [row], now=now)
    except (OSError, WeaverForgeError) as error:
        text.note(f"note: the ledger did not take it: {error}")
    else:
        return "ledger"
    try:
        return f"spool {ledger_spool.append(at.spool, row, now=now, kind='switches')}"
    except (OSError, WeaverForgeError) as error:
        text.note(f"WARNING: IT IS RECORDED IN THE FILE ALONE: the spool cannot be written: {error}")
        return "in the file alone"


def _history(ledger: Ledger, decision: str | None, *, json: bool) -> int:
    rows = standings_history(ledger, decision=decision)
    if json:
        text.as_json(plain({"rows": rows}))
    else:
        cells = [[instant(row[n]) if n == "assessed_at" else row[n] for n in _HISTORY] for row in rows]
        for line in text.table(_HISTORY, cells):
            text.out(line)
    return 0


def _said(row: dict[str, Any]) -> list[str]:
    """What a table has no room for."""
    lines = [f"why: {row['why']}"]
    if row["no_trials_because"]:
        lines.append(f"CAN NEVER HAVE A TRIAL: {row['no_trials_because']}")
    if row["proposed_level"]:
        hours = f"{row['promotion_delay_hours']:g} h"
        lines.append(
            f"proposed: {row['proposed_level']} since {instant(row['proposed_since'])}; checked again {hours} later"
        )
    if row["changed_at"]:
        lines.append(f"last change: {instant(row['changed_at'])}: {row['changed_reason']}")
    if row["taken_back_by"]:
        lines.append(f"taken back at once by: {row['taken_back_by']}")
    beside = [f"{row['n_replay']} replayed" if row["n_replay"] else "", _unseen(row["n_unresolvable"])]
    newest = f"newest mature trial {instant(row['evidence_until'])}" if row["evidence_until"] else "no mature trial"
    lines.append("; ".join([newest, *(part for part in beside if part)]))
    if row["policy_ceiling"] != row["ceiling"]:
        lines.append(f"ceiling: policy allows {row['policy_ceiling']}, enable set {row['set_ceiling']}")
    return lines


def _unseen(n: int) -> str:
    return f"{n} units whose outcome nobody will know" if n else ""


def _claimed(row: dict[str, Any]) -> str:
    return f"{row['action']} on {row['unit'].replace('|', ' ')} at {row['hook']}, claimed {instant(row['made_at'])}"
