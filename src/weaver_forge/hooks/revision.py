"""What git says about the working directory: the repository, its identity and what a revision means there.

Three short git calls, or one look into the snapshot, and nothing else: a gate starts in well under half a second.
Reading history belongs in ``sources``.
"""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_forge.contracts.identity import local_repo_id, repo_id_from_remote

if TYPE_CHECKING:
    from weaver_forge.snapshot import Snapshot

SHALLOW = "shallow clone: fetch full history (actions/checkout fetch-depth: 0)"
CHANGES = "core_changes__changes"
FILES = "core_changes__files"
N_FIRST_PARENTS = 100
"""How far back an order of an ancestor is looked for."""
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

    def branch_of(self, revision: str) -> str:
        """The branch that is checked out where that is this commit; empty where it is another, or a commit alone."""
        if self.resolve("HEAD") != revision:
            return ""
        return _git(self.root, "symbolic-ref", "--quiet", "--short", "HEAD") or ""

    def first_parents(self, revision: str, n: int = N_FIRST_PARENTS) -> tuple[str, ...]:
        """A commit and its first parents, nearest first, at most ``n`` of these; what a shallow clone has of them."""
        words = ("rev-list", "--first-parent", f"--max-count={n + 1}", "--end-of-options", revision)
        return tuple((_git(self.root, *words) or "").split())

    def is_after(self, revision: str) -> bool:
        """Whether what is checked out came after a commit, and is another; False where git cannot say."""
        asked = ("merge-base", "--is-ancestor", "--end-of-options", revision, "HEAD")
        return self.resolve("HEAD") != revision and _git(self.root, *asked, strip=False) is not None


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


def checked_out(folder: Path) -> tuple[str, ...]:
    """The commit that is checked out, and what it merged in where it is a merge; empty where git does not say.

    A code host tests a pull request as a merge that nobody else knows: what was said of its head holds for it.
    """
    said = (_git(folder, "rev-parse", "HEAD", "HEAD^@") or "").split()
    return (*said[:1], *said[2:])


def known_revision(snapshot: "Snapshot", revision: str) -> dict[str, str]:
    """Repository and whole commit id of the one ingested change that begins so; nothing where there is no such one."""
    if CHANGES not in snapshot.tables():
        return {}
    sql = f"select repo_id, revision from {CHANGES} where starts_with(revision, ?) limit 2"  # noqa: S608 - a constant
    found = snapshot.rows(sql, [revision])
    return found[0] if len(found) == 1 else {}


def changed_paths(root: Path, revision: str, base: str = "") -> tuple[str, ...] | None:
    """The files that a revision changes, both names of a renamed one; None where git cannot say.

    Args:
        root: The repository.
        revision: A commit id.
        base: Where the change began: what came since the two parted counts. Empty: against the first parent.
    """
    listing = ("--name-only", "--no-renames", "-z", "-r")
    if base:
        said = _git(root, "diff", *listing[:3], "--end-of-options", f"{base}...{revision}", strip=False)
    else:
        said = _git(
            root, "diff-tree", "--root", "--no-commit-id", "-m", "--first-parent", *listing, revision, strip=False
        )
    return None if said is None else tuple(part for part in said.split("\0") if part)


def known_paths(snapshot: "Snapshot", subject: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The files of an ingested change by their names after it; None where the change is not known."""
    if not {CHANGES, FILES} <= set(snapshot.tables()) or not {"repo_id", "revision"} <= set(subject):
        return None
    key = [str(subject["repo_id"]), str(subject["revision"])]
    where = "where repo_id = ? and revision = ?"
    if not snapshot.rows(f"select 1 from {CHANGES} {where}", key):  # noqa: S608 - constants
        return None
    return tuple(row["path"] for row in snapshot.rows(f"select path from {FILES} {where} order by path", key))  # noqa: S608


def looks_like_commit(revision: str) -> bool:
    """Whether the text may be a commit id or an abbreviation of one, so that a snapshot can be asked."""
    return _HEX.fullmatch(revision.lower()) is not None


def _git(folder: Path, *arguments: str, strip: bool = True) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    return done.stdout.strip() or None if strip else done.stdout
