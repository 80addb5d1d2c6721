"""Where a command stands: the deployment, its snapshot, policy, ledger and spool; ``--from`` or found from here."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weaver_forge import settings as settings_module
from weaver_forge.errors import NotADeployment, SourceError
from weaver_forge.hooks.own_folder import NAME
from weaver_forge.settings import MARKER, Settings

if TYPE_CHECKING:
    from weaver_forge.hooks.ci_gate import Circumstances, OnDemand
    from weaver_forge.hooks.quarantine import Quarantined
    from weaver_forge.ledger import Ledger
    from weaver_forge.snapshot import Snapshot

LOCAL_SPOOL = Path(NAME) / "decisions"
"""Where a gate that reads a bare snapshot keeps its decisions, in the working directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is in reach.

    Args:
        settings: The deployment; where a bare snapshot is read, defaults for the working directory.
        is_deployment: Whether there is one.
        snapshot: The published snapshot, or None.
        problem: Why there is none.
        policy_text: The deployment's policy.yaml, else the snapshot's.
        policy_name: What to call it in messages.
    """

    settings: Settings
    is_deployment: bool
    snapshot: "Snapshot | None"
    problem: str
    policy_text: str
    policy_name: str

    @property
    def ledger(self) -> "Callable[[], Ledger] | None":
        """Opens the deployment's ledger, or the one that WEAVER_FORGE_LEDGER_URL names."""
        url = self.settings.ledger_url
        if not self.is_deployment:
            url = settings_module.variable("WEAVER_FORGE_LEDGER_URL") or ""
        if not url:
            return None

        def opened() -> "Ledger":
            from weaver_forge.ledger import Ledger

            if url == self.settings.ledger_url:
                self.settings.data.mkdir(parents=True, exist_ok=True)
            return Ledger.open(url)

        return opened

    def quarantined(self, repo_id: str) -> "tuple[tuple[Quarantined, ...], str]":
        """Tests of a repository (all: empty) in quarantine now, and why that cannot be read; empty where it can."""
        from weaver_forge.hooks.quarantine import read_quarantine

        beside = self.snapshot.path.parent if self.snapshot else None
        folder = self.settings.published if self.is_deployment else beside
        return read_quarantine(folder, self.settings.now(), repo_id)

    def circumstances(self, *, spool: Path | None, on_demand: "OnDemand | None") -> "Circumstances":
        """What a hook may reach.

        Raises:
            PolicyError: If the policy is wrong.
        """
        from weaver_forge.hooks.ci_gate import Circumstances
        from weaver_forge.hooks.standing import read_standings
        from weaver_forge.policy import in_force

        beside = self.snapshot.path.parent if self.snapshot else None
        default = self.settings.spool if self.is_deployment else Path.cwd() / LOCAL_SPOOL
        return Circumstances(
            snapshot=self.snapshot,
            problem=self.problem,
            policy=in_force(self.policy_text, self.policy_name),
            policy_text=self.policy_text,
            ledger=self.ledger,
            on_demand=on_demand,
            spool=spool or default,
            now=self.settings.now(),
            entropy=os.urandom(10),
            standings=read_standings(self.settings.published if self.is_deployment else beside),
        )


def place(where: Path | None) -> Place:
    """Find out: ``where`` wins over the deployment found from here.

    Raises:
        NotADeployment: If nothing was named and there is no deployment here or above.
        SourceError: If something was named that holds no readable snapshot and is no deployment.
    """
    found = settings_module.find() if where is None else deployment_of(where)
    if found is None:
        assert where is not None
        snapshot = _open(where)
        here = Settings(root=Path.cwd(), python=Path(sys.executable), decisions={})
        return Place(
            settings=here,
            is_deployment=False,
            snapshot=snapshot,
            problem="",
            policy_text=snapshot.policy_text,
            policy_name=f"policy in {snapshot.path}",
        )
    opened: Snapshot | None = None
    problem = ""
    try:
        opened = _open(where if where is not None and where.is_file() else found.published)
    except SourceError as error:
        problem = str(error)
    text = found.policy.read_text(encoding="utf-8") if found.policy.is_file() else ""
    return Place(
        settings=found,
        is_deployment=True,
        snapshot=opened,
        problem=problem,
        policy_text=text or (opened.policy_text if opened else ""),
        policy_name=str(found.policy),
    )


def deployment() -> Settings:
    """The deployment found from here, for commands that make no sense without one."""
    return settings_module.find()


def _open(where: Path) -> "Snapshot":
    from weaver_forge.snapshot import open_snapshot

    return open_snapshot(where)


def deployment_of(where: Path) -> Settings | None:
    """The deployment that ``where`` is the root or the published folder (or a file in it) of; else None."""
    where = where.resolve()
    if (where / MARKER).is_file():
        return settings_module.load(where)
    try:
        around = settings_module.find(where if where.is_dir() else where.parent)
    except NotADeployment:
        return None
    folder = where if where.is_dir() else where.parent
    return around if folder == around.published else None
