"""Items from counts in the core tables: files that keep breaking, folders that change together, operations that hold
the time, sensitive attributes, files that one person alone knows.

These are counted and not tested: what is counted has happened. Put a new count here, its query in ``counts``.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from scipy import special

from weaver_forge.insights.evolution import check_queries
from weaver_forge.insights.evolution.counts import CO_CHANGE, HELD_TIME, HOT_FILES, SENSITIVE
from weaver_forge.insights.evolution.from_insights import ASSUMED, reaches
from weaver_forge.insights.evolution.item import Estimate, Item
from weaver_forge.insights.hypothesis import Fact, Row, Rows, literal
from weaver_forge.insights.wording import MONTH_DAYS, percent
from weaver_forge.policy.paths import protected

LEAST_BUGS, LEAST_CHANGES, MOST_FILES = 3, 8, 10
REVIEW_HOURS = 0.25
"""A person's look at one change."""

_GLOB = frozenset("*?[]!\\")


def items(
    ask: Callable[[str], Rows],
    present: Sequence[str],
    *,
    since: datetime,
    days: float,
    protects: Callable[[str], Sequence[str]],
    holding: Sequence[str],
) -> tuple[list[Item], list[str]]:
    """What the counts suggest, and in words what could not be counted.

    Args:
        ask: Runs a query on the snapshot.
        present: Tables that there are.
        since: First instant.
        days: Of the window that have passed.
        protects: Decision -> patterns that its policy protects already.
        holding: Decisions of the policy that may hold a change.
    """
    made: list[Item] = []
    missing: list[str] = []
    asked: tuple[tuple[str, tuple[str, ...], str, Callable[[Rows], list[Item]]], ...] = (
        (
            "hot files", ("core_changes__files", "core_changes__changes", "core_changes__blames"), HOT_FILES,
            lambda rows: [*_hot(rows, days, protects, holding), *_alone(rows)],
        ),
        ("co-change of folders", ("core_changes__files", "core_changes__changes"), CO_CHANGE, _coupled),
        ("slow operations", ("core_trace__operation_minutes",), HELD_TIME, lambda rows: _slowest(rows, days)),
        ("sensitive attributes", ("core_semantic__findings",), SENSITIVE, _sensitive),
    )  # fmt: skip
    for name, tables, sql, make in asked:
        lacking = _lacking(ask, present, tables)
        if lacking:
            missing.append(f"{name}: {lacking}")
        else:
            made += make(ask(sql.replace("$since", literal(since))))
    return made, missing


def _lacking(ask: Callable[[str], Rows], present: Sequence[str], tables: Sequence[str]) -> str:
    """Why nothing can be counted; empty where it can."""
    if absent := sorted(set(tables) - set(present)):
        return f"no data: {', '.join(absent)} not published here"
    n = ask(f"select count(*) as n from {tables[0]}")[0]["n"]  # noqa: S608 - a declared name
    return "" if n else f"insufficient data: 0 of 1 rows of {tables[0]}"


def _hot(rows: Rows, days: float, protects: Callable[[str], Sequence[str]], holding: Sequence[str]) -> list[Item]:
    hot = [row for row in rows if row["n_bugs"] >= LEAST_BUGS and row["n_changes"] >= LEAST_CHANGES][:MOST_FILES]
    made = [_split(row, days) for row in hot]
    for decision in holding:
        open_to_all = [row for row in hot if not protected(protects(decision), [row["path"]])]
        made += [_protect(row, days, decision) for row in open_to_all]
    return made


def _bugs(row: Row, days: float, share: float) -> Estimate:
    """Bugs a month with the exact interval of a Poisson count (Garwood 1936)."""
    k, scale = int(row["n_bugs"]), MONTH_DAYS / days
    low, high = float(special.gammaincinv(k, 0.025)) * scale, float(special.gammaincinv(k + 1, 0.975)) * scale
    text = reaches(k * scale, low, high, "bugs", share)
    return Estimate(reach=k * scale, low=low, high=high, unit="bugs", share=share, text=text)


def _facts(row: Row) -> tuple[Fact, ...]:
    n = int(row["n_changes"])
    return (Fact(f"{row['n_bugs']} later fixes blame its {n} changes", n, f"path:{row['path']}"),)


