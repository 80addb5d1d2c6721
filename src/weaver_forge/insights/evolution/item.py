"""The values of a plan: an item, what it may bring, its check and its way back."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weaver_forge.insights.hypothesis import Fact

AREAS = ("architecture", "performance", "security", "process")

HOURS: Mapping[str, float] = {
    "revisions": 0.25,
    "minutes": 0.2 / 60,
    "failures": 0.1,
    "bugs": 6.0,
    "broken builds": 0.5,
    "bad deployments": 4.0,
    "hours of waiting": 0.02,
    "money": 1 / 60,
}
"""Hours of a person that one of each is taken to cost: stated, not measured. Of money, an hour for 60 of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What an item may bring a month.

    Args:
        reach: What it touches a month, in the unit, as measured; None where that was not measured.
        low: Lower end of the interval of ``reach``.
        high: Upper end.
        unit: Of the three.
        share: Of the reach that is taken to go away: stated, not measured; None where nobody can say.
        text: All of it in words, or "not estimable: why".
    """

    reach: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    share: float | None = None
    text: str

    @property
    def hours(self) -> float | None:
        """Hours of people a month that it is expected to save; None where it is not estimable."""
        worth = HOURS.get(self.unit, HOURS["money"] if len(self.unit) == 3 and self.unit.isupper() else None)
        if self.reach is None or self.share is None or worth is None:
            return None
        return max(self.reach, 0.0) * self.share * worth


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What will say whether it worked.

    Args:
        text: In words: what has to be seen.
        query: One row with ``n`` (units seen since then) and ``value``; ``$done`` stands for the instant it was done.
        below: The value that must not be reached.
        least: Units below which nothing is said yet.
        noun: Of the units.
    """

    text: str
    query: str
    below: float
    least: int
    noun: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to do.

    Args:
        area: One of AREAS.
        kind: snake_case: what sort of thing it is.
        subject: What it is done to, as data.
        what: In words.
        effect: What it may bring.
        effort_hours: Hours of people that it takes, in the first month: stated, not measured.
        check: What will say whether it worked.
        way_back: How it is undone.
        facts: What was measured.
        edit: What ``--confirm`` changes: ``file`` and its arguments; None where people have to do it.
    """

    area: str
    kind: str
    subject: Mapping[str, str]
    what: str
    effect: Estimate
    effort_hours: float
    check: Check
    way_back: str
    facts: tuple[Fact, ...] = ()
    edit: Mapping[str, str] | None = field(default=None)

    @property
    def item_id(self) -> str:
        """The same for the same thing in every plan."""
        text = json.dumps([self.kind, dict(self.subject)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def as_data(self) -> dict[str, Any]:
        """The item as plain data."""
        from dataclasses import asdict

        return {
            "item_id": self.item_id,
            **asdict(self),
            "subject": dict(self.subject),
            "edit": dict(self.edit) if self.edit else None,
            "expected_hours_a_month": self.effect.hours,
        }
