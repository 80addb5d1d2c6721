"""What ``benchmark ranking`` measures, one function a figure; each is run in a process of its own.

Which figures are held against which bars is in ``ranking_rows``. The history is made up (``verdict_corpus``): it says
what learning and ranking cost, and nothing about how good they are.
"""

import json
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assets.keeping import kept_names
from assets.predicting import SEED, Provenance
from assets.registry import load_spec
from assets.snapshot_tables import SnapshotTables
from assets.verbs.predict import document_of, predict_from, rows_of_revision
from weaver_forge.benchmarks.verdict_corpus import REPO, verdict_history
from weaver_forge.contracts.decision import DecisionSpec, spec_as_data
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.ci import CORE_CI_TEST_DURATIONS
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS
from weaver_forge.hooks.rank_tests import ordered
from weaver_forge.links.ci import test_durations
from weaver_forge.settings import Settings, environment_with, find, load
from weaver_forge.snapshot import open_snapshot
from weaver_forge.warehouse import Warehouse

Figures = dict[str, Any]

DECISION = "test_selection"
TESTS_LEARNT, TESTS_RANKED = 2_000, 10_000
"""Tests a run: of what is learnt from, and of what is ranked."""

LATER = 5
"""Answers after the first, or processes, of which the middle one counts."""

_GIT = ("git", "-c", "user.name=dev1", "-c", "user.email=dev1@example.org", "-c", "init.defaultBranch=main")


