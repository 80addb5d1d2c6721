"""What git says of the branch that is checked out."""

import subprocess
from pathlib import Path

from weaver_forge.hooks.revision import repository_at


def _git(at: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    said = subprocess.run(["git", "-C", str(at), *who, *arguments], check=True, capture_output=True, text=True)
    return said.stdout.strip()


def test_a_branch_is_that_of_the_commit_that_is_checked_out_and_of_no_other(tmp_path: Path) -> None:
    _git(tmp_path, "init", "--quiet", "--initial-branch", "fix/a")
    for message in ("one", "two"):
        _git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", message)
    newest, older = _git(tmp_path, "rev-list", "HEAD").split()
    repository = repository_at(tmp_path)
    assert repository is not None

    on_a_branch = repository.branch_of(newest), repository.branch_of(older)
    _git(tmp_path, "checkout", "--quiet", "--detach")
    alone = repository.branch_of(newest)

    assert on_a_branch == ("fix/a", "")
    assert not alone
