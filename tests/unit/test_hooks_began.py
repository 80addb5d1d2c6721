"""Where a change began is the target of its request, or the commit before its push; what CI cannot say costs no run."""

import json
import subprocess
from pathlib import Path

import pytest

from weaver_forge.hooks.began import began
from weaver_forge.hooks.revision import LocalRepository, repository_at

ZEROS = "0" * 40
ALONE = "only the files of the last commit count"


def _git(at: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    said = subprocess.run(["git", "-C", str(at), *who, *arguments], check=True, capture_output=True, text=True)
    return said.stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> LocalRepository:
    """Three commits on main, and one on another branch."""
    root = tmp_path_factory.mktemp("began")
    _git(root, "init", "--quiet", "--initial-branch", "main")
    for message in ("one", "two", "three"):
        _git(root, "commit", "--quiet", "--allow-empty", "-m", message)
    _git(root, "branch", "other", _git(root, "commit-tree", "HEAD^{tree}", "-p", "HEAD~2", "-m", "elsewhere"))
    found = repository_at(root)
    assert found is not None
    return found


def _said(repository: LocalRepository, path: Path, before: str, *, by: str, **more: str) -> tuple[str, str]:
    event = path / "event.json"
    event.write_text(json.dumps({"ref": "refs/heads/main", "before": before}), encoding="utf-8")
    github = {"GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(event)}
    variables = {**({"CI_COMMIT_BEFORE_SHA": before} if by == "gitlab" else github), **more}
    return began(variables.get, repository)


@pytest.mark.parametrize("by", ["github", "gitlab"])
def test_a_push_began_at_the_commit_before_it(repository: LocalRepository, tmp_path: Path, by: str) -> None:
    before = repository.resolve("HEAD~2") or ""

    assert _said(repository, tmp_path, before, by=by) == (before, "")


@pytest.mark.parametrize("by", ["github", "gitlab"])
@pytest.mark.parametrize("before", ["other", "HEAD", "unknown", "new branch"])
def test_where_no_commit_before_a_push_can_be_taken_a_line_says_what_counts(
    repository: LocalRepository, tmp_path: Path, before: str, by: str
) -> None:
    """After a forced push, for a job that runs again by hand, in a clone that is cut off, and on a new branch."""
    revision = {"unknown": "f" * 40, "new branch": ZEROS}.get(before) or repository.resolve(before) or ""

    base, note = _said(repository, tmp_path, revision, by=by)

    assert not base
    assert note.startswith(ALONE)
    assert ("names no commit" in note) is (before == "new branch")


def test_in_a_merge_request_what_was_pushed_last_is_not_asked_for(repository: LocalRepository, tmp_path: Path) -> None:
    before = repository.resolve("HEAD~1") or ""
    target = repository.resolve("HEAD~2") or ""

    known = _said(repository, tmp_path, before, by="gitlab", CI_MERGE_REQUEST_DIFF_BASE_SHA=target)
    base, note = _said(repository, tmp_path, before, by="github", GITHUB_BASE_REF="gone")

    assert known == (target, "")
    assert not base
    assert note.startswith(f"{ALONE}: origin/gone")


@pytest.mark.parametrize(
    "event",
    [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b"{}", b'{"before": null}', b'{"before": 7}', b'{"before": "x"}'],
)
def test_an_event_that_cannot_be_read_says_nothing(repository: LocalRepository, tmp_path: Path, event: bytes) -> None:
    path = tmp_path / "event.json"
    path.write_bytes(event)

    said = began({"GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(path)}.get, repository)

    assert said == ("", "")


def test_without_an_event_or_with_one_that_is_no_push_nothing_is_said(
    repository: LocalRepository, tmp_path: Path
) -> None:
    before = repository.resolve("HEAD~2") or ""
    nothing: dict[str, str] = {}
    gone = {"GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(tmp_path / "gone")}

    assert began(nothing.get, repository) == ("", "")
    assert began(gone.get, repository) == ("", "")
    assert began({**gone, "GITHUB_EVENT_PATH": str(tmp_path)}.get, repository) == ("", "")
    assert _said(repository, tmp_path, before, by="github", GITHUB_EVENT_NAME="schedule") == ("", "")


def test_a_request_that_runs_on_its_target_has_no_files_of_its_own(repository: LocalRepository) -> None:
    """As GitHub's pull_request_target checks out: an empty change would fire no rule and say nothing."""
    _git(repository.root, "update-ref", "refs/remotes/origin/main", "HEAD")

    base, note = began({"GITHUB_BASE_REF": "main"}.get, repository)
    _git(repository.root, "update-ref", "-d", "refs/remotes/origin/main")

    assert not base
    assert note == f"{ALONE}: what is checked out is origin/main, which the change goes to, and not the change"
