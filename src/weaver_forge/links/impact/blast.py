"""The blast radius of a change: files, tests, endpoints, services and owners, and what could not be asked.

Put here only how the links of the other modules become one answer. A source that is absent is named; nothing is
guessed in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from weaver_forge.links.impact import executed, owners, runtime
from weaver_forge.links.impact.files import Affected, Reason, coupled, import_rates, importing, together
from weaver_forge.links.impact.history import History
from weaver_forge.links.impact.python_imports import ImportGraph
from weaver_forge.links.impact.weights import Weights

_DEPLOYED = 0.5
_NAMED = 0.8
_RAN = 0.95
_CALLS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known about a repository at a moment; None where there is no such source.

    Args:
        history: With every changed path among its files.
        weights: Of the signals between files.
        files: Rows of ``core_changes__files`` of the repository, known before the moment.
        graph: Imports of its Python files.
        coverage: Rows of ``core_coverage__test_files``.
        tests: Test -> its file, of test reports.
        failures: As :func:`executed.by_failures` reads them.
        spans: As :data:`runtime.SPANS`.
        edges: caller_key, callee_key, n_calls.
        deployed: Service keys that were deployed from the repository.
        codeowners: Rules.
    """

    history: History | None = None
    weights: Weights
    files: pl.DataFrame | None = None
    graph: ImportGraph | None = None
    coverage: pl.DataFrame | None = None
    tests: Mapping[str, str] | None = None
    failures: pl.DataFrame | None = None
    spans: pl.DataFrame | None = None
    edges: pl.DataFrame | None = None
    deployed: Sequence[str] | None = None
    codeowners: Sequence[owners.OwnerRule] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blast:
    """What a change touches, the surest first in each list, and what was missing to say it."""

    changed: tuple[str, ...]
    files: tuple[Affected, ...]
    tests: tuple[Affected, ...]
    endpoints: tuple[Affected, ...]
    services: tuple[Affected, ...]
    owners: tuple[Affected, ...]
    missing: tuple[str, ...] = field(default=())


_MISSING = (
    ("history", "history of changes: no co-change, no popularity, no authors (`weaver-forge ingest --git .`)"),
    ("graph", "Python files of a work tree: no imports (run inside the repository)"),
    ("coverage", "coverage with a context a test: which tests execute a file (`weaver-forge ingest --coverage F`)"),
    ("tests", "test reports: tests are named by their files (`weaver-forge ingest --tests F`)"),
    (
        "spans",
        "spans that say where their code is (code.file.path): no endpoints of files (`weaver-forge ingest --otlp F`)",
    ),
    ("edges", "calls between services: nobody's callers are known (`weaver-forge ingest --otlp F`)"),
    ("deployed", "deployments of this repository: which services it becomes (`weaver-forge ingest --deployments F`)"),
    ("codeowners", "a CODEOWNERS file: owners are those who wrote the files"),
)


def blast(known: Known, changed: Sequence[str], *, author: str, at: datetime) -> Blast:
    """Say what a change touches.

    Args:
        known: What is known, of the time before ``at``.
        changed: Its files.
        author: Who makes it, as the history names them; empty where nobody says.
        at: When, naive UTC.
    """
    paths = tuple(dict.fromkeys(changed))
    files = _files(known, paths, author, at)
    endpoints, ran = _endpoints(known, paths)
    return Blast(
        changed=paths,
        files=tuple(files),
        tests=tuple(_tests(known, paths, files)),
        endpoints=tuple(endpoints),
        services=tuple(_services(known, paths, ran)),
        owners=tuple(_owners(known, paths, files, at)),
        missing=tuple(what for name, what in _MISSING if _lacks(getattr(known, name))),
    )


def _lacks(source: object) -> bool:
    if source is None:
        return True
    if isinstance(source, pl.DataFrame):
        return source.is_empty()
    return not len(source) if isinstance(source, Sequence | Mapping) else False


