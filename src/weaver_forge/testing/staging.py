"""Handing a simulated organisation over in stages, as a pipeline would have received it.

A file belongs to the stage in which its data became complete, so any partition of time into stages hands over every
file exactly once. Bills are the exception on purpose: a month is restated in every stage, as providers do.
"""

import csv
import io
import json
import os
import shutil
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from weaver_forge.errors import MissingInput
from weaver_forge.testing.organisation import INDEX

SOURCES = {
    "reports": "tests",
    "runs": "github_actions",
    "traces": "otlp",
    "cost": "focus",
    "deployments": "deployments",
    "incidents": "incidents",
}
"""Folder of the organisation -> source name, which is the folder's name in the target."""


def stage(
    folder: Path, target: Path, start: datetime, end: datetime, *, sources: Collection[str] = tuple(SOURCES.values())
) -> dict[str, list[Path]]:
    """Put the files whose data was completed in (start, end] into ``target/<source>/``, by hard link where possible.

    A daily file of day D is complete at midnight after it, so a stage from midnight to midnight gets exactly the days
    in [start, end). Move the repository with :func:`weaver_forge.testing.advance_git`; it is not copied.

    Args:
        folder: What :func:`weaver_forge.testing.write_organisation` wrote.
        target: For instance an inbox; files keep their path below the source and their modification time.
        start: Naive UTC.
        end: Naive UTC.
        sources: Source names to hand over; others wait for a later call.

    Returns:
        Source name -> the files that were put there.

    Raises:
        MissingInput: If the folder holds no simulated organisation.
    """
    index = folder / INDEX
    if not index.is_file():
        raise MissingInput(f"no {INDEX} here", where=str(folder), do="Name a folder that write_organisation made")
    placed: dict[str, list[Path]] = {source: [] for source in SOURCES.values()}
    for name, text in json.loads(index.read_text(encoding="utf-8")).items():
        complete_at = datetime.fromisoformat(text).replace(tzinfo=None)
        kind, rest = name.split("/", 1)
        if SOURCES[kind] not in sources:
            continue
        place = target / SOURCES[kind] / rest
        if kind == "cost":
            is_placed = _restate(folder / name, place, start, end)
        elif is_placed := start < complete_at <= end:
            _link(folder / name, place)
        if is_placed:
            placed[SOURCES[kind]].append(place)
    return placed


def _link(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    try:
        os.link(source, place)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, place)


def _restate(source: Path, place: Path, start: datetime, end: datetime) -> bool:
    """Write the month as it was billed at ``end``; False when nothing was added since ``start``."""
    text = source.read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    closes = [datetime.fromisoformat(row["ChargePeriodEnd"]).replace(tzinfo=None) for row in rows]
    if not any(start < close <= end for close in closes):
        return False
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for row, close in zip(rows, closes, strict=True) if close <= end)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_text(out.getvalue(), encoding="utf-8")
    stamp = min(end, max(closes)).replace(tzinfo=UTC).timestamp()
    os.utime(place, (stamp, stamp))
    return True
