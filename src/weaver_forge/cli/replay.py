"""``replay`` and its short form ``backtest``: what a policy would have done on the history that is on disk."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from weaver_forge.cli import replay_markdown, replay_text, text
from weaver_forge.cli.pipeline import answer
from weaver_forge.cli.place import deployment

Flag = Annotated[bool, Parameter(negative="")]
Paths = Annotated[tuple[Path, ...], Parameter(negative="")]
Budgets = Annotated[tuple[str, ...], Parameter(negative="")]
_SHORT = {"tests": "test_selection"}


def replay(
    decision: str,
    /,
    *,
    entity: str = "",
    last: int | None = None,
    since: str | None = None,
    until: str | None = None,
    policy: Paths = (),
    budget: Budgets = (),
    select: Budgets = (),
    steps: int | None = None,
    hook: str = "ci",
    format: Literal["text", "markdown"] = "text",  # noqa: A002 - the flag's name
    record: Flag = False,
    json: Flag = False,
) -> int:
    """Re-run a decision over its past, point in time, and say what a policy would have done. Writes nothing.

    Args:
        decision: Which decision, for example deploy_risk; tests is short for test_selection.
        entity: Of a decision with several kinds of subjects, this one only.
        last: The newest decisions whose outcomes are known; 200 where neither this nor --since is given.
        since: Predictions from this date or time on, UTC.
        until: Predictions up to this date or time, UTC.
        policy: A policy file; repeat it to see several side by side. Today's policy where none is given.
        budget: Of rankings: share of the expected time ("25%") or a time ("10m") to run at once; repeatable.
        select: Of tests: what a selection is to reach, as "confidence 95%", "time 10m" or "target 25%"; repeatable.
        steps: Times at which the method is learnt anew within the window; 5 where nothing is said.
        hook: The enforcement point whose lots for the holdout are drawn.
        format: Text for the terminal, or Markdown for a pull request.
        record: Write predictions and outcomes to the ledger, as replay, each once.
        json: Print the whole answer as JSON.
    """
    given: dict[str, Any] = {
        "entity": entity,
        "last": last,
        "since": since,
        "until": until,
        "policies": [str(path.expanduser().absolute()) for path in policy],
        "budgets": list(budget),
        "aims": list(select),
        "steps": steps,
        "hook": hook,
        "record": record,
    }
    arguments = {"decision": _SHORT.get(decision, decision), **{name: value for name, value in given.items() if value}}
    code, data = answer(deployment(), "replay", arguments)
    if data is None:
        return code
    if json:
        text.as_json(data)
    elif format == "markdown":
        text.out(replay_markdown.document(data))
    else:
        replay_text.show(data)
    return code


def backtest(decision: str = "", /, *, json: Flag = False) -> int:
    """Judge a decision on the history that is on disk, point in time; writes nothing. The short form of replay.

    Args:
        decision: Which; all where none is named.
        json: Print only the result, as JSON.
    """
    code, data = answer(deployment(), "backtest", {"decision": decision} if decision else {})
    if data is None:
        return code
    if json:
        text.as_json(data)
    else:
        replay_text.show_backtest(data)
    return code
