"""Writing what hooks read of the quarantine: ``quarantine.json`` beside the published snapshot, from the ledger alone.

Replaced whole under the lock of that folder's small files. The reader is ``quarantine``.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weaver_forge.hooks.quarantine import FILE, Quarantined, held
from weaver_forge.hooks.switch import locked, write_whole
from weaver_forge.ledger.canonical import instant_text
from weaver_forge.ledger.queries_quarantine import quarantines

if TYPE_CHECKING:
    from weaver_forge.ledger import Ledger


def publish_quarantine(folder: Path, ledger: "Ledger", *, now: datetime) -> tuple[Quarantined, ...]:
    """Write what is in quarantine now, and give it.

    Args:
        folder: Of the published snapshot.
        ledger: Open.
        now: Naive UTC.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        found = held(quarantines(ledger), now)
        write_whole(folder / FILE, {"written_at": instant_text(now), "quarantined": [one.as_data() for one in found]})
    return found