def _files(known: Known, changed: tuple[str, ...], author: str, at: datetime) -> list[Affected]:
    seconds = (at - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 - naive UTC, as every instant inside
    found = coupled(known.history, known.weights, changed, author, seconds) if known.history else []
    imports: list[Affected] = []
    if known.graph:
        rates = import_rates(known.history, known.graph) if known.history else None
        imports = importing(known.graph, changed, rates) if rates else importing(known.graph, changed)
    return together(found, imports)


def _tests(known: Known, changed: tuple[str, ...], files: Sequence[Affected]) -> list[Affected]:
    return executed.ranked_tests(
        executed.by_coverage(known.coverage, changed) if known.coverage is not None else [],
        executed.by_failures(known.failures, changed) if known.failures is not None else [],
        executed.by_file(known.tests or {}, changed, files, known.graph),
    )


def _endpoints(known: Known, changed: tuple[str, ...]) -> tuple[list[Affected], list[Affected]]:
    """Endpoints that ran the files, and their services."""
    if known.spans is None or known.spans.is_empty():
        return [], []
    touched = runtime.touched_code(known.spans, changed)
    most = max(touched["n_spans"].to_list(), default=1)
    endpoints, services = [], []
    for path, service, endpoint, signal, n in touched.iter_rows():
        fact = f"{n} spans of {endpoint} ran {path} ({signal})"
        score = _RAN * (0.5 + 0.5 * n / most)
        reasons = (Reason(signal="trace", fact=fact, strength=score),)
        endpoints.append(Affected(name=f"{endpoint} of {service}", score=score, reasons=reasons))
        services.append(Affected(name=service, score=_RAN, reasons=(Reason(signal="trace", fact=fact, strength=_RAN),)))
    return together(endpoints), together(services)


def _services(known: Known, changed: tuple[str, ...], ran: list[Affected]) -> list[Affected]:
    own = [*ran]
    for service in known.deployed or ():
        name = service.split("/")[1] if service.count("/") == 2 else service
        folder = next((path for path in changed if name and name in path.split("/")[:-1]), None)
        fact = (
            f"is deployed from this repository, and {folder} is in its folder"
            if folder
            else "is deployed from this repository"
        )
        strength = _NAMED if folder else _DEPLOYED
        own.append(
            Affected(name=service, score=strength, reasons=(Reason(signal="deployment", fact=fact, strength=strength),))
        )
    own = together(own)
    if known.edges is None or not own:
        return own
    score = {each.name: each.score for each in own}
    calling = []
    for caller, callee, distance, n in runtime.callers(known.edges, [each.name for each in own]):
        strength = score[callee] * _CALLS
        score[caller] = max(score.get(caller, 0.0), strength)
        fact = f"calls {callee} ({n} calls)" + (f", {distance} calls away from the change" if distance > 1 else "")
        calling.append(
            Affected(name=caller, score=strength, reasons=(Reason(signal="call", fact=fact, strength=strength),))
        )
    return together(own, calling)


def _owners(known: Known, changed: tuple[str, ...], files: Sequence[Affected], at: datetime) -> list[Affected]:
    likely = {each.name: each.score for each in files[:10]}
    weight = {**likely, **dict.fromkeys(changed, 1.0)}
    rules = owners.owners_of(known.codeowners, list(weight)) if known.codeowners else {}
    if known.files is not None:
        shares = owners.authorship(known.files, list(weight), at)
    else:
        shares = pl.DataFrame(schema={"path": pl.String, "author": pl.String, "share": pl.Float64})
    found = owners.ranked(rules, shares, weight)
    made = []
    for owner, part, facts in found:
        reasons = tuple(Reason(signal=_owner_signal(fact), fact=fact, strength=part) for fact in facts[:3])
        made.append(Affected(name=owner, score=part, reasons=reasons))
    return made


def _owner_signal(fact: str) -> str:
    return "codeowners" if fact.startswith("CODEOWNERS") else "authorship"
