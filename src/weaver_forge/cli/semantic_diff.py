"""``semantic-diff``: what a change means, file by file, and whether CI is needed for it."""

import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from weaver_forge.changes.semantic.answer import AUDIT_SHARE, Answer, answer
from weaver_forge.cli import text
from weaver_forge.errors import NotADeployment, SourceError, UsageError

if TYPE_CHECKING:
    from weaver_forge.changes.semantic.classes import FileClass
    from weaver_forge.policy import Rule
    from weaver_forge.sources.git_command import Repository

SHOWN = 20


def semantic_diff(
    change: str = "HEAD",
    /,
    *,
    diff: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say what a change means, file by file: docs, format, comment, docstring, rename, test_only, config or behaviour.

    The change has the class of its most severe file. What cannot be shown to be harmless is behaviour. Of the changes
    for which CI is not needed, a share (the policy's holdout for test_selection, else 3%) is to run all the same.
    Exit code 0 whatever the answer: read ci_needed of --json.

    Args:
        change: A revision, against its first parent; or A..B, or A...B for what came since the two parted.
        diff: A file with the output of git diff instead, "-" for standard input: names and what it shows whole.
        json: Print as JSON.
    """
    if diff is not None and change != "HEAD":
        raise UsageError("a revision and a diff are two changes", do="Name one of them")
    files, change_id, about = _of_diff(diff) if diff is not None else _of_revisions(change)
    rule = _rule()
    said = answer(
        files,
        change_id,
        audit_share=AUDIT_SHARE if rule is None else rule.holdout,
        protected=() if rule is None else _protected(rule, files),
    )
    if json:
        text.as_json({**about, **_as_data(said, AUDIT_SHARE if rule is None else rule.holdout)})
    else:
        _show(said)
    return 0


def _of_revisions(change: str) -> "tuple[list[FileClass], str, dict[str, Any]]":
    from weaver_forge.changes.semantic.readers import with_readers
    from weaver_forge.sources.git_command import Repository
    from weaver_forge.sources.git_texts import classes_of, entries_of, readers_in

    repository = Repository(Path.cwd())
    base, revision = "", change
    for dots in ("...", ".."):
        if dots in change:
            begun, _, ended = change.partition(dots)
            base, revision = repository.resolve(begun or "HEAD"), ended or "HEAD"
            break
    revision = repository.resolve(revision)
    if base and "..." in change:
        base = repository.run("merge-base", base, revision).decode().strip()
    base = base or _parent(repository, revision)
    found = classes_of(repository, entries_of(repository, revision, base))
    files = with_readers(found, readers_in(repository, revision, found))
    about = {"repo_id": repository.repo_id, "revision": revision, "base": base or None}
    return files, f"{repository.repo_id} {base}..{revision}", about


def _parent(repository: "Repository", revision: str) -> str:
    """The first parent; empty for the first commit of a repository.

    Raises:
        SourceError: If a shallow clone lacks it: the whole content would be taken for the change.
    """
    parents = repository.run("log", "-1", "--format=%P", revision).decode().split()
    if not parents and repository.is_shallow():
        raise SourceError(
            f"the clone is shallow, and the parent of {revision[:12]} is not in it",
            where=str(Path.cwd()),
            do="Fetch one commit more: `git fetch --deepen 1`, or fetch-depth: 2 in actions/checkout",
        )
    return parents[0] if parents else ""


def _of_diff(name: str) -> "tuple[list[FileClass], str, dict[str, Any]]":
    from weaver_forge.changes.semantic.diffs import changes_in
    from weaver_forge.changes.semantic.files import class_of_file

    try:
        given = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise SourceError(
            f"the diff cannot be read: {error.strerror}", where=name, do="Name a readable file"
        ) from error
    try:
        files = [class_of_file(change) for change in changes_in(given)]
    except ValueError as error:
        raise SourceError(
            f"the diff cannot be read: {error}", where=name, do="Give the output of `git diff`"
        ) from error
    return files, sha256(given).hexdigest(), {"diff": name}


def _rule() -> "Rule | None":
    """What the policy in reach says of skipping tests; None where there is no deployment here."""
    from weaver_forge.cli.place import place
    from weaver_forge.policy import effective, in_force

    try:
        at = place(None)
    except NotADeployment:
        return None
    if not at.policy_text:
        return None
    return effective(in_force(at.policy_text, at.policy_name), "test_selection", "skip_tests")


def _protected(rule: "Rule", files: "list[FileClass]") -> tuple[str, ...]:
    from weaver_forge.policy import protected

    paths = [path for file in files for path in (file.path, file.old_path) if path is not None]
    return protected(rule.protected_paths, paths)


def _as_data(said: Answer, share: float) -> dict[str, Any]:
    return {
        "class": said.kind.value,
        "ci_needed": said.ci_needed,
        "audited": said.audited,
        "audit_share": share,
        "reason": said.reason,
        "files": [
            {"path": file.path, "old_path": file.old_path, "class": file.kind.value, "reason": file.reason}
            for file in said.files
        ],
    }


def _show(said: Answer) -> None:
    text.out(f"{said.kind.value}: {said.reason}")
    rows = [[file.kind.value, file.path, file.reason] for file in said.files[:SHOWN]]
    more = len(said.files) - len(rows)
    lines = text.table(["class", "file", "why"], rows) if rows else []
    text.group("Files, the most severe first", [*lines, *([f"and {more} more: --json"] if more > 0 else [])])
