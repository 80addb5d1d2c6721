"""``approve``: a person's yes to one decision unit at one hook, for as long as policy lets it hold."""

from datetime import timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.place import deployment
from weaver_forge.errors import UsageError
from weaver_forge.hooks.facts import instant, plain
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.queries import show
from weaver_forge.policy import effective, in_force


def approve(
    decision_id: str, /, *, actor: str, reason: str, json: Annotated[bool, Parameter(negative="")] = False
) -> int:
    """Record a person's yes: the next run of that hook for that subject passes, and the verdict stays as it is.

    Args:
        decision_id: The decision's id, or a unique beginning of it.
        actor: Who says yes.
        reason: Why, in words; it stands in the ledger.
        json: Print the record as JSON.
    """
    if not actor.strip() or not reason.strip():
        raise UsageError("an approval needs a person and a reason", where="approve", do="Give --actor and --reason")
    at = deployment()
    now = at.now()
    policy_text = at.policy.read_text(encoding="utf-8") if at.policy.is_file() else ""
    policy = in_force(policy_text, str(at.policy))
    with Ledger.open(at.ledger_url, create=False) as ledger:
        found = show(ledger, decision_id)
        if found["kind"] != "decision":
            raise UsageError(f"{found['id']} is a prediction", where="approve", do="Give the id of a decision")
        decision = found["decisions"][0]
        rule = effective(policy, decision["decision"], decision.get("action") or "")
        row = {
            "decision_id": found["id"],
            "decision": decision["decision"],
            "unit": decision["unit"],
            "hook": decision["hook"],
            "actor": actor,
            "reason": reason,
            "approved_at": now,
            "expires_at": now + timedelta(hours=rule.approval_hours),
        }
        ledger.append("approvals", [row], now=now)
    if json:
        text.as_json(plain(row))
    else:
        about = f"{decision['decision']} for {decision['unit'].replace('|', ' ')} at {decision['hook']}"
        text.out(f"Approved by {actor} until {instant(row['expires_at'])}: {about}")
        text.out(f"The verdict stays {decision['verdict']}; {_then(decision)}.")
    return 0


def _then(decision: dict[str, Any]) -> str:
    """What the next run of the hook does."""
    question = (decision.get("inputs") or {}).get("question") or {}
    if question.get("holds", True):
        return "the next run of this hook exits 0"
    return "the next run of this hook may do it, where supervised or more has been earned"
