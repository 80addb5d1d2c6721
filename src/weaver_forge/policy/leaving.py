"""What a decision about many subjects left for later, in a form that is written down and read again. Pure.

Put here what the record of such a decision holds: ``rank-tests`` and whatever else chooses tests write it, ``why``, the
accounting of escapes and trials read it. Who may be left for later is ``judging``'s; choosing is the hooks'.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Places are those in the decision's list of predictions, from 0.

    Args:
        n: Subjects that were chosen from; 0 where no order was known, so that everything ran.
        rule: The threshold in words; empty where policy has none.
        below: Places of what policy would leave for later by its threshold, whatever has been earned.
        skipped: Places of what was left for later on that ground.
        always: Places of what is below the threshold and ran all the same, because a rule says that it always runs.
        over_budget: Places of what a person's budget left for later.
        below_sha256: Hash of the names below the threshold, see :func:`names_sha256`.
        rest_sha256: Hash of the names of all that was left for later.
        budget: The budget as it was given; empty where none was.
        durations_ms: What each subject takes, where the choice depends on it; None where that is not known.
        aim: What was chosen by instead of a threshold, such as "confidence 95%"; empty where a threshold chose.
        order_name: Of the order that was cut; empty where a threshold chose.
        share: Of the expected time up to which the order runs now, where the aim is a confidence.
        caught: Failing runs that this part would have caught, in words.
        fired: Rules by which some or all ran whatever was predicted, in words.
    """

    n: int = 0
    rule: str = ""
    below: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    always: tuple[int, ...] = ()
    over_budget: tuple[int, ...] = ()
    below_sha256: str = ""
    rest_sha256: str = ""
    budget: str = ""
    durations_ms: tuple[float | None, ...] = ()
    aim: str = ""
    order_name: str = ""
    share: float | None = None
    caught: str = ""
    fired: tuple[str, ...] = ()

    @property
    def rest(self) -> tuple[int, ...]:
        """Places of all that was left for later."""
        return tuple(sorted({*self.skipped, *self.over_budget}))

    def as_data(self) -> dict[str, Any]:
        """JSON-able, without what is as by default."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return {f.name: list(v) if isinstance(v := data[f.name], tuple) else v
                for f in fields(self) if getattr(self, f.name) != f.default or f.name == "n"}  # fmt: skip


def left_of(inputs: Mapping[str, Any] | None) -> Left | None:
    """Read it back from a decision's inputs; None where the decision says nothing about it.

    Raises:
        msgspec.ValidationError: If it is none.
    """
    found = (inputs or {}).get("left")
    return msgspec.convert(found, Left) if found is not None else None


def names_sha256(names: Iterable[str]) -> str:
    """SHA-256 over the sorted names, a line each; empty where there are none."""
    text = "\n".join(sorted(names))
    return sha256(text.encode()).hexdigest() if text else ""


def places_of(names: Sequence[str], chosen: Iterable[str]) -> tuple[int, ...]:
    """Where the chosen ones stand among all of them."""
    wanted = set(chosen)
    return tuple(place for place, name in enumerate(names) if name in wanted)
