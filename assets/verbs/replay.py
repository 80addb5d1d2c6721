"""replay: a policy on the history that is on disk, point in time; writes nothing unless it is asked to record."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets.registry import load_spec
from assets.replaying import Request, open_for_reading, replay_kind
from assets.resources import Emit
from models.replaying import STEPS, Window
from weaver_forge.errors import UsageError
from weaver_forge.hooks.rank_tests import parse_budget
from weaver_forge.hooks.selecting.aim import read_aim
from weaver_forge.settings import Settings

LAST = 200
"""Decisions that are replayed where nothing says how many."""


def replay(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Replay ``{"decision": name}``.

    Optional: ``entity``, ``last`` or ``since``, ``until``, ``policies`` (files), ``budgets``, ``aims``, ``steps``,
    ``hook`` and ``record``.
    """
    spec = load_spec(settings, str(arguments.get("decision") or ""))
    kinds = [kind for kind in spec.kinds if arguments.get("entity") in {None, "", kind.entity}]
    if not kinds:
        known = ", ".join(kind.entity for kind in spec.kinds)
        raise UsageError(f"{spec.name} has no {arguments['entity']!r}", where="--entity", do=f"One of {known}")
    request = request_of(arguments, settings.now())
    deployment = open_for_reading(settings, emit)
    data = [replay_kind(deployment, spec, kind, request) for kind in kinds]
    emit({"event": "result", "data": data})
    return 0


def request_of(arguments: Mapping[str, Any], now: datetime) -> Request:
    """What was asked, as a request.

    Raises:
        UsageError: If a time, a number or a budget cannot be read, or both ``last`` and ``since`` are given.
    """
    since, until = (_instant(arguments.get(name), f"--{name}") for name in ("since", "until"))
    last = arguments.get("last")
    if last is not None and since is not None:
        raise UsageError("--last and --since both say where to begin", do="Give one of them")
    if last is None and since is None:
        last = LAST
    n_steps = int(arguments.get("steps") or STEPS)
    if n_steps < 1 or (last is not None and int(last) < 1):
        raise UsageError("--last and --steps are whole numbers from 1 on", do="For example --last 200 --steps 5")
    if since is not None and since >= (until or now):
        raise UsageError("the window ends before it begins", where="--since", do="Give an earlier time")
    return Request(
        window=Window(until=until or now, since=since, last=None if last is None else int(last)),
        policies=[Path(str(path)) for path in arguments.get("policies") or ()],
        budgets={text: parse_budget(text) for text in arguments.get("budgets") or ()},
        aims={text: read_aim(text, where="--select") for text in arguments.get("aims") or ()},
        n_steps=n_steps,
        hook=str(arguments.get("hook") or "ci"),
        record=bool(arguments.get("record")),
    )


def _instant(text: object, where: str) -> datetime | None:
    """A date or an instant as naive UTC; what has no offset is UTC."""
    if not text:
        return None
    try:
        read = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise UsageError(f"{text!r} is no date or time", where=where, do="Write it like 2026-01-01") from error
    return read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read
