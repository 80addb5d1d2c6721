"""A replay's figures as the cells that its text and its Markdown share: one wording of each.

Put here how one figure reads. Tables and their order are ``replay_text``'s and ``replay_markdown``'s.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Data = Mapping[str, Any]

SHORT_ID = 12
NONE = "-"


def about(kind: Data) -> str:
    """What was replayed, in one line."""
    window = kind["window"]
    per = " and ".join(name.removesuffix("_id").removesuffix("_key") for name in window["decided_per"])
    return (
        f"{kind['decision']}, {kind['entity']}: {window['n_decisions']} decisions (one a {per}),"
        f" {window['n_subjects']} {kind['entity']}, {day(window['since'])} to {day(window['until'])}"
    )


def left_out(kind: Data) -> list[str]:
    """What is not in the figures, and why."""
    window = kind["window"]
    said = []
    if window["n_open_decisions"]:
        said.append(f"{window['n_open_decisions']} newer decisions are left out: their outcome is not known yet")
    if window["n_pending"]:
        said.append(f"{window['n_pending']} {kind['entity']} count for nothing: their outcome is not known yet")
    if window["n_unresolvable"]:
        said.append(f"{window['n_unresolvable']} {kind['entity']} count for nothing: their outcome never will be known")
    return said


def learnt(kind: Data) -> str:
    """Who spoke, and that nothing looked ahead."""
    steps, checked = kind["steps"], kind["leak_check"]
    model = sum(step["promoted"] for step in steps)
    spoke = f"the model spoke in {model} of {len(steps)} steps, its baseline in the others"
    return (
        f"{spoke}; point in time: {checked['n_features']} features of {checked['n_subjects']} {kind['entity']} at"
        f" {checked['n_instants']} instants are the same without what was known later"
    )


def verdicts(row: Data) -> str:
    """Verdicts and how often, without those that never came."""
    said = row["verdicts"]
    if said is None:
        return NONE
    return ", ".join(f"{name} {n}" for name, n in said.items() if n) or NONE


def acted(row: Data, on: str) -> str:
    """What would have been held, or left for later."""
    n = row["acted"]
    if on == "low":
        return f"{n['subjects']} skipped in {n['units']}" if n["subjects"] else "nothing"
    return f"{n['units']}" if n["units"] else "nothing"


def escape_rate(row: Data, on: str) -> str:
    """Rate and bound; where nothing was left for later nothing could escape, and a bound would say nothing."""
    if on == "low" and not row["acted"]["subjects"]:
        return "nothing waited"
    return str(row["escape_rate"]["text"])


def minutes(row: Data) -> str:
    """Minutes that would not have been run."""
    found = row["money"]["minutes"]
    if found is None:
        return NONE
    missing, whole = row["money"]["n_without_duration"], row.get("minutes_in_all")
    share = f" of {whole:g} ({float(found) / whole:.0%})" if whole else ""
    return f"{found} min{share}" + (f" ({missing} of unknown length)" if missing else "")


def went_through(row: Data) -> str:
    """Failing runs of which nothing that ran at once would have failed."""
    return "none" if not row["acted"]["subjects"] else str(row["went_through"]["text"])


def net(row: Data) -> str:
    """Money saved less money lost; why it is not known says ``unknown``."""
    found = row["money"]
    if found["net"] is None:
        return "not known"
    parts = f" ({found['saved']} saved, {found['lost']} lost)" if row["acted"]["subjects"] else ""
    return f"{found['net']} {found['currency']}".rstrip() + parts


def remarks(found: Sequence[Data], on: str) -> list[str]:
    """What a reader of the table must know: what net is against, what is not known and why, what acts on nothing."""
    against = found[0]["money"]["against"]
    said = [f"net is against {against}; the escape rate is of units with a real failure, bounded above at 95 %"]
    said += [
        f"{row['policy']}: net is not known, {row['money']['note']}" for row in found if row["money"]["net"] is None
    ]
    for row in found:
        if row.get("whole"):
            words = ", ".join(f"{n} by {name}" for name, n in row["whole"].items() if n)
            said += [f"{row['policy']}: runs that were run whole: {words}"] if words else []
    if on == "low":
        said.append("went through: failing runs of which nothing that ran at once failed, bounded above at 95 %")
    keys = "skip_below" if on == "low" else "review_at or deny_at"
    judged = [row for row in found if row["verdicts"] is not None]
    said += [f"{row['policy']} sets no {keys}, so it acts on nothing" for row in judged if not row["thresholds"]]
    said += [f"{row['policy']}: {line}" for row in judged for line in row["thresholds"]]
    return list(dict.fromkeys(said))


def held_out(row: Data) -> str:
    """Share of decisions that the lot kept from being enforced."""
    found = row["held_out"]
    return NONE if found is None or found["share"] is None else f"{found['n']} of {found['of']}"


def levels(row: Data) -> str:
    """The level in force; several where a budget lowered it for some."""
    found = row["level"]
    if not found:
        return NONE
    return ", ".join(found if len(found) == 1 else (f"{name} {n}" for name, n in found.items()))


def escape_name(escape: Data) -> str:
    """A subject by its own columns, the repository left out where something else names it."""
    subject = escape["subject"]
    names = [name for name in subject if name != "repo_id"] or list(subject)
    return " at ".join(short(str(subject[name])) for name in reversed(names))


def escape_chance(escape: Data) -> str:
    """What had been predicted of it."""
    chance = escape["probability"]
    return "no probability" if chance is None else f"probability {chance:.3g}"


def score(row: Data) -> list[Any]:
    """Metric, model, interval, baseline, gain and its interval, n."""
    interval = None if row["low"] is None else f"{row['low']:.4g} to {row['high']:.4g}"
    gain = None if row["gain_low"] is None else f"{row['gain_low']:+.3g} to {row['gain_high']:+.3g}"
    return [row["metric"], row["value"], interval, row["baseline"], row["gain"], gain, row["n"]]


SCORE_COLUMNS = ("metric", "model", "95 %", "baseline", "gain", "90 %", "n")


def short(value: str) -> str:
    """A commit id by its beginning; anything else as it is."""
    is_hex = len(value) in {40, 64} and all(letter in "0123456789abcdef" for letter in value)
    return value[:SHORT_ID] if is_hex else value


def day(instant: str | None) -> str:
    """An instant to the minute."""
    return NONE if instant is None else instant[:16].replace("T", " ")


def capacity_cells(row: Data) -> list[str]:
    """Quantile, points, how often too little, idle capacity, cost."""
    found = row["capacity"]
    idle = NONE if found["idle_share"] is None else f"{found['idle_share']:.0%} of the load"
    cost = f"{found['cost']} {found['currency']}" if found["cost"] is not None else f"not known: {found['note']}"
    return [f"{found['level']:g}", f"{found['n']}", f"{found['n_short']}", found["text"], idle, cost]


CAPACITY_COLUMNS = ("quantile", "points", "too little", "share too little", "idle", "cost")
