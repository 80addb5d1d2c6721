"""What a commit message claims: that it fixes something, or that it takes a commit back.

The words are a convention of people, so they stand here once and in the open; SZZ and the labels of a change
rest on them. A claim about files or lines is no business of this module.
"""

import polars as pl

FIX_WORDS = (
    "fix", "fixes", "fixed", "fixing", "bugfix", "bugfixes", "hotfix", "bug", "bugs", "defect", "defects",
    "regression", "regressions", "crash", "crashes", "crashed", "deadlock", "segfault", "broken",
    "race condition", "memory leak", "workaround",
)  # fmt: skip
"""Whole words of a subject that claim a fix; whole words leave out fixture, prefix, suffix, debug and fixup."""

HARMLESS_WORDS = (
    "typo", "typos", "spelling", "grammar", "wording", "readme", "changelog", "docs", "doc", "documentation",
    "docstring", "docstrings", "javadoc", "comment", "comments", "whitespace", "formatting", "indentation",
    "lint", "linter", "checkstyle", "mypy", "flake8", "copyright", "license", "licence",
)  # fmt: skip
"""Words that turn a fix of the subject into one of text or style: "fix typo", "fixed lint errors"."""

HARMLESS_TYPES = ("docs", "doc", "style", "test", "tests", "ci", "chore", "build", "refactor", "feat")
"""Conventional-commit types that say themselves that behaviour was not mended."""

_SUBJECT_FIX = rf"\b(?:{'|'.join(FIX_WORDS)})\b"
_HARMLESS = rf"\b(?:{'|'.join(HARMLESS_WORDS)})\b"
_HARMLESS_TYPE = rf"^(?:{'|'.join(HARMLESS_TYPES)})(?:\([^)]*\))?!?:"
# "Fixes #12", "fixed GH-12", "Fixes: PROJ-12", "Fixes: 1f29c4b5c346" (the kernel's trailer), or an issue's address.
_BODY_FIX = r"(?m)\b(?:fix|fixes|fixed)\b:?\s+(?:(?:issue|bug)s?\s+)?(?:[\w./-]*#\d+|gh-\d+|[a-z][a-z0-9]+-\d+|[0-9a-f]{8,40}\b|https?://)"
_REVERT_SUBJECT = r"^(?:\[[^\]]*\]\s*)?(?:[a-z]+-\d+[:.]?\s*)?reverts?\b"
_REVERTED = r"(?i)\bthis reverts commit ([0-9a-f]{7,64})\b"


def is_fix(subject: pl.Expr, body: pl.Expr) -> pl.Expr:
    """Say whether a message claims to fix or revert something.

    True when the subject begins with "revert", or the body says "This reverts commit ...", or the subject has one
    of ``FIX_WORDS`` without one of ``HARMLESS_WORDS`` and without one of ``HARMLESS_TYPES`` in front, or the body
    names an issue or commit that it fixes (and the subject is not harmless).
    """
    said, told = subject.str.to_lowercase(), body.str.to_lowercase()
    harmless = said.str.contains(_HARMLESS) | said.str.contains(_HARMLESS_TYPE)
    claims = said.str.contains(_SUBJECT_FIX) | told.str.contains(_BODY_FIX)
    reverts = said.str.contains(_REVERT_SUBJECT) | told.str.contains(_REVERTED)
    return (reverts | (claims & ~harmless)).fill_null(value=False)


def reverted(body: pl.Expr) -> pl.Expr:
    """The commit id (perhaps abbreviated) that "This reverts commit ..." names; null when there is none."""
    return body.str.extract(_REVERTED, 1).str.to_lowercase()
