"""The values: a hypothesis with its p-value, a family of them, and an insight as it is told.

Values only; what is tested is in the modules named after a subject, what stands is ``discoveries``' to say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from weaver_forge.insights.intervals import Effect

Row = Mapping[str, Any]
Rows = Sequence[Row]

CATEGORIES = ("tests", "changes", "ci", "traces", "deployments", "cost", "telemetry")


@dataclass(frozen=True, slots=True)
class Fact:
    """A piece of evidence.

    Args:
        text: In words, with its numbers.
        n: Units that it was counted over.
        link: What it is about, as ``kind:id``; empty for the whole.
    """

    text: str
    n: int
    link: str = ""


@dataclass(frozen=True, slots=True)
class Impact:
    """What it amounts to a month, as far as it can be counted: of an association, not of its cause.

    Args:
        value: In the unit; None where it cannot be counted.
        unit: runs, minutes, changes, incidents, hours of waiting, or a currency.
        text: In words.
    """

    value: float | None
    unit: str
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a hypothesis that stands."""

    description: str
    effect: "Effect"
    impact: Impact
    facts: tuple[Fact, ...]
    query: str


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Something that may be associated with something, and how surprising the data are if it is not.

    Args:
        subject: What it is about, as data.
        p: The p-value of "nothing to find".
        n: Units behind it.
        tell: Says it, with an interval of the level that is asked for.
    """

    subject: Mapping[str, str]
    p: float
    n: int
    tell: Callable[[float], Told]


@dataclass(frozen=True, slots=True)
class Tested:
    """What a family made of its rows.

    Args:
        hypotheses: All that could be judged, whatever came out.
        missing: Why there are none or not all: "insufficient data: 9 of 14 days".
    """

    hypotheses: tuple[Hypothesis, ...]
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Hypotheses of one kind.

    Args:
        name: snake_case, unique.
        category: One of CATEGORIES.
        question: What is asked, in words.
        unit: What is exchanged with what if there is nothing to find.
        tables: What its query reads.
        sql: Its query; ``$since`` stands for the first instant, as a literal.
        test: Makes the hypotheses of the query's rows; ``days`` are those of the window that have passed.
        shuffle: The rows with whatever there was to find destroyed, by exchanging whole units.
    """

    name: str
    category: str
    question: str
    unit: str
    tables: tuple[str, ...]
    sql: str
    test: Callable[[Rows, float], Tested]
    shuffle: "Callable[[Rows, np.random.Generator], Rows]"

    def query(self, since: datetime) -> str:
        """The query with its first instant."""
        return self.sql.replace("$since", literal(since))


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """An association that stands, as it is shown.

    Args:
        insight_id: The same for the same subject in every run.
        confidence: 1 - q: of insights said with at least this confidence, a share of at most 1 - confidence is
            expected to be accidental.
        query: Gives the rows behind it again, on the published snapshot.
    """

    insight_id: str
    family: str
    category: str
    description: str
    impact: Impact
    effect: "Effect"
    confidence: float
    q_value: float
    p_value: float
    n: int
    subject: Mapping[str, str]
    evidence: tuple[Fact, ...] = field(default=())
    query: str = ""


def literal(value: datetime | str) -> str:
    """A value as an SQL literal."""
    if isinstance(value, datetime):
        return f"timestamp '{value.isoformat(sep=' ')}'"
    return "'" + value.replace("'", "''") + "'"
