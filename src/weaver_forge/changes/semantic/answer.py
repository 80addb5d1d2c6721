"""The answer about a whole change: its class, whether CI is needed, why, and whether it is audited. Words for people.

Put nothing random here. Of the changes for which CI is not needed a small share runs all the same, so that a wrong
answer is found out; which ones is a hash of the change, the same however often it is asked.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from weaver_forge.changes.semantic.classes import HARMLESS, SEVERITY, ChangeClass, FileClass, most_severe

AUDIT_SHARE = 0.03
"""Share of the skips that run all the same, where no policy says otherwise."""

_SHOWN = 3
_IN_WORDS = {
    ChangeClass.DOCS: "text for people",
    ChangeClass.FORMAT: "white space",
    ChangeClass.COMMENT: "comments",
    ChangeClass.DOCSTRING: "docstrings",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is said of a change.

    Args:
        kind: Its class: that of its most severe file.
        ci_needed: Whether CI is to run; True for an audited change.
        audited: CI would not be needed and is run anyway.
        reason: Why, as a sentence.
        files: The class of every file, the most severe first.
    """

    kind: ChangeClass
    ci_needed: bool
    audited: bool
    reason: str
    files: tuple[FileClass, ...]


def answer(files: Sequence[FileClass], change_id: str, *, audit_share: float, protected: Sequence[str] = ()) -> Answer:
    """Put the files of a change together.

    Args:
        files: Its files.
        change_id: What the draw is made from: commit ids, or a digest of the diff.
        audit_share: Share of the skips that are audited.
        protected: Paths of it that the policy protects.
    """
    ordered = tuple(sorted(files, key=lambda file: (-SEVERITY[file.kind], file.path)))
    kind = most_severe(file.kind for file in ordered)
    if kind is None:
        said = "CI needed because no file changed, and nothing tells what the change is for"
        return Answer(kind=ChangeClass.BEHAVIOUR, ci_needed=True, audited=False, reason=said, files=())
    if kind not in HARMLESS:
        said = f"CI needed because {_needed(ordered)}"
        return Answer(kind=kind, ci_needed=True, audited=False, reason=said, files=ordered)
    if protected:
        said = f"CI needed because the policy protects {', '.join(protected[:_SHOWN])}"
        return Answer(kind=kind, ci_needed=True, audited=False, reason=said, files=ordered)
    why = f"CI not needed because {_harmless(ordered)}"
    if draw(change_id) < audit_share:
        why += f"; run it anyway: the change is drawn for the audit of {audit_share:.0%} of the skips"
        return Answer(kind=kind, ci_needed=True, audited=True, reason=why, files=ordered)
    return Answer(kind=kind, ci_needed=False, audited=False, reason=why, files=ordered)


def draw(change_id: str) -> float:
    """A number from 0 to below 1, evenly spread over changes."""
    digest = sha256(f"semantic audit\0{change_id}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def _harmless(files: Sequence[FileClass]) -> str:
    counts = Counter(file.kind for file in files)
    parts = [
        f"{_IN_WORDS[kind]} in {counts[kind]} file{'s' * (counts[kind] != 1)}" for kind in _IN_WORDS if kind in counts
    ]
    return f"only {' and '.join([', '.join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)} changed"


def _needed(files: Sequence[FileClass]) -> str:
    severe = [file for file in files if file.kind not in HARMLESS]
    said = "; ".join(f"{file.path}: {file.reason}" for file in severe[:_SHOWN])
    more = len(severe) - _SHOWN
    return f"{said}; and {more} more file{'s' * (more != 1)}" if more > 0 else said
