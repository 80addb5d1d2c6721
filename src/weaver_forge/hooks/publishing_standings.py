"""Writing what hooks read of autonomy: ``standings.json`` beside the published snapshot, from the ledger alone.

Written under a lock and replaced whole, always from the ledger as it is then: an assessment and a person who lowers a
ceiling at the same time cannot undo each other. The reader is ``standing``.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weaver_forge.contracts.values import Scope
from weaver_forge.hooks.standing import STANDINGS
from weaver_forge.hooks.switch import bring_in_line, locked, write_whole
from weaver_forge.ledger.canonical import instant_text
from weaver_forge.ledger.queries_autonomy import ceiling_set, ceilings, newest_standings, switches

if TYPE_CHECKING:
    from weaver_forge.ledger import Ledger

SHOWN = ("decision", "entity", "action", "scope", "level", "reason", "bound", "ceiling")


def publish_standings(folder: Path, ledger: "Ledger", decisions: Iterable[str], *, now: datetime) -> None:
    """Write what is earned and allowed, and bring the kill switch's file in line with the ledger.

    Args:
        folder: Of the published snapshot.
        ledger: Open.
        decisions: Names of all decisions; a ceiling may be set for one that has no standing yet.
        now: Naive UTC.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        with ledger.one_view():
            standings, rows = newest_standings(ledger), ceilings(ledger)
        names = sorted({*decisions, *(row["decision"] for row in standings)})
        found = [
            {"decision": name, "scope": scope.value, "level": level.value}
            for name in names
            for scope in Scope
            if (level := ceiling_set(rows, name, scope.value)) is not None
        ]
        document = {
            "written_at": instant_text(now),
            "standings": [
                {**{name: row[name] for name in SHOWN}, "assessed_at": instant_text(row["assessed_at"])}
                for row in standings
            ],
            "ceilings": found,
        }
        write_whole(folder / STANDINGS, document)
    bring_in_line(folder, switches(ledger))
