"""Files that a receiver of this deployment wrote: deleted once all of them is stored, kept where it is not.

Put here what becomes of them after they were read. Writing them belongs in ``weaver_forge.receivers``.
"""

from collections.abc import Sequence
from pathlib import Path

from weaver_forge.contracts.tables.ingest import RAW_INGEST_REJECTED
from weaver_forge.errors import SourceError
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse

KEPT = "kept"
"""Folder below a source's inbox, which is not read: received files with a piece that the warehouse does not hold."""


def is_received(path: Path, settings: Settings) -> bool:
    """Whether a receiver of this deployment wrote the file: it is whole, and is deleted once it is taken in."""
    inbox, place = settings.inbox.resolve(), path.resolve()
    return inbox in place.parents and place.relative_to(inbox).parts[1:2] == ("received",)


def settle(paths: Sequence[Path], source: str, settings: Settings, warehouse: Warehouse) -> list[SourceError]:
    """Delete received files that the books know; move aside those of which a refused piece is not stored whole.

    What was acknowledged to a sender is nowhere else, and cannot be decoded again without its bytes.

    Args:
        paths: Received files whose rows and refusals are written.
        source: Whose they are.
        settings: Of the deployment.
        warehouse: Whose books are asked, so that a file whose intake was killed before this is not deleted either.

    Returns:
        A problem for every file that was moved.
    """
    short = _short(paths, source, warehouse)
    problems = []
    for path in paths:
        if str(path) in short and path.exists():
            kept = _aside(path, settings.inbox / source / KEPT)
            problems.append(
                SourceError(
                    f"{short[str(path)]} refused pieces of this received file are too large to be stored, or have no"
                    " end: the file was kept",
                    where=str(kept),
                    do="Look at `weaver-forge rejected`; take the file in by its path once it is mended, or delete it",
                )
            )
        else:
            path.unlink(missing_ok=True)
    return problems


def _aside(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    kept, number = folder / path.name, 1
    while kept.exists():
        number += 1
        kept = folder / f"{path.stem}-{number}{path.suffix}"
    return path.rename(kept)


def _short(paths: Sequence[Path], source: str, warehouse: Warehouse) -> dict[str, int]:
    """Refused pieces by file whose bytes are neither stored nor part of those of another piece."""
    if not paths:
        return {}
    table = RAW_INGEST_REJECTED.name
    with warehouse.connect(read_only=True) as con:
        found = con.execute(
            f"""
            select name, count(*) from {table} as piece
            where source = ? and list_contains(?, name) and data is null and resolved_at is null and not exists (
                from {table} as whole
                where whole.source = piece.source and whole.input_sha256 = piece.input_sha256
                and whole.byte_offset = piece.byte_offset and whole.data is not null
            )
            group by name
            """,  # noqa: S608 - a declared name
            [source, [str(path) for path in paths]],
        ).fetchall()
    return dict(found)
