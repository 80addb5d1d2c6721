"""A run as plain data: what ``--json`` prints and the text is made of."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from weaver_forge.insights.finding import Report
from weaver_forge.insights.hypothesis import Insight

MEANING = (
    "1 - q: of all insights said with at least this confidence, a share of at most 1 - confidence is expected to be "
    "accidental. It says nothing about causes."
)


def report_data(report: Report, categories: Collection[str] = ()) -> dict[str, Any]:
    """The run; of the given categories only, where any are given: all were judged together all the same."""
    wanted = set(categories)
    return {
        "insights": [insight_data(each) for each in report.insights if not wanted or each.category in wanted],
        "families": [asdict(each) for each in report.families if not wanted or each.category in wanted],
        "n_hypotheses": report.n_hypotheses,
        "n_insights": len(report.insights),
        "false_discovery_rate": report.alpha,
        "method": report.method,
        "confidence_means": MEANING,
        "since": _instant(report.since),
        "until": _instant(report.until),
    }


def insight_data(each: Insight) -> dict[str, Any]:
    """One insight."""
    return {**asdict(each), "subject": dict(each.subject)}


def _instant(value: datetime) -> str:
    return f"{value.isoformat()}Z"
