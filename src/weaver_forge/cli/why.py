"""``why``: a decision reproduced from the ledger. Facts first, then model, baseline and data; the score last."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.gate import revision_of
from weaver_forge.cli.place import deployment
from weaver_forge.errors import UsageError
from weaver_forge.hooks.facts import SHOWN, data_lines, evidence_of, fact_line, instant, model_line, plain, score_line
from weaver_forge.hooks.reproducing import About, reproduced
from weaver_forge.hooks.revision import repository_at
from weaver_forge.ledger import Ledger


def why(
    decision_id: str = "",
    /,
    *,
    change: str | None = None,
    test: str | None = None,
    scaled: str | None = None,
    blocked: str | None = None,
    decision: str = "",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say why a decision came out as it did, from the record alone: nothing else is read, and policy is asked again.

    Args:
        decision_id: The id of a decision or prediction, or a unique beginning of it.
        change: Instead of an id: the newest decision about this revision.
        test: With --change: why this test was placed as it was; its id, or a unique part of it.
        scaled: Instead of an id: the newest decision on the capacity of this service.
        blocked: Instead of an id: the newest decision that held this revision back.
        decision: Without an id: of this decision only.
        json: Print everything as JSON.
    """
    about = _about(decision_id, change, test, scaled, blocked, decision)
    with Ledger.open(deployment().ledger_url, create=False) as ledger:
        found = reproduced(ledger, about)
    if json:
        text.as_json(plain(found))
    else:
        _explain(found)
    return 0


def _about(
    decision_id: str, change: str | None, test: str | None, scaled: str | None, blocked: str | None, decision: str
) -> About:
    given = [value for value in (decision_id, change, scaled, blocked) if value]
    if len(given) != 1 or (test and not change):
        raise UsageError(
            "nothing, or two things, to explain",
            where="why",
            do="Give a decision's id, --change REV [--test T], --scaled SERVICE or --blocked REV",
        )
    return About(
        id=decision_id,
        change=_revision(change),
        test=test or "",
        scaled=scaled or "",
        blocked=_revision(blocked),
        decision=decision,
    )


def _revision(change: str | None) -> str:
    return revision_of(change, repository_at(Path.cwd())) if change else ""


def _explain(found: dict[str, Any]) -> None:
    """Facts, where they come from, what was missing, outcome, score; then what policy made of it, and makes now."""
    predictions = sorted(found["predictions"], key=lambda row: -(row["probability"] or 0.0))
    decision = found["decisions"][-1] if found["decisions"] else None
    if decision is not None:
        text.out(f"{decision['verdict'].upper()} {decision['decision']} for {decision['unit'].replace('|', ' ')}")
        text.out(f"  at {decision['hook']}, {instant(decision['made_at'])}, exit code {decision['exit_code']}")
    for line in found["notes"]:
        text.out(f"  {line}")
    asked = found["test"]
    row = asked["prediction"] if asked else predictions[0] if predictions else None
    if row is not None:
        _prediction(row, [item for item in found["outcomes"] if item["prediction_id"] == row["prediction_id"]])
    if asked:
        text.group(f"The test {asked['test_id']}", _test_lines(asked))
    elif len(predictions) > 1:
        text.out(f"\nThe first of {len(predictions)} predictions it rests on; all of them: --json")
    if decision is not None:
        if row is None:
            _planned(decision["inputs"] or {})
            text.group("Unavailable", _unavailable(_sources(decision)))
        if found["left"] is not None:
            text.group("Left for later", _left_lines(found["left"]))
        text.group(
            "Approvals", [f"{a['actor']} until {instant(a['expires_at'])}: {a['reason']}" for a in found["approvals"]]
        )
        text.group("What was done", [_act(act) for act in found["acts"]])
        text.group("Policy" if decision["policy_sha256"] else "Reasons", decision["reasons"] or [])
        text.group("Rules that fired", decision["rules"] or ["none was recorded"])
        text.group("Asked again, of the policy of that time", _again_lines(found["again"]))


