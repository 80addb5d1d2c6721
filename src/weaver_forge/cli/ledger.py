"""``ledger``: the record. Every figure comes from ``ledger.queries``; ``verify`` makes a daily root that is due."""

import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.place import deployment
from weaver_forge.errors import LedgerBroken, SourceError, UsageError
from weaver_forge.hooks.facts import instant, plain
from weaver_forge.ledger import Ledger, Verification, queries, queries_status

Json = Annotated[bool, Parameter(negative="")]
Kind = Literal[
    "predictions", "decisions", "approvals", "outcomes", "evaluations", "scores", "policies",
    "standings", "switches", "ceilings", "acts", "roots", "quarantines",
]  # fmt: skip
Exported = Literal[Kind, "chain"]

_SHOWN = {
    "predictions": ("prediction_id", "decision", "unit", "predicted_at", "probability", "value", "model_name"),
    "decisions": ("decision_id", "decision", "unit", "hook", "verdict", "level", "exit_code", "made_at"),
    "approvals": ("decision_id", "decision", "unit", "hook", "actor", "reason", "expires_at"),
    "outcomes": ("prediction_id", "outcome", "maturity", "outcome_known_at", "link_method"),
    "evaluations": (
        "decision",
        "entity",
        "model_name",
        "metric",
        "value",
        "baseline_value",
        "gain",
        "promoted",
        "reason",
    ),
    "scores": ("decision", "entity", "origin", "metric", "value", "baseline_value", "n", "n_pending"),
    "policies": ("policy_sha256", "first_used_at"),
    "standings": ("decision", "action", "scope", "level", "n_trials", "bound", "bar", "cause", "assessed_at"),
    "switches": ("scope", "is_on", "actor", "reason", "made_at"),
    "ceilings": ("decision", "scope", "level", "actor", "context", "made_at"),
    "acts": ("act_id", "decision_id", "action", "unit", "hook", "state", "made_at"),
    "quarantines": ("test_id", "state", "expires_at", "actor", "reason", "made_at"),
    "roots": ("day", "first_batch", "last_batch", "n_rows", "merkle_root"),
}


def _open() -> Ledger:
    return Ledger.open(deployment().ledger_url, create=False)


def tail(kind: Kind = "decisions", /, *, n: int = 10, json: Json = False) -> int:
    """Show the newest rows of a kind, oldest first.

    Args:
        kind: Which rows.
        n: How many.
        json: Print whole rows as JSON.
    """
    if n < 1:
        raise UsageError(f"-n {n}", where="ledger tail", do="Ask for at least one row")
    with _open() as ledger:
        rows = queries.tail(ledger, kind, n)
    if json:
        text.as_json(plain(rows))
        return 0
    columns = _SHOWN[kind]
    cells = [[instant(row[c]) if c.endswith("_at") else row[c] for c in columns] for row in rows]
    for line in text.table(columns, cells):
        text.out(line)
    return 0


def show(
    id: str,  # noqa: A002 - the argument's name in the help
    /,
    *,
    proof: Json = False,
    json: Json = False,
) -> int:
    """Show a decision or prediction with everything that hangs on it.

    Args:
        id: The id, or a unique beginning of it.
        proof: Print only the proof, as JSON, that the row is under the root of its day; docs/ledger.md checks one.
        json: Print as JSON.
    """
    with _open() as ledger:
        if proof:
            text.as_json(_proof(ledger, id))
            return 0
        found = queries.show(ledger, id)
    if json:
        text.as_json(plain(found))
        return 0
    text.out(f"{found['kind']} {found['id']}")
    for name in ("decisions", "predictions", "outcomes", "approvals", "acts"):
        for row in found[name]:
            shown = {key: value for key, value in row.items() if value is not None}
            width = max(len(key) for key in shown)
            text.group(name.removesuffix("s"), [f"{key:<{width}}  {text.cell(plain(v))}" for key, v in shown.items()])
    if found["policy"]:
        text.group("policy", found["policy"].splitlines())
    return 0


def score(*, decision: str = "", json: Json = False) -> int:
    """Show how predictions turned out, against the named baseline; no number without enough behind it.

    Args:
        decision: Only this decision.
        json: Print as JSON.
    """
    with _open() as ledger:
        warn_of_damage(ledger)
        board = [row for row in queries.scoreboard(ledger) if decision in {"", row["decision"]}]
        totals = [row for row in queries.totals(ledger) if decision in {"", row["decision"]}]
    if json:
        text.as_json(plain({"totals": totals, "scores": board}))
        return 0
    names = ("decision", "entity", "origin", "n", "n_mature", "n_pending", "n_unresolvable")
    text.group("Predictions", text.table(names, [[row[name] for name in names] for row in totals]))
    verdict = {True: "yes", False: "no", None: "not shown"}
    rows = [
        [r["decision"], r["entity"], r["origin"], r["metric"], r["text"], r["baseline_value"], r["gain_text"],
         verdict[r["beats_baseline"]]]
        for r in board
    ]  # fmt: skip
    columns = ("decision", "entity", "origin", "metric", "value [95 %]", "baseline", "gain [90 %]", "beats baseline")
    text.group("Scores", text.table(columns, rows))
    return 0