def _protect(row: Row, days: float, decision: str) -> Item:
    path, month = row["path"], float(row["n_changes"]) / days * MONTH_DAYS
    plain = not _GLOB & set(path) and "/" in path
    return Item(
        area="security",
        kind="protect_path",
        subject={"repo_id": row["repo_id"], "path": path, "decision": decision},
        what=f"Let a person look at every change to {path}: add it to protected_paths of {decision} in policy.yaml.",
        effect=_bugs(row, days, 0.2),
        effort_hours=round(0.1 + month * REVIEW_HOURS, 2),
        check=check_queries.blamed_less(path, row["repo_id"]),
        way_back="weaver-forge evolve --undo takes the path out of the file again.",
        facts=_facts(row),
        edit={"decision": decision, "pattern": path} if plain else None,
    )


def _split(row: Row, days: float) -> Item:
    return Item(
        area="architecture",
        kind="split_file",
        subject={"repo_id": row["repo_id"], "path": row["path"]},
        what=f"Split or simplify {row['path']}: it changes often and keeps being blamed.",
        effect=_bugs(row, days, 0.3),
        effort_hours=16.0,
        check=check_queries.blamed_less(row["path"], row["repo_id"]),
        way_back="Revert the change.",
        facts=_facts(row),
    )


def _alone(rows: Rows) -> list[Item]:
    found = [row for row in rows if row["n_people"] == 1 and row["n_changes"] >= 2 * LEAST_CHANGES]
    return [_shared(row) for row in found[:3]]


def _shared(row: Row) -> Item:
    n = int(row["n_changes"])
    return Item(
        area="process",
        kind="share_knowledge",
        subject={"repo_id": row["repo_id"], "path": row["path"]},
        what=f"Have a second person work on {row['path']}: one alone made all its changes.",
        effect=Estimate(text="not estimable: what it costs when this person is away was not measured"),
        effort_hours=4.0,
        check=check_queries.known_to_more(row["repo_id"], row["path"]),
        way_back="Nothing was changed.",
        facts=(Fact(f"one person made all {n} changes", n, f"path:{row['path']}"),),
    )


def _coupled(rows: Rows) -> list[Item]:
    return [
        Item(
            area="architecture",
            kind="decouple_folders",
            subject={"repo_id": row["repo_id"], "first": row["first"], "second": row["second"]},
            what=f"Move together, or part, what changes together in {row['first']} and {row['second']}.",
            effect=Estimate(text="not estimable: what a change in two places costs more was not measured"),
            effort_hours=16.0,
            check=check_queries.apart(row["repo_id"], row["first"], row["second"]),
            way_back="Revert the change.",
            facts=(
                Fact(f"{row['n_both']} changes touched both", int(row["n_both"])),
                Fact(f"{row['n_first']} touched {row['first']}", int(row["n_first"])),
                Fact(f"{row['n_second']} touched {row['second']}", int(row["n_second"])),
            ),
        )
        for row in rows
    ]


def _slowest(rows: Rows, days: float) -> list[Item]:
    return [_faster(row, days) for row in rows]


def _faster(row: Row, days: float) -> Item:
    hours, part = float(row["held_ms"]) / 3_600_000 / days * MONTH_DAYS, float(row["held_ms"]) / float(row["all_ms"])
    text = (
        f"touches {hours:.3g} hours of waiting a month (counted: no interval), of which 20 % are taken to go away "
        f"({ASSUMED})"
    )
    return Item(
        area="performance",
        kind="speed_up_operation",
        subject={"service_key": row["service_key"], "operation": row["operation"]},
        what=f"Make {row['operation']} of {row['service_key']} faster: {percent(part)} of the time of all requests.",
        effect=Estimate(reach=hours, unit="hours of waiting", share=0.2, text=text),
        effort_hours=16.0,
        check=check_queries.faster(row["service_key"], row["operation"]),
        way_back="Revert the change.",
        facts=(Fact(f"{int(row['n_requests']):,} requests", int(row["n_requests"]), f"operation:{row['operation']}"),),
    )


def _sensitive(rows: Rows) -> list[Item]:
    return [
        Item(
            area="security",
            kind="redact_attribute",
            subject={"attribute": row["attribute"], "signal": row["signal"]},
            what=f"Drop or hash {row['attribute']} in the collector: its name says that it is sensitive.",
            effect=Estimate(text="not estimable: what a leak would cost was not measured"),
            effort_hours=1.0,
            check=check_queries.found_less(row["attribute"], "", 0.01),
            way_back="The collector's configuration has a history.",
            facts=(Fact(f"{int(row['n']):,} times in {row['n_services']} services", int(row["n_days"])),),
        )
        for row in rows
    ]
