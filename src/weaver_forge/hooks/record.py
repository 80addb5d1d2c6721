"""Writing a decision down: to the ledger, else to the spool, else saying that it is nowhere. Never stops a gate.

Put here how hooks reach the ledger, and what a decision's row holds. What is decided belongs in the hook.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_forge.errors import WeaverForgeError
from weaver_forge.hooks.asking import inputs_of
from weaver_forge.hooks.own_folder import make_folder
from weaver_forge.policy import Approval

if TYPE_CHECKING:
    from weaver_forge.hooks.ci_gate import GateAnswer
    from weaver_forge.ledger import Ledger


@dataclass(slots=True)
class Record:
    """The way to the ledger during one answer.

    Attributes:
        ledger: Open, or None where none could be reached.
        approval: A person's yes that holds for this unit and hook.
        notes: What went wrong on the way, in words.
    """

    ledger: "Ledger | None" = None
    approval: Approval | None = None
    notes: list[str] = field(default_factory=list)

    def session(self) -> AbstractContextManager[object]:
        """Lets go of the ledger at the end."""
        return self.ledger if self.ledger is not None else nullcontext()

    def write(self, row: Mapping[str, Any], *, policy_text: str, spool: Path, now: datetime) -> str:
        """Write the decision, and say where it is."""
        if self.ledger is not None:
            try:
                _keep_policy(self.ledger, policy_text, now)
                self.ledger.append("decisions", [row], now=now)
            except (OSError, WeaverForgeError) as error:
                self.notes.append(f"the ledger did not take the decision: {error}")
            else:
                return "ledger"
        return self._spooled(row, spool, now)

    def _spooled(self, row: Mapping[str, Any], folder: Path, now: datetime) -> str:
        from weaver_forge.ledger import spool

        try:
            make_folder(folder)
            return f"spool {spool.append(folder, row, now=now)}"
        except (OSError, WeaverForgeError) as error:
            self.notes.append(f"THE DECISION IS RECORDED NOWHERE: the spool {folder} cannot be written: {error}")
            return "nowhere"


def open_record(ledger: "Callable[[], Ledger] | None", *, decision: str, unit: str, hook: str, now: datetime) -> Record:
    """Reach for the ledger and look up a person's yes; where that fails, a note says so."""
    record = Record()
    if ledger is None:
        record.notes.append("no ledger is in reach: approvals were not looked up, the decision goes to the spool")
        return record
    try:
        record.ledger = ledger()
        found = record.ledger.approval(decision=decision, unit=unit, hook=hook, now=now)
    except (OSError, WeaverForgeError) as error:
        record.notes.append(f"the ledger cannot be reached, approvals were not looked up: {error}")
        return record
    if found:
        record.approval = Approval(
            actor=found["actor"], reason=found["reason"] or "no reason given", expires_at=found["expires_at"]
        )
    return record


def decision_row(answer: "GateAnswer", *, policy_text: str, now: datetime) -> dict[str, Any]:
    """The decision as the ledger stores it."""
    ruling = answer.ruling
    return {
        "decision_id": answer.decision_id,
        "decision": answer.request.decision,
        "entity": answer.entity,
        "unit": answer.unit,
        "subject": dict(answer.subject),
        "hook": answer.request.hook,
        "prediction_ids": [row["prediction_id"] for row in answer.predictions if row.get("prediction_id")],
        "verdict": str(ruling.verdict),
        "level": str(ruling.level),
        "scope": str(ruling.scope),
        "applied": ruling.applied,
        "exit_code": ruling.exit_code,
        "reasons": list(ruling.reasons),
        "rules": list(ruling.rules),
        "policy_sha256": sha256(policy_text.encode()).hexdigest(),
        "freshness": str(ruling.freshness),
        "actor": answer.request.actor or None,
        "snapshot_version": answer.snapshot_version,
        "made_at": now,
        "expires_at": ruling.expires_at,
        "action": ruling.action or None,
        "ceiling": str(ruling.ceiling),
        "earned": str(ruling.earned),
        "held_out": ruling.held_out,
        "draw": ruling.draw,
        "inputs": inputs_of(answer.question, ruling, answer.left) if answer.question is not None else None,
    }


def _keep_policy(ledger: "Ledger", text: str, now: datetime) -> None:
    """Store the text once: a decision names the policy by its hash alone."""
    digest = sha256(text.encode()).hexdigest()
    known = ledger.rows("policies", "where policy_sha256 = :id", {"id": digest}, columns=("policy_sha256",))
    if not known:
        ledger.append("policies", [{"policy_sha256": digest, "text": text, "first_used_at": now}], now=now)
