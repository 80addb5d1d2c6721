"""``evolve``: a plan from measured hot spots; ``--confirm`` carries out what ``--undo`` can take back."""

from typing import Annotated, Any

import duckdb
from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.autonomy import user
from weaver_forge.cli.pipeline import answer
from weaver_forge.cli.place import Place, place
from weaver_forge.errors import MissingInput, UsageError, WeaverForgeError
from weaver_forge.hooks.acts import State
from weaver_forge.hooks.evolving import Done, Workshop, carried_out, carry_out, take_back
from weaver_forge.hooks.facts import instant, plain
from weaver_forge.insights.evolution.checks import judged
from weaver_forge.ledger import Ledger
from weaver_forge.policy.table import A_PERSON_DECIDES

Flag = Annotated[bool, Parameter(negative="")]


def evolve(
    *,
    budget: float = 40.0,
    days: int = 90,
    confirm: Flag = False,
    undo: str = "",
    actor: str = "",
    all: Flag = False,  # noqa: A002 - the flag's name
    json: Flag = False,
) -> int:
    """Plan changes of architecture, performance, security and process; nothing is changed without --confirm.

    Exits with 3 where something that was confirmed waits for a person: while anything is halted, or after a hook that
    died half-way.

    Args:
        budget: Hours of people a month; what was carried out before and still holds takes its part.
        days: How far back the measurements go.
        confirm: Carry out what is chosen and can be taken back; the rest stays a proposal for people.
        undo: Take back what was carried out under this id.
        actor: Who confirms or takes back; the user's name where it is not said.
        all: Every item with its check, not the chosen ones alone.
        json: Print everything as JSON.
    """
    at = place(None)
    if confirm or undo:
        at.settings.data.mkdir(parents=True, exist_ok=True)
    if undo:
        if confirm:
            raise UsageError("--confirm and --undo cannot be meant together", do="Give one of them")
        return _undo(at, undo, actor, json=json)
    past = _before(at)
    bound = sum(each.item["effort_hours"] for each in past if each.state is State.DONE)
    code, data = answer(at.settings, "evolve", {"days": days, "budget_hours": budget, "bound_hours": bound})
    if code or data is None:
        return code
    data |= {"past": [_rescored(at, each) for each in past]}
    data["carried_out"] = _all_carried(at, data["items"], actor) if confirm else []
    if json:
        text.as_json(plain(data))
    else:
        show(data, everything=all, confirmed=confirm)
    return _code(data["carried_out"])


def show(data: dict[str, Any], *, everything: bool, confirmed: bool) -> None:
    """A plan as text."""
    chosen = [item for item in data["items"] if item["is_chosen"]]
    rest = [item for item in data["items"] if not item["is_chosen"]]
    text.out(
        f"{len(chosen)} of {len(data['items'])} items, {data['effort_hours']:.4g} of {data['budget_hours']:g} hours, "
        f"from {data['n_insights']} insights and what is counted. Benefits rest on assumptions that stand beside them."
    )
    if data["bound_hours"]:
        text.out(f"{data['bound_hours']:.4g} more hours are bound by what was carried out before and holds.")
    for area in dict.fromkeys(item["area"] for item in chosen):
        lines = [line for item in chosen if item["area"] == area for line in _lines(item, whole=everything)]
        text.group(area, lines)
    shown = rest if everything else []
    text.group("Not chosen", [line for item in shown for line in _lines(item, whole=True)])
    text.group("Could not be said", data["missing"])
    text.group("Carried out before", [line for each in data["past"] for line in _past(each)])
    text.group(
        "Carried out now", [f"{each['item_id']} {each['state']}: {each['detail']}" for each in data["carried_out"]]
    )
    if len(rest) > len(shown):
        text.out(f"\n{len(rest)} more items were not chosen: --all")
    ours = [item for item in chosen if _is_ours(item)]
    if ours and not confirmed:
        text.out(f"\n--confirm carries out {len(ours)} of them (marked *); the others are for people.")


