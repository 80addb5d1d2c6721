"""benchmark ingest: how fast things come in, on a generated corpus, every figure beside its bar."""

import tempfile
from collections.abc import Mapping
from itertools import starmap
from pathlib import Path
from typing import Any

from assets.measuring.bench import Bench
from assets.measuring.corpora import Corpora, Sizes
from assets.measuring.grouped import COLUMNS, said
from assets.measuring.rows import GROUPS, Row
from assets.resources import Emit
from weaver_forge.errors import MissingInput, SourceError, UsageError
from weaver_forge.settings import Settings

N_SPANS, N_COMMITS, FULL_COMMITS = 1_000_000, 10_000, 100_000


def ingest_benchmark(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Measure ``{"spans": n, "only": [names], "full": bool, "chdb": interpreter, "data": folder}``.

    The corpora are made in a folder of their own below ``data``, or where the system keeps temporary files, and
    removed at the end.
    """
    groups = _chosen(arguments.get("only") or list(GROUPS))
    peer = _peer(str(arguments.get("chdb") or ""))
    sizes = _sizes(int(arguments.get("spans") or N_SPANS), full=bool(arguments.get("full")))
    where = arguments.get("data") or None
    if where is not None and not Path(where).is_dir():
        raise MissingInput("no such folder", where=str(where), do="Name a folder with room, or leave --data out")
    rows: list[tuple[str, Row]] = []
    with tempfile.TemporaryDirectory(prefix="weaver-forge-benchmark-", dir=where) as folder:
        corpora = Corpora(Path(folder), sizes)
        corpora.check_room()

        def tell(name: str) -> None:
            emit({"event": "progress", "step": group, "message": name})

        bench = Bench(settings, corpora, peer, tell)
        for group in groups:
            made = _measured(group, bench)
            rows += [(group, row) for row in made]
            for row in made:
                emit({"event": "progress", "step": group, "message": f"{row.figure}: {row.value} {row.outcome}"})
    emit({
        "event": "table",
        "title": f"Ingest of {sizes.n_spans:,} spans, {sizes.n_more:,} where it says more",
        "columns": COLUMNS,
        "rows": [[getattr(row, name) for name in COLUMNS] for _, row in rows],
    })  # fmt: skip
    told = list(starmap(said, rows))
    emit({"event": "result", "data": {"spans": sizes.n_spans, "more": sizes.n_more, "rows": told}})
    return SourceError.exit_code if any(row.failed for _, row in rows) else 0


def _measured(group: str, bench: Bench) -> list[Row]:
    """The rows of a group; one that says so where a measure failed, so that the others are not lost."""
    try:
        return GROUPS[group](bench)
    except SourceError as problem:
        return [Row(figure=group, value="-", failed=problem.what)]


def _chosen(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise UsageError(f"unknown measure {unknown[0]!r}", where="--only", do=f"Known: {', '.join(GROUPS)}")
    return [name for name in GROUPS if name in names]


def _peer(path: str) -> Path | None:
    """The interpreter as it was named, not resolved: an environment's python is a link."""
    if path and not Path(path).is_file():
        raise MissingInput("no such interpreter", where=path, do="Name the python of an environment that has chdb")
    return Path(path) if path else None


def _sizes(n_spans: int, *, full: bool) -> Sizes:
    if n_spans < 1000:
        raise UsageError(f"{n_spans} spans measure nothing", where="--spans", do="Name at least 1000")
    n_commits = FULL_COMMITS if full else max(N_COMMITS * n_spans // N_SPANS, 300)
    return Sizes(n_spans, n_spans * (10 if full else 3), n_commits)
