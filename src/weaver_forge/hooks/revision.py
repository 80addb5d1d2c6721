"""What git says about the working directory: the repository, its identity and what a revision means there.

Three short git calls, or one look into the snapshot, and nothing else: a gate starts in well under half a second.
Reading history belongs in ``sources``.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weaver_forge.contracts.identity import local_repo_id, repo_id_from_remote

if TYPE_CHECKING:
    from weaver_forge.snapshot import Snapshot

SHALLOW = "shallow clone: fetch full history (actions/checkout fetch-depth: 0)"
CHANGES = "core_changes__changes"
_HEX = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, slots=True)
class LocalRepository:
    """A git repository that the caller stands in."""

    root: Path
    repo_id: str
    is_shallow: bool

    def resolve(self, revision: str) -> str | None:
        """The full commit id that a name, tag or abbreviation means here; None when it means nothing."""
        return _git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}")


def repository_at(folder: Path) -> LocalRepository | None:
    """The repository around ``folder``, or None (also where git is not installed)."""
    said = _git(folder, "rev-parse", "--show-toplevel", "--is-shallow-repository")
    lines = (said or "").splitlines()
    if len(lines) != 2:
        return None
    root = Path(lines[0])
    remote = _git(root, "config", "--get", "remote.origin.url")
    repo_id = (repo_id_from_remote(remote) if remote else None) or local_repo_id(str(root.resolve()))
    return LocalRepository(root, repo_id, is_shallow=lines[1] == "true")


def known_revision(snapshot: "Snapshot", revision: str) -> dict[str, str]:
    """Repository and whole commit id of the one ingested change that begins so; nothing where there is no such one."""
    if CHANGES not in snapshot.tables():
        return {}
    sql = f"select repo_id, revision from {CHANGES} where starts_with(revision, ?) limit 2"  # noqa: S608 - a constant
    found = snapshot.rows(sql, [revision])
    return found[0] if len(found) == 1 else {}


def looks_like_commit(revision: str) -> bool:
    """Whether the text may be a commit id or an abbreviation of one, so that a snapshot can be asked."""
    return _HEX.fullmatch(revision.lower()) is not None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