def _prediction(row: dict[str, Any], outcomes: list[dict[str, Any]]) -> None:
    text.group("Evidence", [fact_line(fact) for fact in evidence_of(row)[:SHOWN]])
    text.group("Candidates", [str(item.get("candidate", item)) for item in (row["candidates"] or [])[:SHOWN]])
    text.group("Model", [model_line(row), f"baseline {row['baseline_name']}"])
    text.group("Data", data_lines(row, None, {}))
    text.group("Unavailable", _unavailable(row["sources_missing"] or []))
    text.group("Outcome", [_outcome(outcomes)])
    text.group("Score", [score_line(row, "")])


def _planned(item: dict[str, Any]) -> None:
    """What a planned change rests on, where the decision carries one out: measured facts, its check, its way back."""
    text.group("Evidence", [f"{fact['text']} (n = {fact['n']:,})" for fact in item.get("facts", ())])
    text.group("Check", [item["check"]["text"]] if "text" in item.get("check", {}) else [])
    text.group("Way back", [item["way_back"]] if "way_back" in item else [])


def _act(act: dict[str, Any]) -> str:
    detail = f": {act['detail']}" if act["detail"] else ""
    return f"{act['state']} {instant(act['made_at'])}{detail}"


def _sources(decision: dict[str, Any]) -> list[str]:
    question = (decision.get("inputs") or {}).get("question") or {}
    return list(question.get("sources_missing") or [])


def _unavailable(sources: list[str]) -> list[str]:
    return sources or ["no source that it would have used was missing"]


def _test_lines(asked: dict[str, Any]) -> list[str]:
    waits = {True: "it may wait", False: "it may not wait", None: "whether it may wait was not recorded then"}
    later = {"threshold": "it was left for later", "budget": "it was left for later: no room in the budget"}
    ran = [] if asked["left_for_later"] is None else [later.get(asked["left_for_later"], "it ran at once")]
    return [f"place {asked['place']} of {asked['of']}", waits[asked["may_wait"]], *asked["why"], *ran]


def _left_lines(left: dict[str, Any]) -> list[str]:
    """Threshold, how many are below it, which waited, and whether the same come out now."""
    if not left["n"]:
        return ["no order was known: everything ran"]
    lines = [left["rule"] or "no threshold says what may wait"]
    lines += [f"on past runs: {left['caught']}"] if left["aim"] else []
    lines += left["fired"]
    where = "not in it" if left["aim"] else "below it"
    lines.append(f"{len(left['below'])} of {left['n']} are {where}; {len(left['skipped'])} were left for later by it")
    if left["budget"]:
        lines.append(f"{len(left['over_budget'])} more had no room in the budget {left['budget']}")
    waited = [*left["skipped"], *left["over_budget"]]
    lines += waited[:SHOWN]
    lines += [f"and {len(waited) - SHOWN} more: --json"] if len(waited) > SHOWN else []
    same = {True: f"the same are {where}", False: f"OTHERS THAN WERE RECORDED are {where}"}
    return [*lines, f"asked again: {same.get(left['same'], 'not possible: ' + left['why'])}"]


def _again_lines(again: dict[str, Any]) -> list[str]:
    if again["same"] is None:
        return [f"not possible: {again['why']}"]
    differences = [
        f"{name}: {item['recorded']} was recorded, {item['now']} comes out now"
        for name, item in again["differences"].items()
        if name not in {"reasons", "rules"}
    ]
    if again["same"]:
        worded = " (in other words)" if again["differences"] else ""
        return [f"the same verdict{worded}"]
    return ["ANOTHER VERDICT than was recorded", *differences]


def _outcome(outcomes: list[dict[str, Any]]) -> str:
    if not outcomes:
        return "not known yet"
    newest = outcomes[-1]
    known = f" {newest['outcome']:g}" if newest["outcome"] is not None else ""
    return f"{newest['maturity']}{known}, known {instant(newest['outcome_known_at'])}"
