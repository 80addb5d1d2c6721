"""Health's components, each from where it is known: the last ingest, the published snapshot, the ledger.

Put here how a component is found. How they become one figure is ``insights.status_health``'s; ``doctor`` lists the
same facts at length.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_forge.contracts.values import Origin
from weaver_forge.errors import SourceError
from weaver_forge.hooks.status_sight import Sight
from weaver_forge.insights.status_figure import Figure, insufficient, measured, unknown
from weaver_forge.insights.status_health import SHARE, age, health, share
from weaver_forge.ledger import queries
from weaver_forge.ledger.queries_status import missing_rows, n_rows, newest_predictions, points
from weaver_forge.policy import effective

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

RARE = frozenset({"incidents"})
"""Sources whose newest row may be old because all is well."""


def health_of(ledger: "Reading", sight: Sight) -> Figure:
    """The weakest component; unknown where an input is missing or stale."""
    parts = [
        _record(ledger),
        *_taken_in(sight),
        _published(sight),
        *_predicted(ledger, sight),
        _answered(ledger, sight),
    ]
    return health([*parts, *_models(ledger, sight)])


def _record(ledger: "Reading") -> Figure:
    """All rows that the chain speaks of are there; with fewer no figure is shown at all."""
    gaps = missing_rows(ledger)
    if gaps:
        return unknown("record", SHARE, f"rows are missing of {', '.join(sorted(gaps))}")
    n = n_rows(ledger)
    if not n:
        return unknown("record", SHARE, "the ledger is empty")
    evidence = {"every byte": "weaver-forge ledger verify"}
    return measured("record", SHARE, (1.0, 1.0, 1.0), n=n, n_of="rows of the ledger", evidence=evidence)


def _taken_in(sight: Sight) -> Iterator[Figure]:
    """Sources that decisions need: how old; and of all that came in, how much was accepted and linked."""
    seen = _overview(sight.overview)
    if seen is None:
        yield unknown("taken_in", SHARE, "nothing has been taken in yet")
        return
    sources = {row["source"]: row for row in seen["sources"]}
    for name, limit in sorted(_needed(sight).items()):
        newest = (sources.get(name) or {}).get("newest_at")
        at = datetime.fromisoformat(newest) if newest else None
        most = timedelta.max if name in RARE else limit
        yield age(f"source {name}", at, sight.window.now, most, missing="nothing of it has been taken in")
    rows, refused = (sum(row[key] for row in sources.values()) for key in ("n_rows", "n_refused"))
    yield share("taken_in", rows, rows + refused, "rows and refused pieces", missing="nothing has been taken in yet")
    results = seen["results"]
    if "tests" in _needed(sight):
        n = results.get("n", 0)
        yield share("linked", results.get("n_linked", 0), n, "test results", missing="there is no test result")


def _published(sight: Sight) -> Figure:
    """The snapshot: stale when the decision with the shortest memory takes it for stale."""
    hours = [effective(sight.policy, name).max_age_hours for name in sight.specs]
    at = sight.snapshot.published_at if sight.snapshot is not None else None
    return age("published", at, sight.window.now, timedelta(hours=min(hours, default=0.0)), missing=sight.no_snapshot)


def _predicted(ledger: "Reading", sight: Sight) -> Iterator[Figure]:
    """Each decision's newest prediction: a model that says nothing for long is not there."""
    newest = newest_predictions(ledger)
    for decision, spec in sight.specs.items():
        limit = timedelta(days=effective(sight.policy, decision).evidence.stale_days)
        for kind in spec["kinds"]:
            at = newest.get((decision, kind["entity"]))
            name = f"predictions {decision} {kind['entity']}"
            yield age(name, at, sight.window.now, limit, missing="no prediction is on record")


def _answered(ledger: "Reading", sight: Sight) -> Figure:
    """Questions of hooks that had another answer than unknown."""
    rows = points(ledger, sight.window)
    n = sum(row["n"] for row in rows)
    missing = f"no decision is on record {sight.reach}"
    return share("answered", n - sum(row["n_unknown"] for row in rows), n, "decisions", missing=missing)


def _models(ledger: "Reading", sight: Sight) -> Iterator[Figure]:
    """Whether what speaks is shown to be worse than its named baseline, by the metric that decides on promotion."""
    scores = {
        (row["decision"], row["entity"], row["metric"]): row
        for row in queries.scoreboard(ledger)
        if row["origin"] != Origin.REPLAY
    }
    for decision, spec in sight.specs.items():
        for kind in spec["kinds"]:
            score = scores.get((decision, kind["entity"], kind["metrics"][0])) if kind.get("metrics") else None
            yield _model(f"model {decision} {kind['entity']}", score)


def _model(name: str, score: Mapping[str, Any] | None) -> Figure:
    if score is None:
        return unknown(name, _NOT_WORSE, "it has not been scored")
    if score["state"] == "insufficient":
        return insufficient(name, _NOT_WORSE, score["n"], score["n_needed"], "outcomes")
    if score["state"] != "measured":
        return unknown(name, _NOT_WORSE, score["text"])
    good = float(score["beats_baseline"] is not False)
    evidence = {key: score[key] for key in ("metric", "value", "baseline_value", "gain", "gain_low", "gain_high")}
    said = f"{score['metric']} {score['text']}"
    return measured(
        name, _NOT_WORSE, (good, good, good), n=score["n"], n_of="outcomes", evidence=evidence, why=said
    )  # fmt: skip


def _needed(sight: Sight) -> dict[str, timedelta]:
    """Source -> how old its newest data may be for the decision that asks for the newest."""
    found: dict[str, timedelta] = {}
    for decision, spec in sight.specs.items():
        limit = timedelta(days=effective(sight.policy, decision).evidence.stale_days)
        for name in spec.get("sources", ()):
            found[name] = min(found.get(name, limit), limit)
    return found


def _overview(path: Path) -> dict[str, Any] | None:
    try:
        seen: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise SourceError(f"not valid JSON: {error}", where=str(path), do="Run `weaver-forge ingest`") from error
    return seen


_NOT_WORSE = SHARE
"""1 where the model is not shown to be worse than its baseline, else 0."""
