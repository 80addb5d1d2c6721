"""Git history: the commits of a repository, the files they touch, and whom its fixes blame.

Running git is ``sources.git_command``'s. Reading the output is pure and stands in ``decode.git``; accusing commits of
bugs stands in ``sources.git_blame``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.tables.changes import RAW_GIT_BLAMES, RAW_GIT_COMMITS
from weaver_forge.decode import git as log
from weaver_forge.errors import ShallowClone
from weaver_forge.sources.git_blame import blames, plan
from weaver_forge.sources.git_command import Repository
from weaver_forge.sources.git_history import read_history

__all__ = ["FOLLOWED", "Repository", "batches", "read_repository", "read_revision"]

FOLLOWED = 200
"""Files to blame from which on following the whole history costs less than asking git for each of them."""

_LOG = ("log", *log.LOG_OPTIONS, "--no-ext-diff", "--no-textconv", "--no-diff-merges", "--no-relative")


def batches(
    path: Path, *, known: set[str], blame_since_days: int | None = None, refs: Sequence[str] = ("HEAD",)
) -> Iterator[Batch]:
    """Read what is new in a repository: commits, the files they touch, and whom the new fixes blame.

    A first reading comes in batches of a bounded size, the commits in the last one. Later ones come as one batch.

    Args:
        path: A folder inside the repository.
        known: Revisions that are stored already; they are not read again.
        blame_since_days: Blame only for fixes within so many days before the newest new commit; None for all.
        refs: Branches, tags or expressions whose history counts.

    Raises:
        ShallowClone: If the history is cut off: every feature of it would be silently wrong.
        SourceError: If it is no repository.
    """
    repository = Repository(path)
    if repository.is_shallow():
        raise ShallowClone(
            "the clone is shallow: its history is cut off",
            where=str(path),
            do="Fetch all of it: `git fetch --unshallow`, or fetch-depth: 0 in actions/checkout",
        )
    revisions = repository.revisions(refs)
    new = [revision for revision in revisions if revision not in known]
    tips = [repository.resolve(ref) for ref in refs] if revisions else []
    if new and len(new) == len(revisions):
        yield from read_history(repository, tips, since_days=blame_since_days)
        return
    batch = _decoded(repository, new)
    planned = plan(repository, batch.tables[RAW_GIT_COMMITS.name], since_days=blame_since_days)
    if len(planned.files) < FOLLOWED:
        accused, notes = blames(repository, planned)
    else:
        (followed,) = read_history(repository, tips, since_days=None, fixes=planned.fixes)
        accused, notes = followed.tables[RAW_GIT_BLAMES.name], followed.notes
    yield replace(batch, tables={**batch.tables, RAW_GIT_BLAMES.name: accused}, notes=(*batch.notes, *notes))


def read_repository(
    path: Path, *, known: set[str], blame_since_days: int | None = None, refs: Sequence[str] = ("HEAD",)
) -> Batch:
    """Read what is new in a repository as one batch; the arguments and errors are those of :func:`batches`."""
    parts = list(batches(path, known=known, blame_since_days=blame_since_days, refs=refs))
    names = dict.fromkeys(name for part in parts for name in part.tables)
    tables = {name: pl.concat(part.tables[name] for part in parts if name in part.tables) for name in names}
    rejected = tuple(item for part in parts for item in part.rejected)
    return Batch(tables, rejected, tuple(note for part in parts for note in part.notes))


def read_revision(path: Path, rev: str) -> Batch:
    """Read one commit and its files, ingested or not; without blames.

    Raises:
        SourceError: If it is no repository or the revision is unknown.
    """
    repository = Repository(path)
    return _decoded(repository, [repository.resolve(rev)])


def _decoded(repository: Repository, revisions: Sequence[str]) -> Batch:
    said = b""
    if revisions:
        said = repository.run(*_LOG, "--no-walk=unsorted", "--stdin", stdin="\n".join(revisions).encode())
    frame = Frame(str(repository.path), said)
    return log.decode([frame], repo_id=repository.repo_id)
