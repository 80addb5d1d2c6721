"""``status``: what is measured of health, coverage, optimizations, prevented incidents, savings and performance."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.place import Place, place
from weaver_forge.errors import MissingInput, UsageError
from weaver_forge.hooks.facts import instant, plain
from weaver_forge.hooks.status import figures
from weaver_forge.hooks.status_sight import Sight
from weaver_forge.insights.status_figure import Figure, State, shown
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.canonical import instant_of
from weaver_forge.ledger.queries_status import Window
from weaver_forge.policy import Policy, parse

DAYS = 90
"""How far back decisions are looked at where nothing is said: half of what outcomes count for autonomy is younger."""

_WIDTH = 26
_PARTS = ("of", "value", "low", "high", "n", "unit, or why there is none")
_ROWS = 10


def status(
    *,
    scope: Literal["development", "deployment", "operations", "all"] = "all",
    since: str = "",
    days: float | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show what is measured of the whole, each figure with its interval and n, or why there is none.

    Args:
        scope: Decisions of this scope only; health is of the whole deployment.
        since: Decisions made at this date or instant (UTC) or later.
        days: Decisions of so many days until now; 90 where neither is said.
        json: Print everything as JSON.
    """
    at = place(None)
    now = at.settings.now()
    window = Window(_since(since, days, now), now, scope)
    found = figures_at(at, window)
    if json:
        said = {"at": now, "since": window.since, "scope": scope, "figures": [as_data(figure) for figure in found]}
        text.as_json(plain(said))
        return 0
    text.out(f"Decisions since {instant(window.since)}, scope {scope}; intervals are 95 %\n")
    for figure in found:
        text.out(f"{figure.name.ljust(_WIDTH)}{figure.text}")
    for figure in found:
        text.group(figure.name, _inside(figure))
    return 0


def figures_at(at: Place, window: Window) -> list[Figure]:
    """The figures of the deployment at hand."""
    policy = parse(at.policy_text, at.policy_name) if at.policy_text else Policy(version=1)
    without = Sight(
        ledger=None,
        snapshot=at.snapshot,
        no_snapshot=at.problem,
        policy=policy,
        overview=at.settings.overview,
        window=window,
    )
    try:
        opened = Ledger.open(at.settings.ledger_url, create=False)
    except MissingInput as error:
        return figures(replace(without, no_ledger=f"{error.what} yet: {error.do}"))
    with opened as ledger:
        return figures(replace(without, ledger=ledger))


def as_data(figure: Figure) -> dict[str, Any]:
    """A figure for JSON, its components the same; money stays text, so that no digit is lost."""
    data = {item.name: getattr(figure, item.name) for item in fields(figure)}
    return {**data, "text": figure.text, "components": [as_data(part) for part in figure.components]}


def _since(since: str, days: float | None, now: datetime) -> datetime:
    """The beginning of the window.

    Raises:
        UsageError: If both are given, or what is given cannot be meant.
    """
    if since and days is not None:
        raise UsageError("--since and --days say the same", where="status", do="Give one of them")
    if not since:
        try:
            begin = now - timedelta(days=DAYS if days is None else days)
        except (OverflowError, ValueError) as error:
            raise UsageError(f"{days} days cannot be counted", where="--days") from error
    else:
        try:
            begin = instant_of(since)
        except ValueError as error:
            do = "Write 2026-03-01 or 2026-03-01T12:00"
            raise UsageError(f"{since!r} is no date or instant", where="--since", do=do) from error
    if begin >= now:
        raise UsageError(f"the window begins at {instant(begin)}, which is not before now", where="status")
    return begin


def _inside(figure: Figure) -> list[str]:
    """Components, then rows, then where more of it is."""
    lines = text.table(_PARTS, [_part(part) for part in figure.components]) if figure.components else []
    rows: Iterable[Mapping[str, Any]] = figure.evidence.get("rows") or ()
    lines += [_said(row) for row, _ in zip(rows, range(_ROWS), strict=False)]
    open_with = figure.evidence.get("open")
    return [*lines, *([f"rows: {open_with}"] if open_with and figure.n_of else [])]


def _part(part: Figure) -> list[Any]:
    name = " ".join(value for value in part.about.values() if value) or part.name
    if part.state is not State.MEASURED:
        return [name, None, None, None, part.n or None, part.text]
    said = f"{part.unit}; {part.why}" if part.why else part.unit
    is_exact = part.low == part.value == part.high
    ends = [None, None] if is_exact else [shown(part.low), shown(part.high)]
    return [name, shown(part.value), *ends, part.n or None, said]


def _said(row: Mapping[str, Any]) -> str:
    until = f", until {instant(row['expires_at'])}" if row["expires_at"] else ""
    return f"{row['decision']} {row['action'] or ''} on {row['unit'].replace('|', ' ')} at {row['hook']}{until}"
