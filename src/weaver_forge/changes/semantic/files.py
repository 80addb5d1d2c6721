"""The class of one changed file, from its names and its two texts."""

from dataclasses import dataclass

from weaver_forge.changes.semantic.classes import HARMLESS, ChangeClass, FileClass, Finding, behaviour
from weaver_forge.changes.semantic.docstrings import DIRECTIVES, examples
from weaver_forge.changes.semantic.paths import Kind, is_media, is_test, kind_of, language_of
from weaver_forge.changes.semantic.python import compare_python
from weaver_forge.changes.semantic.trees import compare_trees

MAX_BYTES = 1_000_000
"""A longer text is not compared: it is made by a program, or would take seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file before and after.

    Args:
        path: After the change; of a deleted file, before it.
        old_path: Before a rename; None otherwise.
        old: Its text before; None where there was no such file, or where it is not given.
        new: The same after.
        special: What makes it more than a change of text (its mode, a link); empty where nothing does.
        unknown: Why its texts are not given although they matter; empty where they are given, or do not.
        same: The content is known to be the same, whether given or not.
    """

    path: str
    old_path: str | None = None
    old: bytes | None = None
    new: bytes | None = None
    special: str = ""
    unknown: str = ""
    same: bool = False


def needs_texts(path: str, old_path: str | None = None) -> bool:
    """Whether the class of a file depends on what is in it, and not on its name alone."""
    return all(kind_of(each) in {Kind.SOURCE, Kind.DOCS} and not is_media(each) for each in (path, old_path or path))


def class_of_file(change: FileChange) -> FileClass:
    """The class of a changed file; what cannot be told is behaviour."""
    found = _found(change)
    return FileClass(path=change.path, old_path=change.old_path, kind=found.kind, reason=found.reason)


def _found(change: FileChange) -> Finding:
    paths = (change.path, change.old_path or change.path)
    if change.special:
        return behaviour(change.special)
    kinds = {kind_of(path) for path in paths}
    if kinds == {Kind.DOCS}:
        return _docs(change)
    if kinds == {Kind.CONFIG}:
        return Finding(ChangeClass.CONFIG, "configuration of tools or of the build")
    if kinds != {Kind.SOURCE}:
        worst = next(
            kind for kind in (Kind.UNKNOWN, Kind.LOCK, Kind.CI, Kind.DATA, Kind.CONFIG, *Kind) if kind in kinds
        )
        return behaviour(f"it is {worst.value}")
    found = _source(change)
    if found.kind is ChangeClass.BEHAVIOUR and all(map(is_test, paths)):
        return Finding(ChangeClass.TEST_ONLY, f"code of tests: {found.reason}")
    return found


def _docs(change: FileChange) -> Finding:
    if change.unknown:
        return behaviour(change.unknown)
    texts = [text for text in (change.old, change.new) if text is not None]
    if not change.same and any(DIRECTIVES.search(text) for text in texts):
        return behaviour("text with examples that are run as tests")
    if not change.same and examples(change.old or b"") != examples(change.new or b""):
        return behaviour("examples changed that doctest may run")
    return Finding(ChangeClass.DOCS, "text for people")


def _source(change: FileChange) -> Finding:
    moved = change.old_path is not None and change.old_path != change.path
    language = language_of(change.path)
    if language is None or language != language_of(change.old_path or change.path):
        return behaviour("its language is not known, or another one than before")
    if moved and (change.same or (change.old is not None and change.old == change.new)):
        return Finding(ChangeClass.RENAME, f"moved from {change.old_path}, with the same content")
    if change.unknown:
        return behaviour(change.unknown)
    if change.old is None or change.new is None:
        return behaviour("a new file" if change.old is None else "a file that is gone")
    found = _compared(change.old, change.new, language)
    if moved and found.kind in HARMLESS:
        return Finding(ChangeClass.RENAME, f"moved from {change.old_path}; {found.reason}")
    return found


def _compared(old: bytes, new: bytes, language: str) -> Finding:
    if max(len(old), len(new)) > MAX_BYTES:
        return behaviour("too large to compare")
    if b"\0" in old or b"\0" in new:
        return behaviour("it is binary")
    return compare_python(old, new) if language == "python" else compare_trees(old, new, language)
