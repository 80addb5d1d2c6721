"""``intelligence``: what the stored history shows, with its evidence."""

from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.pipeline import answer
from weaver_forge.cli.place import deployment

Flag = Annotated[bool, Parameter(negative="")]
Names = Annotated[tuple[str, ...], Parameter(negative="")]

_SHOWN = 5


def intelligence(*, category: Names = (), days: int = 90, all: Flag = False, json: Flag = False) -> int:  # noqa: A002 - the flag's name
    """Tell what goes with what in the published history: with effect, interval, confidence, evidence and query.

    Args:
        category: Tell only these: tests, changes, ci, traces, deployments, cost, telemetry; repeatable. All are judged.
        days: How far back.
        all: Every insight with its evidence, not the surest of each category alone.
        json: Print everything as JSON.
    """
    code, data = answer(deployment(), "intelligence", {"categories": list(category), "days": days})
    if code or data is None:
        return code
    if json:
        text.as_json(data)
        return code
    show(data, everything=all)
    return code


def show(data: dict[str, Any], *, everything: bool) -> None:
    """A run as text."""
    rate = f"{100 * data['false_discovery_rate']:g} %"
    text.out(
        f"{data['n_insights']} of {data['n_hypotheses']} hypotheses stand; at most {rate} of these are expected to be "
        f"accidental ({data['method']})."
    )
    text.out(
        f"Data from {data['since'][:10]} to {data['until'][:10]}. What goes together need not be cause and effect."
    )
    for category in dict.fromkeys(family["category"] for family in data["families"]):
        found = [each for each in data["insights"] if each["category"] == category]
        shown = found if everything else found[:_SHOWN]
        lines = [line for each in shown for line in _lines(each, evidence=everything)]
        if len(shown) < len(found):
            lines.append(f"and {len(found) - len(shown)} more: --category {category} --all")
        text.group(category, lines or [_nothing(data, category)])
    missing = [f"{each['name']}: {each['missing']}" for each in data["families"] if each["missing"]]
    text.group("Not asked", missing)
    text.out(f"\nEvery query runs on {data['snapshot']}; --json has them.")


def _nothing(data: dict[str, Any], category: str) -> str:
    n = sum(each["n_hypotheses"] for each in data["families"] if each["category"] == category)
    return f"nothing stands out of {n} hypotheses" if n else "nothing could be asked"


def _lines(each: dict[str, Any], *, evidence: bool) -> list[str]:
    lines = [f"* {each['description']}", f"  {each['impact']['text']}; confidence {_sure(each['confidence'])}"]
    if evidence:
        lines += [f"  - {fact['text']} (n = {fact['n']:,}){_link(fact)}" for fact in each["evidence"]]
        lines.append(f"  query: {each['query']}")
    return lines


def _link(fact: dict[str, Any]) -> str:
    return f" [{fact['link']}]" if fact["link"] else ""


def _sure(confidence: float) -> str:
    """Never rounded up to certainty."""
    return "above 0.9999" if confidence > 0.9999 else f"{int(confidence * 10_000) / 10_000:.4g}"
