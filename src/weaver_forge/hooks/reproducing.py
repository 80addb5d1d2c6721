"""A recorded decision found again and judged again, from the ledger alone: no warehouse, no snapshot, no network.

Put here how a question in words finds its decision, and whether policy still says what it said. How it is laid out is
``cli``'s; what hangs on a decision is ``ledger.queries``'.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from weaver_forge.errors import PolicyError, UsageError
from weaver_forge.hooks.asking import judged_again
from weaver_forge.hooks.selecting.selection import chosen_again
from weaver_forge.ledger.queries import show
from weaver_forge.policy import PredictionView, effective, evaluate, in_force, question_of
from weaver_forge.policy.judging import may_wait
from weaver_forge.policy.leaving import Left, left_of, names_sha256

if TYPE_CHECKING:
    from weaver_forge.ledger import Ledger

Row = Mapping[str, Any]

_LOOKED_AT = 200
"""Newest decisions about one thing that are looked through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is asked; one of id, test with change, scaled, blocked or change.

    Args:
        id: Of a decision or prediction, or a unique beginning of it.
        change: A whole or abbreviated commit id.
        test: A test of it: its id, or a unique part of it.
        scaled: A service whose capacity was set.
        blocked: A commit id that was held back.
        decision: Of this decision only.
    """

    id: str = ""
    change: str = ""
    test: str = ""
    scaled: str = ""
    blocked: str = ""
    decision: str = ""


def reproduced(ledger: "Ledger", about: About) -> dict[str, Any]:
    """All that the ledger holds about it, and the verdict made again.

    Returns:
        As ``ledger.queries.show``, and: ``again`` (same, differences, why), ``left`` (what of many subjects was left
        for later, see :func:`left_again`), ``test`` (the prediction asked about and what policy says of it; None where
        none was asked about) and ``notes``.

    Raises:
        UsageError: If nothing, or more than one thing, is meant.
    """
    found = show(ledger, _id_of(ledger, about))
    decision = found["decisions"][-1] if found["decisions"] else None
    notes = [] if decision is None or not about.blocked or decision["exit_code"] else [_not_held(decision)]
    return {
        **found,
        "again": again(decision, found["policy"]) if decision is not None else None,
        "left": left_again(decision, found["predictions"], found["policy"]) if decision is not None else None,
        "test": _test(found, decision, about.test) if about.test and decision is not None else None,
        "notes": notes,
    }


def again(decision: Row, policy: str | None) -> dict[str, Any]:
    """Judge a recorded decision anew.

    Returns:
        ``same``: True or False, or None where that cannot be found out, with ``why``; ``differences``: what was
        recorded and what comes out now, by name.
    """
    inputs = decision.get("inputs") or {}
    if "question" not in inputs and decision["policy_sha256"] is None and decision["actor"]:
        return _not_again(f"{decision['actor']} confirmed it, and no policy was asked")
    if "question" not in inputs:
        return _not_again("it was recorded before all that a verdict rests on was kept")
    if policy is None:
        return _not_again("the text of its policy is not in the ledger")
    try:
        ruling = judged_again(in_force(policy, "the policy of that time"), inputs)
    except (PolicyError, msgspec.ValidationError) as error:
        return _not_again(f"this version cannot read what was recorded: {error}")
    now = {
        "verdict": str(ruling.verdict),
        "exit_code": ruling.exit_code,
        "level": str(ruling.level),
        "applied": ruling.applied,
        "rules": list(ruling.rules),
        "reasons": list(ruling.reasons),
    }
    then = {name: decision[name] for name in now}
    differences = {
        name: {"recorded": then[name], "now": value}
        for name, value in now.items()
        if (then[name] or []) != (value or [])
    }
    same = not any(name in differences for name in ("verdict", "exit_code", "level", "applied"))
    return {"same": same, "why": "", "differences": differences}


def left_again(decision: Row, predictions: Sequence[Row], policy: str | None) -> dict[str, Any] | None:
    """What a decision about many subjects left for later, made again from predictions and policy of that time.

    Returns:
        None where the decision chose nothing. Else ``n``, ``rule`` (the threshold in words), ``budget``, ``aim``,
        ``caught`` and ``fired`` (of a selection, in words); by name, in the order of the record, ``below`` (the
        threshold), ``skipped`` (of these, left for later on that ground) and ``over_budget``; ``same``: whether the
        same come out below the threshold now, or None with ``why``.
    """
    left = left_of(decision.get("inputs"))
    if left is None:
        return None
    by_id = {row["prediction_id"]: row for row in predictions}
    rows = [by_id.get(id_) for id_ in decision["prediction_ids"] or []]
    names = [_name(row) for row in rows]
    told = {
        "n": left.n,
        "rule": left.rule,
        "budget": left.budget,
        "aim": left.aim,
        "caught": left.caught,
        "fired": list(left.fired),
        **{name: [names[at] for at in getattr(left, name)] for name in ("below", "skipped", "over_budget")},
    }
    if policy is None or any(row is None for row in rows):
        missing = sum(row is None for row in rows)
        why = f"{missing} of {len(rows)} predictions are not in the ledger" if policy else "its policy is not there"
        return {**told, "same": None, "why": why}
    asked = question_of(decision["inputs"]["question"])
    rule = effective(in_force(policy, "the policy of that time"), asked.decision, asked.action, asked.scope)
    views = [_view(row, left, place) for place, row in enumerate(rows) if row is not None]
    # Where no order was known everything ran, and nothing was compared with a threshold.
    if left.aim:
        later = chosen_again(left, [row for row in rows if row is not None], names) if left.n else ()
    else:
        later = tuple(may_wait(rule, asked, views)) if left.n and asked.on == "low" else ()
    below = tuple(place for place, waits_now in enumerate(later) if waits_now and place not in left.always)
    is_named = names_sha256(names[at] for at in left.below) == left.below_sha256
    return {**told, "same": below == left.below and is_named, "why": ""}


def _view(row: Row, left: Left, place: int) -> PredictionView:
    """A prediction as policy saw it then."""
    return PredictionView(
        probability=row["probability"],
        made_at=row["made_at"],
        data_as_of=row["data_as_of"],
        duration_ms=left.durations_ms[place] if left.durations_ms else None,
        value=row["value"],
    )


def _name(row: Row | None) -> str:
    return str(row["subject"].get("test_id") or "|".join(map(str, row["subject"].values()))) if row else ""


def _not_again(why: str) -> dict[str, Any]:
    return {"same": None, "why": why, "differences": {}}


def _id_of(ledger: "Ledger", about: About) -> str:
    if about.id:
        return about.id
    if about.scaled:
        return _newest(
            ledger, about, about.scaled, "", lambda row: _is_service(row, about.scaled) and _sets(ledger, row)
        )
    if about.blocked:
        held = "and verdict in ('deny', 'review')"
        found = _decisions(ledger, about, about.blocked, held)
        stopped = [row for row in found if row["exit_code"]]
        if not found:
            raise _nothing(f"nothing held back {about.blocked}", "Ask `weaver-forge why --change` what was decided")
        return str((stopped or found)[0]["decision_id"])
    if about.test:
        return _newest(ledger, about, about.change, "", lambda row: bool(_named(ledger, row, about.test)))
    return _newest(ledger, about, about.change, "", lambda _row: True)


def _newest(ledger: "Ledger", about: About, text: str, where: str, fits: Callable[[Row], bool]) -> str:
    found = next((row for row in _decisions(ledger, about, text, where) if fits(row)), None)
    if found is None:
        what = f"the test {about.test} of {text}" if about.test else text
        raise _nothing(f"no decision about {what}", "Ask `weaver-forge gate` or `weaver-forge rank-tests` first")
    return str(found["decision_id"])


def _nothing(what: str, do: str) -> UsageError:
    return UsageError(what, where="ledger", do=do)


def _decisions(ledger: "Ledger", about: About, text: str, where: str) -> list[dict[str, Any]]:
    """Decisions whose unit has the text, newest first; what a pattern of SQL means is no part of a name."""
    literal = text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return ledger.rows(
        "decisions",
        f"where unit like :unit escape '!' and (:decision = '' or decision = :decision) {where} "
        f"order by batch_seq desc, position desc limit {_LOOKED_AT}",
        {"unit": f"%{literal}%", "decision": about.decision},
        columns=("decision_id", "decision", "unit", "action", "exit_code", "prediction_ids", "verdict"),
    )


def _is_service(row: Row, service: str) -> bool:
    """A service key, or the name in the middle of one."""
    return any(part == service or part.split("/")[1:2] == [service] for part in row["unit"].split("|"))


def _sets(ledger: "Ledger", row: Row) -> bool:
    """Whether it rests on a forecast."""
    first = ledger.prediction(row["prediction_ids"][0]) if row["prediction_ids"] else None
    return first is not None and first["value"] is not None


def _named(ledger: "Ledger", row: Row, test: str) -> list[dict[str, Any]]:
    return _of_test([found for id_ in row["prediction_ids"] or [] if (found := ledger.prediction(id_))], test)


def _of_test(predictions: Sequence[dict[str, Any]], test: str) -> list[dict[str, Any]]:
    """Predictions of the test: of this id, else of ids that have it as a part."""
    tests = [row for row in predictions if "test_id" in row["subject"]]
    exact = [row for row in tests if row["subject"]["test_id"] == test]
    return exact or [row for row in tests if test in row["subject"]["test_id"]]


def _test(found: Row, decision: Row, test: str) -> dict[str, Any]:
    """The one test asked about: its place in the order, and what policy says of leaving it for later."""
    matching = _of_test(found["predictions"], test)
    if len(matching) > 1:
        some = ", ".join(row["subject"]["test_id"] for row in matching[:3])
        raise UsageError(f"{test!r} is a part of {len(matching)} tests: {some}", where="--test", do="Give more of it")
    row = matching[0]
    order = sorted(found["predictions"], key=lambda other: (-_order(other), other["subject"]["test_id"]))
    return {
        "test_id": row["subject"]["test_id"],
        "prediction": row,
        "place": next(place for place, other in enumerate(order, 1) if other is row),
        "of": len(order),
        **_waiting(found, decision, row),
    }


def _waiting(found: Row, decision: Row, row: Row) -> dict[str, Any]:
    """Whether a test may wait by policy, whether it was left for later, and why."""
    left, inputs = left_of(decision.get("inputs")), decision.get("inputs") or {}
    if left is None or found["policy"] is None or inputs["question"].get("on") != "low":
        return {"may_wait": None, "left_for_later": None, "why": []}
    place = list(decision["prediction_ids"]).index(row["prediction_id"])
    asked = replace(question_of(inputs["question"]), prediction=_view(row, left, place))
    ruling = evaluate(in_force(found["policy"], "the policy of that time"), asked)
    because = "it always runs" if place in left.always else ruling.reasons[0]
    because = "no order was known, so everything ran" if not left.n else because
    return {
        "may_wait": place in left.below,
        "left_for_later": "threshold" if place in left.skipped else "budget" if place in left.over_budget else "",
        "why": [because],
    }


def _order(row: Row) -> float:
    value = row["score"] if row["score"] is not None else row["probability"]
    return float("-inf") if value is None else float(value)


def _not_held(decision: Row) -> str:
    return (
        f"it was not held back: the verdict {decision['verdict']} was said at level {decision['level']}, not enforced"
    )
