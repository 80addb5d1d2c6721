"""What ``status`` looks at, opened by the caller: the record, the published snapshot, the policy, a window of time.

Put here what several figures need of these. Each figure's own way stands in a module of its own: ``status_points``,
``status_health``, ``status_services``; ``status`` has the order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_forge.ledger.queries_status import Window
from weaver_forge.policy import Policy

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading
    from weaver_forge.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is in reach.

    Args:
        ledger: Open; None where there is none.
        no_ledger: Why there is none.
        snapshot: The published one; None where there is none.
        no_snapshot: Why there is none.
        policy: The policy that holds now.
        overview: File with what the last ingest counted.
        window: Which decisions are meant, and when it is looked at.
    """

    ledger: "Reading | None"
    no_ledger: str = ""
    snapshot: "Snapshot | None"
    no_snapshot: str = ""
    policy: Policy = field(default_factory=lambda: Policy(version=1))
    overview: Path
    window: Window

    @property
    def specs(self) -> Mapping[str, Mapping[str, Any]]:
        """The catalogue: decision -> its spec as data; empty where nothing is published."""
        return self.snapshot.specs if self.snapshot is not None else {}

    @property
    def since(self) -> str:
        """From when on, in words."""
        return f"since {self.window.since:%Y-%m-%d %H:%M} UTC"

    @property
    def reach(self) -> str:
        """Which decisions are meant, in words."""
        return self.since + ("" if self.window.scope == "all" else f" in scope {self.window.scope}")
