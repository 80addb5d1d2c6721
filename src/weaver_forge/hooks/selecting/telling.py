"""A selection and the confidence curve as data and as lines: the same figures everywhere. Pure.

Put here what is said. Where it is printed is ``cli``'s, the figure is drawn where the pipeline is installed.
"""

from collections.abc import Mapping
from typing import Any

from weaver_forge.hooks.selecting.past import Estimate, Past, curve
from weaver_forge.hooks.selecting.selection import Selection

GRID = (0.0, 0.01, 0.02, *(step / 20 for step in range(1, 21)))
"""Shares at which the curve is given; at none of the time the first test runs all the same."""

MEANS = (
    "Confidence: the estimated probability that a change that would fail the full run also fails the selected run, "
    "measured on past runs of this repository, each ordered by a method learnt before it."
)
_WIDTH = 40


def selection_as_data(selection: Selection) -> dict[str, Any]:
    """What a selection adds to the answer and its lists, as JSON."""
    past = selection.past
    return {
        "aim": selection.aim.words,
        "aim_by": selection.aim.by,
        "objective": past.order,
        "selected": [test.test_id for test in selection.chosen],
        "fired": [
            {"rule": rule.rule, "path": rule.path, "everything": rule.is_everything, "tests": list(rule.tests)}
            for rule in selection.fired
        ],
        "share": selection.share,
        "share_of": "tests" if selection.of_tests else "time",
        "confidence": _estimate(selection.runs, past),
        "failures_caught": _estimate(selection.failures, past),
        "past": past_as_data(past),
    }


def past_as_data(past: Past) -> dict[str, Any]:
    """What past runs there are."""
    return {
        "order": past.order,
        "n_runs": past.n_runs,
        "n_failing": len(past.failing),
        "needed": past.needed(),
        "since": None if past.since is None else past.since.isoformat() + "Z",
        "until": None if past.until is None else past.until.isoformat() + "Z",
    }


def curve_as_data(past: Past, selection: Selection | None = None) -> dict[str, Any]:
    """The confidence curve with today's operating point, as JSON."""
    point = None
    if selection is not None and selection.share is not None:
        n = len(selection.chosen)
        of = n + len(selection.ranking.below)
        point = {
            "aim": selection.aim.words,
            "share": selection.share,
            "is_of_tests": selection.of_tests,
            "share_of_tests": n / of if of else None,
            "acts": bool(selection.ranking.skipped),
            "confidence": _estimate(selection.runs, past),
            "failures_caught": _estimate(selection.failures, past),
        }
    return {"means": MEANS, "past": past_as_data(past), "today": point, "curve": curve(past, GRID)}


def estimate_lines(selection: Selection) -> list[str]:
    """How sure the selection has been, with n and interval, or that too little is known."""
    past = selection.past
    if selection.share is None:
        return []
    if selection.runs is None or selection.failures is None:
        return [f"confidence not known, {past.insufficient()} in {past.n_runs} past runs"]
    period = f"{past.since:%Y-%m-%d} to {past.until:%Y-%m-%d}" if past.since and past.until else ""
    whole = "tests" if selection.of_tests else "expected time"
    return [
        f"first {selection.share:.1%} of the {whole}: confidence {selection.runs.words}",
        f"failing tests within it: {selection.failures.words}",
        f"past: {past.n_runs} runs, {period}, in the order {past.order}",
    ]


def curve_lines(data: Mapping[str, Any]) -> list[str]:
    """The curve for a terminal: a bar a share of the time, today's operating point marked."""
    past, today = data["past"], data["today"]
    told = f"{past['n_runs']} past runs, {past['n_failing']} failing, in the order {past['order']}"
    if past["n_failing"] < past["needed"]:
        return [f"insufficient data: {past['n_failing']} of {past['needed']} failing runs", told]
    lines = [MEANS, told, "", "time   failing runs caught [90 % interval]                     failing tests"]
    marked = False
    for point in data["curve"]:
        if today is not None and not marked and today["share"] <= point["share"] + 1e-9:
            lines.append(_today(today))
            marked = True
        runs, failures = point["runs_by_time"], point["failures_by_time"]
        bar = ("#" * round(runs["value"] * _WIDTH)).ljust(_WIDTH)
        span = f"{_percent(runs['value'])} [{_percent(runs['low'])},{_percent(runs['high'])}]"
        lines.append(f"{_percent(point['share'])}  {bar}  {span}  {_percent(failures['value'])}")
    return lines


def _today(today: Mapping[str, Any]) -> str:
    acts = "" if today["acts"] else ", said and not done"
    runs = today["confidence"].get("value")
    caught = "not known" if runs is None else f"{runs:.1%} of failing runs"
    return f"{_percent(today['share'])}  <-- today: {today['aim']}{acts}: {caught}"


def _estimate(found: Estimate | None, past: Past) -> dict[str, Any]:
    if found is None:
        return {"value": None, "why": past.insufficient(), "n": len(past.failing), "needed": past.needed()}
    return {"value": found.value, "low": found.low, "high": found.high, "caught": found.caught, "n": found.n}


def _percent(value: float) -> str:
    return f"{value * 100:3.0f}%"