def _lines(item: dict[str, Any], *, whole: bool) -> list[str]:
    mark = "*" if item["edit"] else "-"
    hours = item["expected_hours_a_month"]
    brings = f"brings about {hours:.2g} hours a month; " if hours is not None else ""
    lines = [
        f"{mark} {item['item_id']}  {item['what']}",
        f"    {brings}{item['effort_hours']:g} hours of work; {item['effect']['text']}",
        f"    check: {item['check']['text']}",
    ]
    if whole:
        lines += [f"    measured: {fact['text']} (n = {fact['n']:,})" for fact in item["facts"]]
        lines.append(f"    way back: {item['way_back']}")
    return lines


def _past(each: dict[str, Any]) -> list[str]:
    since = f" since {instant(each['done_at'])}" if each["done_at"] else ""
    return [f"{each['item_id']} {each['state']}{since}: {each['what']}", f"    check {each['check']}"]


def _is_ours(item: dict[str, Any]) -> bool:
    return bool(item["is_chosen"] and item["edit"])


def _before(at: Place) -> list[Done]:
    """What was carried out before; a plan alone makes no ledger where there is none."""
    try:
        opened = Ledger.open(at.settings.ledger_url, create=False)
    except MissingInput:
        return []
    with opened as ledger:
        return carried_out(ledger)


def _all_carried(at: Place, items: list[dict[str, Any]], actor: str) -> list[dict[str, Any]]:
    with Ledger.open(at.settings.ledger_url) as ledger:
        work = _workshop(at, ledger, actor)
        return [_carried(work, item) for item in items if _is_ours(item)]


def _carried(work: Workshop, item: dict[str, Any]) -> dict[str, Any]:
    """One that cannot be done does not keep the others from being done, and is said."""
    try:
        acted = carry_out(work, item)
    except WeaverForgeError as error:
        return {"item_id": item["item_id"], "state": "failed", "detail": str(error), "exit_code": error.exit_code}
    code = 0 if acted.state is State.DONE else A_PERSON_DECIDES
    return {"item_id": item["item_id"], "state": acted.state.value, "detail": acted.detail, "exit_code": code}


def _code(carried: list[dict[str, Any]]) -> int:
    return max((int(each["exit_code"]) for each in carried), default=0)


def _rescored(at: Place, each: Done) -> dict[str, Any]:
    """An item of an earlier plan, and whether its check came true on the data since then."""
    told = {"item_id": each.item_id, "state": each.state.value, "what": each.item["what"], "done_at": each.at}
    if each.state is not State.DONE or each.at is None:
        return {**told, "check": "not asked: it does not hold", "n": 0, "value": None}
    if at.snapshot is None:
        return {**told, "check": f"insufficient data: {at.problem}", "n": 0, "value": None}
    try:
        found = judged(each.item["check"], each.at, at.snapshot.rows)
    except duckdb.CatalogException as error:
        return {**told, "check": f"insufficient data: {str(error).splitlines()[0]}", "n": 0, "value": None}
    words = found.text if found.value is None else f"{found.state}: {found.text}"
    return {**told, "check": words, "n": found.n, "value": found.value}


def _undo(at: Place, item_id: str, actor: str, *, json: bool) -> int:
    with Ledger.open(at.settings.ledger_url) as ledger:
        acted = take_back(_workshop(at, ledger, actor), item_id)
    if json:
        text.as_json({"item_id": item_id, "state": acted.state.value, "detail": acted.detail})
    else:
        text.out(f"{item_id} {acted.state.value}: {acted.detail}")
    return 0


def _workshop(at: Place, ledger: Ledger, actor: str) -> Workshop:
    return Workshop(
        policy=at.settings.policy,
        published=at.settings.published,
        copies=at.settings.data / "evolve",
        ledger=ledger,
        clock=at.settings.now,
        actor=actor or user(),
    )
