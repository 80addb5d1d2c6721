"""``why``: a decision reproduced from the ledger. Facts first, then model, baseline and data; the score last."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.gate import revision_of
from weaver_forge.cli.place import deployment
from weaver_forge.errors import UsageError
from weaver_forge.hooks.facts import SHOWN, data_lines, evidence_of, fact_line, instant, model_line, plain, score_line
from weaver_forge.hooks.revision import repository_at
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.queries import show


def why(
    decision_id: str = "",
    /,
    *,
    change: str | None = None,
    decision: str = "",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say why a decision came out as it did, from the record alone.

    Args:
        decision_id: The id of a decision or prediction, or a unique beginning of it.
        change: Instead of an id: the newest decision about this revision.
        decision: With --change: of this decision only.
        json: Print everything as JSON.
    """
    if bool(decision_id) == bool(change):
        raise UsageError("nothing, or two things, to explain", where="why", do="Give a decision's id, or --change REV")
    with Ledger.open(deployment().ledger_url, create=False) as ledger:
        found = show(ledger, decision_id or _newest_about(ledger, str(change), decision))
    if json:
        text.as_json(plain(found))
    else:
        _explain(found)
    return 0


def _newest_about(ledger: Ledger, change: str, decision: str) -> str:
    revision = revision_of(change, repository_at(Path.cwd()))
    rows = ledger.rows(
        "decisions",
        "where unit like :unit and (:decision = '' or decision = :decision) "
        "order by batch_seq desc, position desc limit 1",
        {"unit": f"%{revision}%", "decision": decision},
        columns=("decision_id",),
    )
    if not rows:
        raise UsageError(f"no decision about {change}", where="ledger", do="Ask `weaver-forge gate` first")
    return str(rows[0]["decision_id"])


def _explain(found: dict[str, Any]) -> None:
    predictions = sorted(found["predictions"], key=lambda row: -(row["probability"] or 0.0))
    for decision in found["decisions"][-1:]:
        about = decision["unit"].replace("|", " ")
        text.out(f"{decision['verdict'].upper()} {decision['decision']} for {about}")
        text.out(f"  at {decision['hook']}, {instant(decision['made_at'])}, exit code {decision['exit_code']}")
    if predictions:
        row = predictions[0]
        text.group("Evidence", [fact_line(fact) for fact in evidence_of(row)[:SHOWN]])
        text.group("Candidates", [str(item.get("candidate", item)) for item in (row["candidates"] or [])[:SHOWN]])
        text.group("Model", [model_line(row), f"baseline {row['baseline_name']}"])
        missing = dict.fromkeys(row["sources_missing"] or [], "")
        text.group("Data", data_lines(row, None, missing))
        text.group("Outcome", [_outcome(found["outcomes"])])
        text.group(
            "Approvals", [f"{a['actor']} until {instant(a['expires_at'])}: {a['reason']}" for a in found["approvals"]]
        )
        text.group("Score", [score_line(row, "")])
    for decision in found["decisions"][-1:]:
        text.group("Policy", decision["reasons"] or [])
    if len(predictions) > 1:
        text.out(f"\nThe first of {len(predictions)} predictions it rests on; all of them: --json")


def _outcome(outcomes: list[dict[str, Any]]) -> str:
    if not outcomes:
        return "not known yet"
    newest = outcomes[-1]
    known = f" {newest['outcome']:g}" if newest["outcome"] is not None else ""
    return f"{newest['maturity']}{known}, known {instant(newest['outcome_known_at'])}"
