"""``ledger``: the record, read only. Every figure comes from ``weaver_forge.ledger.queries``."""

from typing import Annotated, Literal

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.place import deployment
from weaver_forge.errors import LedgerBroken, UsageError
from weaver_forge.hooks.facts import instant, plain
from weaver_forge.ledger import Ledger, queries

Json = Annotated[bool, Parameter(negative="")]
Kind = Literal["predictions", "decisions", "approvals", "outcomes", "evaluations", "scores", "policies"]

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
        rows = ledger.tail(kind, n)
    if json:
        text.as_json(plain(rows))
        return 0
    columns = _SHOWN[kind]
    cells = [[instant(row[c]) if c.endswith("_at") else row[c] for c in columns] for row in rows]
    for line in text.table(columns, cells):
        text.out(line)
    return 0


def show(id: str, /, *, json: Json = False) -> int:  # noqa: A002 - the argument's name in the help
    """Show a decision or prediction with everything that hangs on it.

    Args:
        id: The id, or a unique beginning of it.
        json: Print as JSON.
    """
    with _open() as ledger:
        found = queries.show(ledger, id)
    if json:
        text.as_json(plain(found))
        return 0
    text.out(f"{found['kind']} {found['id']}")
    for name in ("decisions", "predictions", "outcomes", "approvals"):
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
        board = [row for row in queries.scoreboard(ledger) if decision in {"", row["decision"]}]
        totals = [row for row in queries.totals(ledger) if decision in {"", row["decision"]}]
    if json:
        text.as_json(plain({"totals": totals, "scores": board}))
        return 0
    names = ("decision", "entity", "origin", "n", "n_mature", "n_pending", "n_unresolvable")
    text.group("Predictions", text.table(names, [[row[name] for name in names] for row in totals]))
    verdict = {True: "yes", False: "no", None: "not shown"}
    rows = [
        [r["decision"], r["entity"], r["origin"], r["metric"], r["text"], r["baseline_value"], r["gain"],
         verdict[r["beats_baseline"]]]
        for r in board
    ]  # fmt: skip
    columns = ("decision", "entity", "origin", "metric", "value [95 %]", "baseline", "gain", "beats baseline")
    text.group("Scores", text.table(columns, rows))
    return 0


def verify(*, json: Json = False) -> int:
    """Check every row and every link of the chain.

    Args:
        json: Print as JSON.
    """
    with _open() as ledger:
        found = ledger.verify()
    if json:
        text.as_json(
            {"ok": found.ok, "n_batches": found.n_batches, "n_rows": found.n_rows, "broken": list(found.broken)}
        )
    if found.ok:
        if not json:
            text.out(f"The ledger is whole: {found.n_rows} rows in {found.n_batches} batches.")
        return 0
    raise LedgerBroken(
        "the hash chain does not verify: " + "; ".join(found.broken),
        where=deployment().ledger_url,
        do="Somebody changed the file: compare it with a backup",
    )
