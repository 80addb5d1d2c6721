"""Doing something at most once: claimed in the ledger before it is done, and what came of it after.

A claim is durable before the action begins, and only one process can have it. A hook that dies in between leaves a
claim that nobody finished: whether the action was taken is not known, so it is said and never taken again until a
person says what became of it. Without a ledger nothing is done. Put here the order of claiming and acting; whether an
action may be taken is policy's (``Ruling.acts``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from weaver_forge.errors import UsageError, WeaverForgeError
from weaver_forge.ledger.queries_autonomy import acts_of

if TYPE_CHECKING:
    from weaver_forge.ledger import Ledger

Clock = Callable[[], datetime]


class State(StrEnum):
    """What is known of an action; the first four stand in the ledger."""

    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"
    HALTED = "halted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One action on one unit at one hook.

    Args:
        decision_id: The decision that it carries out.
        decision: Its name.
        action: The action class.
        unit: What the decision covers, with its time where the same comes again (a service's next two hours).
        hook: The enforcement point.
    """

    decision_id: str
    decision: str
    action: str
    unit: str
    hook: str

    @property
    def key(self) -> str:
        """The same for the same action on the same unit, whichever decision asks for it and however often."""
        text = f"act\0{self.decision}\0{self.action}\0{self.unit}\0{self.hook}"
        return sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What became of an action.

    Args:
        state: As it stands now.
        is_new: Whether this call took it.
        is_uncertain: Claimed earlier, and nobody said what came of it: under way elsewhere, or its hook died.
        detail: In words.
    """

    state: State
    is_new: bool = False
    is_uncertain: bool = False
    detail: str = ""


def act_once(ledger: "Ledger", act: Act, do: Callable[[], str], *, clock: Clock, halted: Callable[[], str]) -> Acted:
    """Take an action unless it has been claimed before.

    Args:
        ledger: Open. Where it takes no claim, nothing is done.
        act: What is done.
        do: Does it, and says what it did; an exception is recorded as failed and raised again.
        clock: The current instant, naive UTC.
        halted: Why the kill switch is on, asked before the claim and once more before acting; empty where it is off.

    Raises:
        WeaverForgeError: If the claim cannot be written. Nothing has been done.
    """
    if why := halted():
        return Acted(state=State.HALTED, detail=why)
    if not _say(ledger, act, State.CLAIMED, "", clock()):
        return _before(ledger, act)
    if why := halted():
        detail = f"halted after the claim, nothing was done: {why}"
        _say(ledger, act, State.FAILED, detail, clock())
        return Acted(state=State.FAILED, is_new=True, detail=detail)
    try:
        detail = do()
    except Exception as error:
        _say(ledger, act, State.FAILED, f"{type(error).__name__}: {error}", clock())
        raise
    _say(ledger, act, State.DONE, detail, clock())
    return Acted(state=State.DONE, is_new=True, detail=detail)


def undo(ledger: "Ledger", act: Act, revert: Callable[[], str], *, clock: Clock) -> Acted:
    """Take back what was done, and say so. An action that was taken back is not taken again.

    Raises:
        UsageError: If it was not done, or has been taken back already.
    """
    before = _before(ledger, act)
    if before.state is not State.DONE:
        what = f"{act.action} on {act.unit} is {before.state}, so that there is nothing to take back"
        raise UsageError(what, where=act.hook, do="See `weaver-forge ledger tail --kind acts`")
    detail = revert()
    _say(ledger, act, State.UNDONE, detail, clock())
    return Acted(state=State.UNDONE, is_new=True, detail=detail)


def settle(ledger: "Ledger", act: Act, state: State, detail: str, *, clock: Clock) -> Acted:
    """A person says what became of an uncertain action.

    Raises:
        UsageError: If it is not uncertain, or done and failed are not what is said.
    """
    if state not in {State.DONE, State.FAILED} or not _before(ledger, act).is_uncertain:
        raise UsageError(f"{act.action} on {act.unit} cannot be settled as {state}", where=act.hook)
    _say(ledger, act, state, detail, clock())
    return Acted(state=state, is_new=True, detail=detail)


def _say(ledger: "Ledger", act: Act, state: State, detail: str, now: datetime) -> bool:
    """Write a state; False where it was there before."""
    row = {
        "act_key": act.key,
        "decision_id": act.decision_id,
        "decision": act.decision,
        "action": act.action,
        "unit": act.unit,
        "hook": act.hook,
        "state": state.value,
        "detail": detail or None,
        "made_at": now,
    }
    return ledger.append("acts", [row], now=now) == 1


def _before(ledger: "Ledger", act: Act) -> Acted:
    rows = acts_of(ledger, act.key)
    if not rows:
        raise WeaverForgeError(f"nothing is known of {act.action} on {act.unit}", where=act.hook)
    newest = rows[-1]
    state = State(newest["state"])
    if state is not State.CLAIMED:
        return Acted(state=state, detail=newest["detail"] or "")
    since = f"{newest['made_at']:%Y-%m-%d %H:%M:%S} UTC"
    detail = f"claimed {since} and not finished: under way, or its hook died; it is not taken again"
    return Acted(state=state, is_uncertain=True, detail=detail)
