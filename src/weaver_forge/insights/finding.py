"""A run: every family tested, all hypotheses judged together, and what stands told in order.

Put here what is the same for all families. ``catalogue`` says which families there are.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from weaver_forge.insights.discoveries import ALPHA, discovered, level_after_selection, q_values
from weaver_forge.insights.hypothesis import CATEGORIES, Family, Hypothesis, Insight, Rows, Tested

DAY_S = 86_400.0
METHOD = "Benjamini-Yekutieli over the whole run and in every category"


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyReport:
    """What became of a family: how many hypotheses, how many stand, and what was missing."""

    name: str
    category: str
    question: str
    unit: str
    n_hypotheses: int
    n_found: int
    missing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run.

    Args:
        insights: What stands, the surest of each category first.
        families: Every family asked.
        n_hypotheses: All that were judged together.
        since: First instant of the data.
        until: Last instant of the data.
        alpha: The false discovery rate that is held.
        method: How.
    """

    insights: tuple[Insight, ...]
    families: tuple[FamilyReport, ...]
    n_hypotheses: int
    since: datetime
    until: datetime
    alpha: float = ALPHA
    method: str = METHOD


def read(
    families: Sequence[Family], ask: Callable[[str], Rows], present: Sequence[str], since: datetime
) -> dict[str, Rows | None]:
    """The rows of every family; None where a table that it needs is not there.

    Args:
        families: Which are asked.
        ask: Runs a query.
        present: Tables that there are.
        since: First instant.
    """
    there = set(present)
    answers: dict[str, Rows] = {}
    found: dict[str, Rows | None] = {}
    for family in families:
        if set(family.tables) <= there:
            query = family.query(since)  # several families ask the same
            found[family.name] = answers[query] = answers[query] if query in answers else ask(query)
        else:
            found[family.name] = None
    return found


def judge(families: Sequence[Family], rows: Mapping[str, Rows | None], *, since: datetime, until: datetime) -> Report:
    """Test every family, hold the false discovery rate over all hypotheses, and tell what stands."""
    days = max((until - since).total_seconds() / DAY_S, 1.0)
    tested = {family.name: _tested(family, rows[family.name], days) for family in families}
    asked = [(family, each) for family in families for each in tested[family.name].hypotheses]
    stands = standing(asked)
    q = q_values([each.p for _, each in asked], _groups(asked)) if stands.any() else np.ones(len(asked))
    level = level_after_selection(int(stands.sum()), len(asked))
    found = [_told(family, each, float(q[i]), level) for i, (family, each) in enumerate(asked) if stands[i]]
    found.sort(key=lambda insight: (CATEGORIES.index(insight.category), insight.q_value, insight.p_value))
    reports = tuple(
        FamilyReport(
            name=family.name,
            category=family.category,
            question=family.question,
            unit=family.unit,
            n_hypotheses=len(tested[family.name].hypotheses),
            n_found=sum(insight.family == family.name for insight in found),
            missing=tested[family.name].missing,
        )
        for family in families
    )
    return Report(insights=tuple(found), families=reports, n_hypotheses=len(asked), since=since, until=until)


def standing(asked: Sequence[tuple[Family, Hypothesis]]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Whether each hypothesis stands among all that were asked together."""
    return discovered([each.p for _, each in asked], _groups(asked))


def _groups(asked: Sequence[tuple[Family, Hypothesis]]) -> list[int]:
    return [CATEGORIES.index(family.category) for family, _ in asked]


def _tested(family: Family, rows: Rows | None, days: float) -> Tested:
    if rows is None:
        return Tested((), f"no data: {', '.join(family.tables)} not published here")
    return family.test(rows, days)


def _told(family: Family, each: Hypothesis, q: float, level: float) -> Insight:
    told = each.tell(level)
    subject = json.dumps(each.subject, sort_keys=True)
    return Insight(
        insight_id=hashlib.sha256(f"{family.name}\0{subject}".encode()).hexdigest()[:12],
        family=family.name,
        category=family.category,
        description=told.description,
        impact=told.impact,
        effect=told.effect,
        confidence=1.0 - q,
        q_value=q,
        p_value=each.p,
        n=each.n,
        subject=each.subject,
        evidence=told.facts,
        query=told.query,
    )
