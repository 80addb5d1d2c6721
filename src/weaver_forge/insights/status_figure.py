"""A figure as it is shown: a number with its interval and n, or in words why there is none.

Put here what every figure has in common. A figure cannot be built that has a number without a state that allows it, or
none without saying why: what is not known never becomes 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from weaver_forge.errors import ContractError

Number = float | int | Decimal

NEEDED = 30
"""Below which there is no rate: the same as for every other figure of the ledger."""


class State(StrEnum):
    """What can be said of a figure."""

    MEASURED = "measured"
    INSUFFICIENT = "insufficient data"
    NOT_ESTIMABLE = "not estimable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    Args:
        name: In snake_case.
        unit: Of value, low and high, in words.
        value: None unless measured. Money is a Decimal.
        low: Lower end of the 95 % interval; the value itself where everything was counted.
        high: Upper end.
        n: What it rests on, in ``n_of``.
        n_of: What n counts ("decision units").
        n_needed: n from which there is a number; None where n is not what is lacking.
        why: Why there is no number; beside a number what is to be known of it, or empty.
        about: What it is of: scope, decision, action, hook, billing currency.
        components: Figures that it is made of, or of its parts.
        evidence: Counts and rows behind it, how it was computed, and the command that opens them.
    """

    name: str
    unit: str
    state: State
    value: Number | None = None
    low: Number | None = None
    high: Number | None = None
    n: int = 0
    n_of: str = ""
    n_needed: int | None = None
    why: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    components: tuple["Figure", ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a number that is not measured, and silence about one that is missing."""
        numbers = (self.value, self.low, self.high)
        if self.state is State.MEASURED:
            if any(number is None or number != number for number in numbers):  # noqa: PLR0124 - NaN is no number
                raise ContractError(f"figure {self.name} is called measured without value and interval: {numbers}")
        elif any(number is not None for number in numbers) or not self.why:
            raise ContractError(f"figure {self.name} is {self.state} and must have a reason, and no number")

    @property
    def text(self) -> str:
        """The figure in one line."""
        if self.state is not State.MEASURED:
            return f"{self.state}: {self.why}"
        assert self.value is not None
        exact = self.low == self.value == self.high
        interval = "" if exact else f" [{shown(self.low)}, {shown(self.high)}]"
        n = f", n = {self.n} {self.n_of}".rstrip() if self.n_of else ""
        return f"{shown(self.value)}{interval} {self.unit}{n}" + (f"; {self.why}" if self.why else "")


def measured(name: str, unit: str, estimate: tuple[Number, Number, Number], **rest: Any) -> Figure:
    """A figure with its value and the ends of its interval."""
    value, low, high = estimate
    return Figure(name=name, unit=unit, state=State.MEASURED, value=value, low=low, high=high, **rest)


def unknown(name: str, unit: str, why: str, **rest: Any) -> Figure:
    """A figure whose evidence is missing, stale or damaged."""
    return Figure(name=name, unit=unit, state=State.UNKNOWN, why=why, **rest)


def not_estimable(name: str, unit: str, why: str, **rest: Any) -> Figure:
    """A figure that the evidence at hand cannot give, however much there is of it."""
    return Figure(name=name, unit=unit, state=State.NOT_ESTIMABLE, why=why, **rest)


def insufficient(name: str, unit: str, n: int, needed: int, n_of: str, **rest: Any) -> Figure:
    """A figure that more of the same evidence will give."""
    why = f"{n} of {needed} {n_of}"
    return Figure(name=name, unit=unit, state=State.INSUFFICIENT, why=why, n=n, n_of=n_of, n_needed=needed, **rest)


def of_parts(name: str, unit: str, parts: Sequence[Figure], *, none: str, many: str) -> Figure:
    """One figure of several parts that must not be added up.

    Args:
        name: Of the whole.
        unit: Of the whole.
        parts: One a decision, action and currency; the whole has them as components.
        none: Why there is no part.
        many: Why several measured parts give no sum.
    """
    known = [part for part in parts if part.state is State.MEASURED]
    if len(known) == 1:
        return replace(known[0], name=name, components=tuple(parts))
    if known:
        n = sum(part.n for part in known)
        return not_estimable(name, unit, many, components=tuple(parts), n=n, n_of=known[0].n_of)
    if not parts:
        return unknown(name, unit, none)
    nearest = next((part for state in _NEAREST for part in parts if part.state is state), parts[0])
    of = ", ".join(nearest.about[key] for key in ("decision", "action") if nearest.about.get(key))
    why = f"{of}: {nearest.why}" if of and len({part.why for part in parts}) > 1 else nearest.why
    return replace(nearest, name=name, unit=unit, why=why, about={}, components=tuple(parts), evidence={})


def shown(number: Number | None) -> str:
    """A number for people."""
    if number is None:
        return "-"
    return f"{number:,.2f}" if isinstance(number, Decimal) else f"{number:,.4g}"


_NEAREST = (State.INSUFFICIENT, State.UNKNOWN, State.NOT_ESTIMABLE)
"""Which part speaks for a whole without a number: the one that is nearest to having one."""
