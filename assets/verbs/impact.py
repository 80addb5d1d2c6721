"""impact: what a change touches, from the published snapshot, the newest spans and the repository at hand.

Reads only. Loads neither Dagster nor MLflow: an answer is wanted in about two seconds. The weights of the signals
between files are learned from the repository's own changes when first asked, and again when the history has grown
by a tenth; they are kept in ``data/impact``.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from assets.impact_tables import newest_spans, of_snapshot
from assets.resources import Emit
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.links.impact.blast import Blast, Known, blast
from weaver_forge.links.impact.executed import files_of_tests
from weaver_forge.links.impact.history import History, history
from weaver_forge.links.impact.learning import MOST_QUESTIONS, PULLS, Learned, examples, learn, newest, questions
from weaver_forge.links.impact.owners import PLACES, read_codeowners
from weaver_forge.links.impact.prior import PRIOR
from weaver_forge.links.impact.python_imports import ImportGraph
from weaver_forge.links.impact.signals import NAMES
from weaver_forge.links.impact.weights import Weights
from weaver_forge.settings import Settings
from weaver_forge.sources.git_command import Repository
from weaver_forge.sources.work_tree import ChangeAt, change_at, first_text, me, python_texts, recent_changes

MOST_LISTED = 50
MOST_RECENT = 3_000
"""Changes that git is asked for where the history was not ingested."""

MOST_ADDED = 300
"""Newest changes of git that are looked through for what was not ingested yet."""

QUICK_QUESTIONS = 400
QUICK_PULLS = (30.0,)
MANY_FILES = 4_000
"""Files of a history beyond which weights are learned only when that is asked for: it would take long."""

_GROWN = 1.1


def impact(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Tell what ``{"repository": path, "change": revision, "files": [paths], "last": n, "learn": bool}`` touches.

    ``snapshot`` names another published folder; ``files`` are asked about as of now.
    """
    if not arguments.get("repository"):
        raise UsageError("impact asks the repository at hand", do="Run it inside a clone")
    repository = Repository(Path(str(arguments["repository"])))
    change = _change(settings, arguments, repository)
    if not change.paths:
        raise SourceError(f"{change.revision or 'the change'} touches no file", do="Name another revision, or --files")
    notes: list[str] = []
    stored = of_snapshot(Path(str(arguments.get("snapshot") or settings.published)), repository.repo_id, change, notes)
    files = _files(stored.files, repository, change, notes)
    known_history = history(files, extra=change.paths)
    learned = _learned(settings, repository.repo_id, known_history, fresh=bool(arguments.get("learn")))
    texts = python_texts(repository)
    codeowners = first_text(repository, PLACES)
    spans = newest_spans(settings, notes)
    known = Known(
        history=known_history if known_history.n else None,
        weights=learned.weights,
        files=files,
        graph=ImportGraph(texts) if texts else None,
        coverage=stored.coverage,
        tests=files_of_tests(stored.tests, [*known_history.paths.names, *texts]) if stored.tests else None,
        failures=stored.failures,
        spans=spans,
        edges=stored.edges,
        deployed=stored.deployed,
        codeowners=read_codeowners(codeowners) if codeowners else None,
    )
    found = blast(known, change.paths, author=change.author, at=change.at)
    emit({"event": "result", "data": _as_data(found, change, repository, learned, notes, stored.about)})
    return 0


def _change(settings: Settings, arguments: Mapping[str, Any], repository: Repository) -> ChangeAt:
    files = tuple(str(path) for path in arguments.get("files") or ())
    if files:
        return ChangeAt(revision="", paths=files, author=me(repository), at=settings.now())
    last = int(arguments.get("last", 1))
    if last < 1:
        raise UsageError(f"{last} revisions are none", where="--last", do="Give 1 or more")
    return change_at(repository, str(arguments.get("change") or "HEAD"), last)


def _files(stored: pl.DataFrame | None, repository: Repository, change: ChangeAt, notes: list[str]) -> pl.DataFrame:
    """Changes known before: those ingested, and what git has beside them; all of git's where none were."""
    if stored is None or stored.is_empty():
        notes.append(f"{repository.repo_id} was not ingested: the newest {MOST_RECENT} changes are read from git")
        files = recent_changes(repository, change.revision or "HEAD", MOST_RECENT)
        if repository.is_shallow():
            notes.append("the clone is shallow: git has a part of the history only (`git fetch --unshallow`)")
    else:
        newer = recent_changes(repository, change.revision or "HEAD", MOST_ADDED)
        own = newer.filter(pl.col("known_at") < change.at).join(stored, on="revision", how="anti")
        if not own.is_empty():
            notes.append(f"{own['revision'].n_unique()} changes were not ingested yet and are read from git")
        files = pl.concat([stored, own.select(stored.columns).cast(stored.schema)])
    return files.filter(pl.col("known_at") < change.at)


def _learned(settings: Settings, repo_id: str, known: History, *, fresh: bool) -> Learned:
    """The weights that are kept, where they still hold; else learned now and kept."""
    kept = settings.data / "impact" / f"{sha256(repo_id.encode()).hexdigest()[:16]}.json"
    if not fresh and (found := _kept(kept, known)):
        return found
    if not fresh and len(known.paths.names) > MANY_FILES:
        return Learned(PRIOR, "other repositories' changes; `weaver-forge impact --learn` learns from this one's", 0)
    most, pulls = (MOST_QUESTIONS, PULLS) if fresh else (QUICK_QUESTIONS, QUICK_PULLS)
    learned = learn(examples(known, *newest(*questions(known, 0, known.n), most)), PRIOR, pulls)
    kept.parent.mkdir(parents=True, exist_ok=True)
    document = {"weights": learned.weights.as_data(), "source": learned.source, "n_changes": learned.n_changes}
    part = kept.with_suffix(".part")
    part.write_text(json.dumps({**document, "n_history": known.n}), encoding="utf-8")
    part.replace(kept)
    return learned


def _kept(path: Path, known: History) -> Learned | None:
    """What was learned before; None where nothing was, of other signals, or from much less or more history."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        weights = Weights.from_data(document["weights"])
        n_history, source, n_changes = int(document["n_history"]), str(document["source"]), int(document["n_changes"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # not there, or another release's: learned anew
        return None
    if weights.names != NAMES or not n_history / _GROWN <= known.n <= n_history * _GROWN:
        return None
    return Learned(weights, source, n_changes)


def _as_data(
    found: Blast, change: ChangeAt, repository: Repository, learned: Learned, notes: list[str], about: Mapping[str, Any]
) -> dict[str, Any]:
    lists = {
        name: [asdict(each) for each in getattr(found, name)[:MOST_LISTED]]
        for name in ("files", "tests", "endpoints", "services", "owners")
    }
    return {
        "repo_id": repository.repo_id,
        "revision": change.revision or None,
        "at": change.at,
        "changed": list(found.changed),
        **lists,
        "n": {name: len(getattr(found, name)) for name in lists},
        "weights": learned.source,
        "missing": list(found.missing),
        "notes": notes,
        **about,
    }