def ranking_learn(n: int) -> Figures:
    """Subjects, features, outcomes, both fits and what is kept of ``n`` results; the peak is of the whole process."""
    kind = load_spec(find(), DECISION).kinds[0]
    tables = verdict_history(max(n // TESTS_LEARNT, 2), TESTS_LEARNT, seed=SEED)
    now = _after(tables)
    made_mb, begun, cpu = _peak_mb(), time.perf_counter(), time.process_time()
    subjects = kind.history(tables, now)
    features = kind.features(tables, subjects)
    labels = kind.labels(tables, subjects, now)
    featured = time.perf_counter()
    for method in (kind.model, kind.baseline):
        method.fit(features, labels, np.random.default_rng(SEED))
    fitted, used = time.perf_counter(), time.process_time() - cpu
    assert kind.keeping is not None
    kind.keeping.keep(tables, now)
    ended = time.perf_counter()
    return {
        "n": subjects.height,
        "wall_s": fitted - begun,
        "cpu_s": used,
        "features_s": featured - begun,
        "fit_s": fitted - featured,
        "keep_s": ended - fitted,
        "history_mb": made_mb,
        "peak_mb": _peak_mb(),
    }


def ranking_fill(folder: str, n: int) -> Figures:
    """A deployment with ``n`` results of which a snapshot is published, and a repository beside it."""
    root = Path(folder)
    tables = verdict_history(max(n // TESTS_RANKED, 2), TESTS_RANKED, seed=SEED)
    now = _after(tables)
    settings = _deployment(root / "deployment", now)
    spec = load_spec(settings, DECISION)
    kind = spec.kinds[0]
    assert kind.keeping is not None
    begun = time.perf_counter()
    warehouse = Warehouse(settings.warehouse, settings.lake)
    durations = {CORE_CI_TEST_DURATIONS.name: test_durations(tables["core_ci__test_verdicts"])}
    for name, rows in {**tables, **durations, **kind.keeping.keep(tables, now)}.items():
        declared = BY_NAME.get(name) or next(table for table in kind.keeping.tables if table.name == name)
        warehouse.replace(declared, rows)
    warehouse.publish(
        settings.published,
        tables=[*spec.reads, *kind.keeping.tables, CORE_CI_TEST_DURATIONS, RAW_INGEST_INPUTS],
        specs=[spec_as_data(spec)],
        policy_text="",
        artifacts={f"{spec.name}__{kind.entity}": json.dumps(_document(spec)).encode()},
        now=now,
        data_as_of=now,
    )
    _repository(root / "repository", now)
    return {"n": n, "wall_s": time.perf_counter() - begun, "kept": kept_names(spec)}


def ranking_warm(folder: str) -> Figures:
    """Answers of one process, each about another change: features, probabilities, order, reasons, ids and hashes.

    What comes before, reading the commit from git, and what follows, writing it down, are measured in the cold one.
    """
    root = Path(folder)
    settings = load(root / "deployment")
    spec = load_spec(settings, DECISION)
    kind, now = spec.kinds[0], settings.now()
    assert kind.keeping is not None
    took: list[tuple[float, float]] = []
    n_tests = 0
    with open_snapshot(settings.published) as snapshot:
        document = document_of(snapshot, spec, kind)
        path = snapshot.path
    with SnapshotTables(path, spec.reads, kind.keeping.tables) as tables:
        for revision in _commits(root / "repository", LATER + 1, now):
            subject = {"repo_id": REPO, "revision": revision}
            tables.beside(rows_of_revision(spec, subject, root / "repository"))
            begun, cpu = time.perf_counter(), time.process_time()
            provenance = Provenance(
                origin="simulated", made_at=now, data_as_of=tables.data_as_of(now), sources_missing=()
            )
            said = predict_from(spec, kind, document, tables, subject, provenance)
            names = ("test_id", "score", "probability")
            n_tests = len(ordered(said.rows.select(names).to_dicts(), {}))
            took.append((time.perf_counter() - begun, time.process_time() - cpu))
    first, (wall, cpu) = took[0], _middle(took[1:])
    return {"n": n_tests, "first_s": first[0], "wall_s": wall, "cpu_s": cpu, "peak_mb": _peak_mb()}


def ranking_cold(folder: str) -> Figures:
    """``weaver-forge rank-tests`` of a commit that nobody has seen, in a process of its own: to the written list.

    The first is not counted: it compiles the modules, which an installation did once, and reads them from disk.
    """
    root = Path(folder)
    repository, listed = root / "repository", root / "run.txt"
    settings, environment = load(root / "deployment"), environment_with(PYTHONDONTWRITEBYTECODE="")
    took: list[tuple[float, float]] = []
    for revision in _commits(repository, LATER + 1, settings.now()):
        listed.unlink(missing_ok=True)
        command = [str(settings.python), "-m", "weaver_forge", "rank-tests", "--from", str(settings.root)]
        before, begun = _children_s(), time.perf_counter()
        done = subprocess.run(
            [*command, "--change", revision, "--run-file", str(listed)],
            cwd=repository, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        took.append((time.perf_counter() - begun, _children_s() - before))
        if "RUN EVERYTHING" in done.stdout or not listed.is_file():
            raise RuntimeError(f"nothing was ranked: {done.stdout[:300]} {done.stderr[-300:]}")
    wall, cpu = _middle(took[1:])
    n_tests = len(listed.read_text(encoding="utf-8").splitlines())
    return {"n": n_tests, "wall_s": wall, "cpu_s": cpu, "least_s": min(took[1:])[0]}


MEASURES: Mapping[str, Callable[..., Figures]] = {
    measure.__name__: measure for measure in (ranking_learn, ranking_fill, ranking_warm, ranking_cold)
}
"""By name, for ``python -m assets.measuring``."""


def _after(tables: Mapping[str, pl.DataFrame]) -> datetime:
    """An hour after the newest run."""
    newest = tables["core_ci__runs"]["known_at"].max()
    assert isinstance(newest, datetime)
    return newest + timedelta(hours=1)


def _deployment(root: Path, now: datetime) -> Settings:
    """A deployment with this one's code and a clock that stands still."""
    here = find()
    root.mkdir(parents=True)
    for package in ("assets", "models"):
        (root / package).symlink_to(here.root / package)
    (root / "weaver-forge.toml").write_text(
        f'[clock]\nnow = "{now.isoformat()}Z"\n[pipeline]\npython = {json.dumps(str(here.python))}\n'
        f'[decisions]\n{DECISION} = "{here.decisions[DECISION]}"\n',
        encoding="utf-8",
    )
    shutil.copy(here.policy, root / here.policy.name)
    return load(root)


def _document(spec: DecisionSpec) -> dict[str, Any]:
    """A model learnt from a small history, as a training exports it."""
    kind = spec.kinds[0]
    tables = verdict_history(60, 200, seed=SEED)
    now = _after(tables)
    subjects = kind.history(tables, now)
    features, labels = kind.features(tables, subjects), kind.labels(tables, subjects, now)
    fitted = {
        name: {"name": method.name, "artifact": method.fit(features, labels, np.random.default_rng(SEED))}
        for name, method in (("model", kind.model), ("baseline", kind.baseline))
    }
    return {"decision": spec.name, "entity": kind.entity, "version": "1", "is_baseline": False, **fitted}


def _repository(path: Path, now: datetime) -> None:
    path.mkdir(parents=True)
    _git(path, now, "init", "-q")
    _git(path, now, "remote", "add", "origin", f"https://{REPO}.git")


def _commits(repository: Path, n: int, now: datetime) -> Iterator[str]:
    """Commits that change a file each; the commit ids."""
    for number in range(n):
        file = repository / "src" / f"part_{number}.py"
        file.parent.mkdir(exist_ok=True)
        before = len(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else 0
        file.write_text("".join(f"value_{line} = {line}\n" for line in range(before + 3)), encoding="utf-8")
        _git(repository, now, "add", ".")
        _git(repository, now, "commit", "-q", "-m", "a change")
        yield _git(repository, now, "rev-parse", "HEAD").strip()


def _git(repository: Path, now: datetime, *arguments: str) -> str:
    at = f"{(now - timedelta(minutes=5)).isoformat()}Z"
    environment = environment_with(GIT_AUTHOR_DATE=at, GIT_COMMITTER_DATE=at)
    done = subprocess.run(
        [*_GIT, *arguments], cwd=repository, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def _middle(took: list[tuple[float, float]]) -> tuple[float, float]:
    return sorted(took)[len(took) // 2]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
