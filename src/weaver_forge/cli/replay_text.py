"""A replay for the terminal: what was replayed, who spoke, each action's policies side by side, escapes by name."""

from collections.abc import Sequence
from typing import Any

from weaver_forge.cli import replay_rows as rows
from weaver_forge.cli import text

SHOWN = 10
"""Escapes shown by name; the rest is in the JSON."""


def show(data: Sequence[rows.Data]) -> None:
    """All kinds of a decision."""
    for number, kind in enumerate(data):
        if number:
            text.out()
        text.out(rows.about(kind))
        if not kind["steps"]:
            text.out("  nothing to replay: no decision of this window has a known outcome")
            for line in rows.left_out(kind):
                text.out(f"  {line}")
            continue
        for line in (rows.learnt(kind), *rows.left_out(kind)):
            text.out(f"  {line}")
        steps = [[rows.day(step["at"]), step["n_subjects"], step["n_learnt"], step["reason"]] for step in kind["steps"]]
        text.group("Steps", text.table(["from", "predicted", "learnt from", "who spoke, and why"], steps))
        _scores(kind["scores"])
        _actions(kind)
        if kind["recorded"] is not None:
            done = kind["recorded"]
            text.out(
                f"\nRecorded as replay: {done['predictions']} predictions, {done['outcomes']} outcomes that are new"
            )


def show_backtest(data: Sequence[rows.Data]) -> None:
    """All kinds that were judged."""
    for kind in data:
        text.out(f"\n{kind['decision']}, {kind['entity']}: {kind['reason']}")
        if not kind["scores"]:
            continue
        judged = f"{kind['n_tested']} judged from {kind['trained_until'][:16]} on, {kind['n_trained']} learnt before"
        _scores(kind["scores"], judged)
        if kind.get("steps"):
            _actions(kind)


def _scores(scores: Sequence[rows.Data], title: str = "Model against its baseline") -> None:
    text.group(title, text.table(list(rows.SCORE_COLUMNS), [rows.score(row) for row in scores]) if scores else [])


def _actions(kind: rows.Data) -> None:
    for action in kind["actions"]:
        name = action["action"] or "the decision as a whole"
        title = f"{name}: {action['doc']}" if action["doc"] else name
        found = action["policies"]
        if action["on"] == "upper":
            cells = [[row["policy"], *rows.capacity_cells(row)] for row in found]
            text.group(title, text.table(["policy", *rows.CAPACITY_COLUMNS], cells))
        else:
            _policies(title, action["on"], found)
            for line in rows.remarks(found, action["on"]):
                text.out(f"  {line}")
            _escapes(found)


def _policies(title: str, on: str, found: Sequence[rows.Data]) -> None:
    columns = ["policy", "view", "level", "verdicts", "held", "caught", "escaped", "unstable", "escape rate"]
    if on == "low":
        columns[4] = "left for later"
    columns += ["went through", "minutes saved", "net"] if on == "low" else ["net"]
    columns.append("held out")
    text.group(title, text.table(columns, [_cells(row, on) for row in found]))


def _cells(row: rows.Data, on: str) -> list[Any]:
    cells: list[Any] = [row["policy"], row["view"], rows.levels(row), rows.verdicts(row), rows.acted(row, on)]
    cells += [row["caught"], row["escaped"], row["unstable"], rows.escape_rate(row, on)]
    cells += [rows.went_through(row), rows.minutes(row), rows.net(row)] if on == "low" else [rows.net(row)]
    return [*cells, rows.held_out(row)]


def _escapes(found: Sequence[rows.Data]) -> None:
    for row in found:
        if not row["escapes"] or not row["acted"]["subjects"]:
            continue
        names = [f"{rows.escape_name(e)}  ({rows.escape_chance(e)})" for e in row["escapes"][:SHOWN]]
        more = len(row["escapes"]) - len(names)
        text.group(
            f"Escapes of {row['policy']}, {row['view']}", [*names, *([f"and {more} more: --json"] if more else [])]
        )