def verify(*, against: Path | None = None, keep: Path | None = None, json: Json = False) -> int:
    """Check every row, every link of the chain, every daily root, and the database itself.

    Args:
        against: File of heads and roots kept elsewhere: each must still be there, or the end was cut off.
        keep: File to add today's head and all daily roots to, if everything holds; keep it where nobody else writes.
        json: Print as JSON.
    """
    from weaver_forge.ledger import anchors

    settings = deployment()
    known = anchors.read(against) if against else []
    with _open() as ledger:
        found = ledger.verify(known=known)
        if found.ok:
            _seal(ledger, settings.now())
            if keep:
                _keep(keep, anchors.lines(ledger.head(), queries.roots(ledger)))
    if json:
        text.as_json(_said(found))
    if found.ok:
        if not json:
            counted = f"{found.n_rows} rows in {found.n_batches} batches, {found.n_roots} daily roots"
            text.out(f"The ledger is whole: {counted}.")
            if not known:
                text.note("That nothing was cut off at its end shows only --against a head or root kept elsewhere.")
        return 0
    raise LedgerBroken(
        "the ledger does not verify: " + "; ".join(found.broken),
        where=settings.ledger_url,
        do="Somebody changed it: compare it with a backup",
    )


def export(
    file: Path | None = None,
    /,
    *,
    kind: Exported = "decisions",
    since: str = "",
    until: str = "",
    decision: str = "",
    json: Json = False,
) -> int:
    """Write rows out, in the order of the chain.

    Args:
        file: Its end says the format: .json, .jsonl, .csv or .parquet; JSON lines are printed where there is none.
        kind: Which rows.
        since: Recorded at this date or instant (UTC) or later.
        until: Recorded before this date or instant (UTC).
        decision: Only of this decision.
        json: Say as JSON what was written.
    """
    from weaver_forge.ledger import exporting

    wanted = exporting.Wanted(
        kind=kind, since=_instant(since, "--since"), until=_instant(until, "--until"), decision=decision
    )
    with _open() as ledger:
        if file is None:
            exporting.write(ledger, wanted, sys.stdout)
            return 0
        n_rows = exporting.export(ledger, wanted, file)
    if json:
        text.as_json({"file": str(file), "kind": kind, "rows": n_rows})
    else:
        text.out(f"{n_rows} {kind} in {file}")
    return 0


def warn_of_damage(ledger: Ledger) -> None:
    """Say beside figures that rows they rest on are gone."""
    if why := queries_status.damage(ledger):
        text.note(f"WARNING: {why}")


def _proof(ledger: Ledger, prefix: str) -> dict[str, Any]:
    from weaver_forge.ledger.proofs import prove

    found = queries.show(ledger, prefix)
    return prove(ledger, f"{found['kind']}s", found["id"])


def _seal(ledger: Ledger, now: datetime) -> None:
    try:
        ledger.seal(now=now)
    except SourceError as error:  # a ledger that may only be read is verified all the same
        text.note(f"No daily root was made: {error}")


def _keep(path: Path, lines: Iterable[str]) -> None:
    """Add what is not there yet; what was kept before stays."""
    try:
        kept = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.write_text("".join(f"{line}\n" for line in dict.fromkeys([*kept, *lines])), encoding="utf-8")
    except OSError as error:
        raise SourceError(f"cannot be written: {error.strerror or error}", where=str(path)) from error


def _instant(given: str, name: str) -> datetime | None:
    from weaver_forge.ledger.canonical import instant_of

    try:
        return instant_of(given) if given else None
    except ValueError as error:
        raise UsageError(
            f"{given!r} is no date or instant", where=name, do="Write 2026-03-01 or 2026-03-01T12:00"
        ) from error


def _said(found: Verification) -> dict[str, Any]:
    head = None if found.head is None else {"batch_seq": found.head.batch_seq, "hash": found.head.hash}
    return {
        "ok": found.ok, "n_batches": found.n_batches, "n_rows": found.n_rows, "n_roots": found.n_roots,
        "head": head, "broken": list(found.broken),
    }  # fmt: skip
