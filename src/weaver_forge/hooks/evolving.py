"""Carrying out what a plan asks for and this product can take back: claimed, recorded with its check, undone exactly.

Today that is one thing: a path more among the protected paths of ``policy.yaml``. Put another reversible change beside
it. What is proposed and why is ``insights.evolution``'s; whatever people have to do is never done here.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_forge.contracts.values import Level, Scope, Verdict
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.hooks.acts import Act, Acted, State, act_once, undo
from weaver_forge.hooks.standing import read_standings
from weaver_forge.insights.evolution.policy_edit import Edited, protect, unprotect
from weaver_forge.ledger import uuid7
from weaver_forge.ledger.queries_autonomy import acts_of

if TYPE_CHECKING:
    from weaver_forge.ledger import Ledger

DECISION, HOOK = "evolution", "evolve"

_KEY = "protected_paths"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where things are changed.

    Args:
        policy: The deployment's policy.yaml.
        published: The folder that hooks read; the kill switch is there.
        copies: Folder for the files as they were before.
        ledger: Open.
        clock: The current instant, naive UTC.
        actor: Who confirmed.
    """

    policy: Path
    published: Path
    copies: Path
    ledger: "Ledger"
    clock: Callable[[], datetime]
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An item that was carried out once.

    Args:
        item_id: Of the plan.
        decision_id: Under which it stands in the ledger.
        state: As it stands now.
        at: When it was done, naive UTC; None where it was not.
        item: The item as it was planned, with its check.
        act: The action.
    """

    item_id: str
    decision_id: str
    state: State
    at: datetime | None
    item: Mapping[str, Any]
    act: Act


def carry_out(work: Workshop, item: Mapping[str, Any]) -> Acted:
    """Do what a planned item says, once; it stands in the ledger before anything is changed.

    An item whose hook died half-way is not done again until a person says what became of it. While anything is halted
    nothing is changed.

    Args:
        work: Where.
        item: As the plan gives it, with its ``edit``.

    Raises:
        UsageError: If it has no edit: people have to do it.
        PolicyError: If the policy cannot be changed so; nothing has been changed.
        WeaverForgeError: If the ledger does not take the claim; nothing has been changed.
    """
    edit = item.get("edit")
    if not edit:
        raise UsageError(f"{item['item_id']} has to be done by people", where="evolve", do=str(item["what"]))
    if why := _halted(work):
        return Acted(state=State.HALTED, detail=why)
    before = _text(work.policy)
    edited = protect(before, str(work.policy), edit["decision"], edit["pattern"])
    row = _row(work, item, before, edited)
    act = _act(row)
    if known := acts_of(work.ledger, act.key):  # of another process, or of one that died
        row = {**row, "decision_id": known[-1]["decision_id"]}
    else:
        work.ledger.append("decisions", [row], now=row["made_at"])

    def change() -> str:
        if _text(work.policy) != before:
            raise SourceError("it was changed by somebody else meanwhile", where=str(work.policy), do="Run it again")
        work.copies.mkdir(parents=True, exist_ok=True)
        _replace(work.copies / f"{row['decision_id']}.yaml", before)
        _replace(work.policy, edited.text)
        return f"added {edit['pattern']} to protected_paths of {edit['decision']} in {work.policy.name}"

    return act_once(work.ledger, act, change, clock=work.clock, halted=lambda: _halted(work))


def take_back(work: Workshop, item_id: str) -> Acted:
    """Undo an item: to the byte where nothing else was changed since, else the one piece alone.

    Raises:
        UsageError: If it is not done.
        PolicyError: If it cannot be taken out alone; nothing has been changed.
    """
    done = [each for each in carried_out(work.ledger) if each.item_id == item_id]
    if not done:
        known = ", ".join(each.item_id for each in carried_out(work.ledger) if each.state is State.DONE) or "none"
        raise UsageError(f"nothing was carried out under {item_id!r}", where="--undo", do=f"Can be undone: {known}")
    newest = done[-1]

    def revert() -> str:
        told, edit = newest.item["change"], newest.item["edit"]
        now = _text(work.policy)
        if _digest(now) == told["after_sha256"]:
            text = _text(work.copies / f"{newest.decision_id}.yaml")
            if _digest(text) != told["before_sha256"]:
                raise SourceError("the copy of the file before is damaged", where=str(work.copies), do="Edit by hand")
            _replace(work.policy, text)
            return f"{work.policy.name} is what it was before, to the byte"
        text = unprotect(now, str(work.policy), edit["decision"], edit["pattern"], with_key=_brought_key(work, edit))
        _replace(work.policy, text)
        return f"took {edit['pattern']} out of {work.policy.name}; what else was changed since is kept"

    return undo(work.ledger, newest.act, revert, clock=work.clock)


def carried_out(ledger: "Ledger") -> list[Done]:
    """Every item that was ever carried out or begun, oldest first, as it stands now."""
    found = []
    for row in ledger.rows("decisions", "where hook = :h order by batch_seq, position", {"h": HOOK}):
        act = _act(row)
        states = [each for each in acts_of(ledger, act.key) if each["decision_id"] == row["decision_id"]]
        if not states:
            continue
        done = [each["made_at"] for each in states if each["state"] == State.DONE]
        found.append(
            Done(
                item_id=row["subject"]["item_id"],
                decision_id=row["decision_id"],
                state=State(states[-1]["state"]),
                at=done[0] if done else None,
                item=row["inputs"],
                act=act,
            )
        )
    return found


def _row(work: Workshop, item: Mapping[str, Any], before: str, edited: Edited) -> dict[str, Any]:
    """The decision: a person confirmed it. ``inputs`` has all that is needed to check and to undo it."""
    now = work.clock()
    undone = [each for each in carried_out(work.ledger) if each.item_id == item["item_id"] and _is_over(each)]
    change = {
        "before_sha256": _digest(before),
        "after_sha256": _digest(edited.text),
        "inserted": edited.inserted,
    }
    return {
        "decision_id": uuid7(now, os.urandom(10)),
        "decision": DECISION,
        "entity": item["kind"],
        "unit": f"{item['item_id']}#{len(undone) + 1}",
        "subject": {"item_id": item["item_id"], **item["subject"]},
        "hook": HOOK,
        "prediction_ids": [],
        "verdict": Verdict.ALLOW.value,
        "level": Level.SUPERVISED.value,
        "scope": Scope.DEVELOPMENT.value,
        "applied": True,
        "exit_code": 0,
        "reasons": [item["what"], item["effect"]["text"]],
        "actor": work.actor,
        "made_at": now,
        "action": item["kind"],
        "held_out": False,
        "inputs": {**item, "change": change},
    }


def _brought_key(work: Workshop, edit: Mapping[str, Any]) -> bool:
    """Whether the decision had no protected paths before any of ours was added."""
    same = [each.item for each in carried_out(work.ledger) if each.item["edit"]["decision"] == edit["decision"]]
    return any(_KEY in item["change"]["inserted"] for item in same)


def _is_over(each: Done) -> bool:
    return each.state in {State.UNDONE, State.FAILED}


def _act(row: Mapping[str, Any]) -> Act:
    return Act(decision_id=row["decision_id"], decision=DECISION, action=row["entity"], unit=row["unit"], hook=HOOK)


def _halted(work: Workshop) -> str:
    """A halt anywhere stops changes of the configuration."""
    halts: Sequence[str] = list(read_standings(work.published).halts.values())
    return halts[0] if halts else ""


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # as it is: line ends are part of it
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot be read: {error}", where=str(path), do="Check the file") from error


def _replace(path: Path, text: str) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        unfinished.chmod(path.stat().st_mode & 0o777)
    unfinished.replace(path)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
