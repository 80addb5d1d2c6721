"""What a message claims, and what becomes of raw git rows."""

from datetime import datetime

import polars as pl
import pytest

from weaver_forge.changes import core_changes, core_changes_of, core_files, file_sizes, is_fix
from weaver_forge.contracts.dtypes import empty, from_rows, schema
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.changes import RAW_GIT_BLAMES, RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES

A, B, C, D = ("abcdef0" + letter * 33 for letter in "abcd")


def claims(subject: str, body: str = "") -> bool:
    frame = pl.DataFrame({"subject": [subject], "body": [body]})
    return bool(frame.select(is_fix(pl.col("subject"), pl.col("body"))).item())


@pytest.mark.parametrize(
    "subject",
    [
        "Fix crash on empty cart",
        "fix: rounding of totals",
        "fix(cart)!: rounding",
        "HDDS-8244. Fixed race condition in pipeline close",
        "Bug 1234: wrong total",
        "Hotfix for checkout",
        "Avoid a regression of start-up time",
        'Revert "Add fast path"',
        "[release] Revert the fast path",
        "PROJ-12: Reverts the fast path",
    ],
)
def test_a_subject_that_mends_something_is_a_fix(subject: str) -> None:
    assert claims(subject)


@pytest.mark.parametrize(
    "subject",
    [
        "Add a fixture for carts",
        "Use the prefix of the key",
        "Rename suffix",
        "Debug output on request",
        "Fix typo",
        "Fix typo in the README",
        "Fixed lint errors",
        "docs: fix the build instructions",
        "test(cart): fix an expectation",
        "Fixup of the last commit",
        "Add feature",
        "",
    ],
)
def test_a_subject_that_mends_no_behaviour_is_no_fix(subject: str) -> None:
    assert not claims(subject)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Fixes #12", True),
        ("This fixes acme/shop#12.", True),
        ('Fixes: 1f29c4b5c346 ("cart: fast path")', True),
        ("Fixed PROJ-77", True),
        ("This reverts commit 1f29c4b5c3467d666f6217600c83a9fd3122ee4b.", True),
        ("Closes #12", False),
        ("Fixes the layout of the page", False),
        ("See #12", False),
    ],
)
def test_a_body_claims_a_fix_only_by_naming_what_it_mends(body: str, expected: bool) -> None:
    assert claims("Make totals exact", body) is expected


def commit(revision: str, day: int, parents: str = "", subject: str = "Add", body: str = "") -> dict[str, object]:
    return {
        "repo_id": "r",
        "revision": revision,
        "parents": parents,
        "author": "a@example.org",
        "authored_at": datetime(2026, 3, 1),
        "committed_at": datetime(2026, 3, day),
        "subject": subject,
        "body": body,
    }


def touched(revision: str, path: str, added: int | None, deleted: int | None) -> dict[str, object]:
    return {"repo_id": "r", "revision": revision, "path": path, "n_added": added, "n_deleted": deleted}


def blamed(fix: str, blamed_revision: str, path: str, n_lines: int, day: int) -> dict[str, object]:
    return {
        "repo_id": "r",
        "fix_revision": fix,
        "blamed_revision": blamed_revision,
        "path": path,
        "n_lines": n_lines,
        "fixed_at": datetime(2026, 3, day),
    }


def test_changes_carry_their_size_and_merges_are_left_out() -> None:
    commits = [commit(A, 1), commit(B, 2, A, "Fix a crash"), commit(C, 3, f"{A} {B}"), commit(D, 4, C)]
    files = [touched(A, "a.py", 10, 0), touched(A, "logo.png", None, None), touched(B, "a.py", 1, 2)]

    frames = core_changes(
        from_rows(RAW_GIT_COMMITS, commits), from_rows(RAW_GIT_FILE_CHANGES, files), empty(RAW_GIT_BLAMES)
    )

    changes = frames["core_changes__changes"]
    columns = ("revision", "parent", "is_fix", "n_files", "n_added", "n_deleted")
    assert changes.select(columns).rows() == [
        (A, None, False, 2, 10, 0),
        (B, A, True, 1, 1, 2),
        (D, C, False, 0, 0, 0),
    ]
    assert frames["core_changes__files"].select("revision", "path", "n_added").rows() == [
        (A, "a.py", 10),
        (A, "logo.png", 0),
        (B, "a.py", 1),
    ]
    assert changes["known_at"].equals(changes["committed_at"].alias("known_at"))


def test_files_taken_a_stretch_of_history_at_a_time_give_the_same_changes() -> None:
    commits = from_rows(RAW_GIT_COMMITS, [commit(A, 1), commit(B, 2, A), commit(C, 3, f"{A} {B}"), commit(D, 4, C)])
    files = from_rows(
        RAW_GIT_FILE_CHANGES, [touched(A, "a.py", 10, 0), touched(D, "a.py", 1, 2), touched(D, "b", 3, 0)]
    )
    whole = core_changes(commits, files, empty(RAW_GIT_BLAMES))

    parts = [core_files(part, files) for part in commits.iter_slices(2)]
    rest = core_changes_of(commits, pl.concat(map(file_sizes, parts)), empty(RAW_GIT_BLAMES))

    assert pl.concat(parts).equals(whole["core_changes__files"])
    assert all(rest[name].equals(whole[name]) for name in rest)


def test_an_accusation_is_known_from_the_fix_on_and_summed_over_files() -> None:
    """Before the fix nobody could know: a label or feature of an earlier time must not see it."""
    commits = from_rows(RAW_GIT_COMMITS, [commit(A, 1), commit(B, 9, A, "Fix a crash")])
    rows = [blamed(B, A, "a.py", 2, 9), blamed(B, A, "b.py", 3, 9), blamed(B, B, "a.py", 1, 9)]

    frames = core_changes(commits, empty(RAW_GIT_FILE_CHANGES), from_rows(RAW_GIT_BLAMES, rows))

    assert frames["core_changes__blames"].rows() == [("r", A, B, 5, "szz_blame", datetime(2026, 3, 9))]


@pytest.mark.parametrize(("named", "found"), [(B, B), (B[:9], B), (B[:7], None), ("f" * 40, None)])
def test_a_revert_accuses_the_commit_it_names(named: str, found: str | None) -> None:
    """An abbreviation that fits two commits, or an id from elsewhere, accuses nobody."""
    commits = [commit(A, 1), commit(B, 2, A), commit(C, 5, B, "Undo", f"This reverts commit {named}.")]

    frames = core_changes(from_rows(RAW_GIT_COMMITS, commits), empty(RAW_GIT_FILE_CHANGES), empty(RAW_GIT_BLAMES))

    expected = [("r", found, C, 0, "revert_message", datetime(2026, 3, 5))] if found else []
    assert frames["core_changes__blames"].rows() == expected
    undo = frames["core_changes__changes"].row(2, named=True)
    assert (undo["reverts_revision"], undo["is_fix"]) == (found, True)


def test_no_history_gives_empty_tables_of_the_right_shape() -> None:
    frames = core_changes(empty(RAW_GIT_COMMITS), empty(RAW_GIT_FILE_CHANGES), empty(RAW_GIT_BLAMES))

    assert {name: frame.schema for name, frame in frames.items()} == {name: schema(BY_NAME[name]) for name in frames}
    assert all(frame.is_empty() for frame in frames.values())
