"""Git's log and patch output are read field by field; no message or name can forge a row."""

from datetime import datetime

from weaver_forge.contracts.batch import Frame
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES
from weaver_forge.decode.git import decode
from weaver_forge.decode.git_patch import MAX_HUNK_LINES, Removal, Skipped, removals

A, B, C = "a" * 40, "b" * 40, "c" * 40


def header(revision: str, parents: str = "", subject: str = "s", body: str = "", at: str = "1772366400") -> bytes:
    return "\0".join([f"\x01{revision}", parents, "Dev@Example.org", at, at, subject, body]).encode() + b"\0"


def test_commits_files_renames_and_binaries_are_told_apart() -> None:
    data = (
        header(A, subject="first", body="told\nmore\n")
        + b"\n2\t1\tsrc/a b.py\x000\t0\t\x00old.py\x00new\tname.py\x00-\t-\tlogo.png\x00"
        + header(B, parents=f"{A} {C}")
        + header(C, parents=A)
        + b"\n1\t0\tc.py\x00"
    )

    batch = decode([Frame("repo", data)], repo_id="r")

    commits, files = batch.tables[RAW_GIT_COMMITS.name], batch.tables[RAW_GIT_FILE_CHANGES.name]
    assert (commits.schema, files.schema) == (schema(RAW_GIT_COMMITS), schema(RAW_GIT_FILE_CHANGES))
    assert commits["revision"].to_list() == [A, B, C]
    assert commits.row(0, named=True) == {
        "repo_id": "r",
        "revision": A,
        "parents": "",
        "author": "dev@example.org",
        "authored_at": datetime(2026, 3, 1, 12),
        "committed_at": datetime(2026, 3, 1, 12),
        "subject": "first",
        "body": "told\nmore",
    }
    assert files.drop("repo_id").rows() == [
        (A, "src/a b.py", None, 2, 1),
        (A, "new\tname.py", "old.py", 0, 0),
        (A, "logo.png", None, None, None),
        (C, "c.py", None, 1, 0),
    ]
    assert batch.rejected == ()


def test_a_message_cannot_forge_a_commit_or_a_file() -> None:
    data = header(A, subject="1\t2\tevil.py", body=f"\x01{B}\n3\t3\tworse.py")

    batch = decode([Frame("repo", data)], repo_id="r")

    assert batch.tables[RAW_GIT_COMMITS.name].height == 1
    assert batch.tables[RAW_GIT_FILE_CHANGES.name].is_empty()


def test_a_commit_without_a_readable_date_is_rejected_with_its_files() -> None:
    data = header(A, at="") + b"\n1\t0\ta.py\x00" + header(B) + b"\n1\t0\tb.py\x00"

    batch = decode([Frame("repo", data)], repo_id="r")

    assert batch.tables[RAW_GIT_FILE_CHANGES.name]["path"].to_list() == ["b.py"]
    assert batch.rejected[0].position == f"commit {A}"


def patch(*lines: str) -> bytes:
    return "\n".join((f"\x01{A}", "", *lines, "")).encode()


def test_removed_lines_become_ranges_without_what_says_nothing() -> None:
    text = patch(
        "diff --git a/m.py b/m.py",
        "index 1..2 100644",
        "--- a/m.py",
        "+++ b/m.py",
        "@@ -3,6 +3 @@ def f():",
        "-x = 1",
        "-y = 2",
        "-# a comment",
        "-",
        "-    }",
        "-z = 3",
        "+x = 2",
        "@@ -20 +15,0 @@",
        "--- a/a_comment_and_no_header.py",
        "@@ -30 +15,0 @@",
        "-w = 4",
    )

    assert list(removals(text, Skipped())) == [Removal(A, b"m.py", ((3, 4), (8, 8), (30, 30)))]


def test_removed_lines_that_look_like_headers_stay_lines() -> None:
    text = patch("diff --git a/x b/x", "--- a/x", "+++ b/x", "@@ -1,2 +0,0 @@", "-++ b/y", "-@@ -9,9 +9,9 @@")

    assert list(removals(text, Skipped())) == [Removal(A, b"x", ((1, 2),))]


def test_quoted_blank_and_new_names_are_read_as_git_writes_them() -> None:
    text = patch(
        'diff --git "a/t\\ab" "b/t\\ab"',
        '--- "a/t\\tb\\303\\251"',
        "+++ b/x",
        "@@ -1 +0,0 @@",
        "-gone",
        "diff --git a/b c b/b c",
        "--- a/b c\t",
        "+++ b/b c\t",
        "@@ -1 +1 @@",
        "-gone",
        "\\ No newline at end of file",
        "+new",
        "diff --git a/n b/n",
        "--- /dev/null",
        "+++ b/n",
        "@@ -0,0 +1 @@",
        "+new",
    )

    assert [removal.path for removal in removals(text, Skipped())] == ["t\tbé".encode(), b"b c"]


def test_a_hunk_that_is_too_long_is_counted_and_accuses_nobody() -> None:
    n = MAX_HUNK_LINES + 1
    text = patch("diff --git a/x b/x", "--- a/x", f"@@ -1,{n} +0,0 @@", *["-gone"] * n, "@@ -900 +1,0 @@", "-here")
    skipped = Skipped()

    found = list(removals(text, skipped))

    assert found == [Removal(A, b"x", ((900, 900),))]
    assert skipped.long_hunks == 1
