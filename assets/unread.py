"""Files that no source could read: kept in mind for ``doctor`` until they are read or gone.

Put here what is noted of them. Which files these are is found out by ``raw.guessing`` and ``raw.intake``.
"""

import json
from collections.abc import Iterable, Mapping

from assets.raw.problems import Unreadable
from assets.resources import Deployment
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS
from weaver_forge.errors import WeaverForgeError
from weaver_forge.hooks.health import unread
from weaver_forge.settings import Settings

Row = Mapping[str, str]


def remember(settings: Settings, found: Iterable[Row]) -> None:
    """Note files, each with its ``file``, ``reason`` and the flag to ``try``, over what was noted of them before."""
    noted = {row["file"]: dict(row) for row in unread(settings.unread)}
    _write(settings, noted | {row["file"]: dict(row) for row in found})


def settle(deployment: Deployment) -> None:
    """Note files that this process could not read, and forget those that were taken in meanwhile."""
    settings = deployment.settings
    noted = {row["file"]: row for row in unread(settings.unread)}
    noted |= {row["file"]: row for row in map(_row, deployment.problems) if row}
    if not noted and not settings.unread.exists():
        return
    with deployment.warehouse.connect(read_only=True) as con:
        taken = con.execute(
            f"select distinct name from {RAW_INGEST_INPUTS.name} where name in (select unnest(?))",  # noqa: S608 - a declared name
            [list(noted)],
        ).fetchall()
    _write(settings, {name: row for name, row in noted.items() if (name,) not in taken})


def _row(problem: WeaverForgeError) -> dict[str, str]:
    """A file that was there and could not be read; nothing of other problems."""
    if not isinstance(problem, Unreadable):
        return {}
    return {"file": problem.error.where, "reason": f"{problem.error.what}. {problem.error.do}", "try": ""}


def _write(settings: Settings, noted: Mapping[str, Row]) -> None:
    settings.published.mkdir(parents=True, exist_ok=True)
    unfinished = settings.unread.with_name(f".{settings.unread.name}.new")
    unfinished.write_text(json.dumps(list(noted.values()), indent=1), encoding="utf-8")
    unfinished.replace(settings.unread)
