"""Following lines through a history blames as git blame does; what it cannot follow is asked for, and said."""

import subprocess
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.benchmarks.git_corpus import write_history
from weaver_forge.contracts.tables.changes import RAW_GIT_BLAMES, RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES
from weaver_forge.decode.git_history import FileDiff, Hunk, file_diff, records
from weaver_forge.decode.git_merge import OWN, Piece, merge_diff
from weaver_forge.sources import git as git_source
from weaver_forge.sources import git_history
from weaver_forge.sources.git import Repository, read_repository
from weaver_forge.sources.git_blame import blames, plan
from weaver_forge.sources.line_origins import UNKNOWN, LineOrigins, respaced

START = 1772366400  # 2026-03-01T12:00:00Z
NONE, ONE, TWO, THREE = (digit * 40 for digit in (b"0", b"1", b"2", b"3"))
BASE = "".join(f"value_{n} = {n}\n" for n in range(12))


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    command = ("git", "-C", str(folder), *arguments)
    return subprocess.run(command, check=True, capture_output=True, input=stdin).stdout.decode().strip()


class History:
    """A repository that grows by whole contents, on any branch; a merge names its second parent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.n_commits = 0
        self._stream: list[bytes] = []
        subprocess.run(("git", "init", "-q", "-b", "main", str(folder)), check=True)

    def commit(self, message: str, files: dict[str, str | None], *, after: int | None = None, merge: int = 0) -> int:
        """Add a commit after another one (the last, unless said) and give its number."""
        self.n_commits += 1
        number, text = self.n_commits, message.encode()
        self._stream.append(b"commit refs/heads/b%d\nmark :%d\n" % (number, number))
        self._stream.append(b"committer N <n@example.org> %d +0000\ndata %d\n" % (START + number * 3600, len(text)))
        self._stream.append(text + b"\n")
        if number > 1:
            self._stream.append(b"from :%d\n" % (after or number - 1))
        if merge:
            self._stream.append(b"merge :%d\n" % merge)
        for path, content in files.items():
            data = (content or "").encode()
            inline = b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
            self._stream.append(b"D %s\n" % path.encode() if content is None else inline)
        return number

    def write(self) -> Path:
        """Write it all and give the folder; ``main`` is the last commit."""
        git(self.folder, "fast-import", "--quiet", stdin=b"".join(self._stream))
        git(self.folder, "update-ref", "refs/heads/main", f"b{self.n_commits}")
        return self.folder


def by_git(folder: Path) -> pl.DataFrame:
    """The blames that git itself gives, a call a file."""
    repository = Repository(folder)
    commits = git_source._decoded(repository, repository.revisions()).tables[RAW_GIT_COMMITS.name]
    return blames(repository, plan(repository, commits, since_days=None))[0]


def ordered(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return sorted(frame.rows())


@pytest.fixture(scope="module")
def branched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file renamed, re-indented, changed on two branches, merged, and mended."""
    history = History(tmp_path_factory.mktemp("git") / "branched")
    lines = BASE.splitlines(keepends=True)
    first = history.commit("Add", {"a.py": BASE, "logo.png": "x"})
    moved = history.commit("Move", {"a.py": None, "b.py": BASE})
    left = [*lines[:2], "left = 1\n", *lines[3:]]
    right = [*lines[:9], "right = 1\n", "more = 2\n", *lines[10:]]
    on_left = history.commit("Change on the left", {"b.py": "".join(left)}, after=moved)
    on_right = history.commit("Change on the right", {"b.py": "".join(right)}, after=moved)
    merged = [*lines[:2], "left = 1\n", *lines[3:9], "right = 1\n", "merged = 3\n", *lines[10:]]
    history.commit("Merge", {"b.py": "".join(merged)}, after=on_left, merge=on_right)
    deeper = ["if deep:\n", *(f"    {line}" for line in merged[1:6]), *merged[6:]]
    history.commit("Go deeper", {"b.py": "".join(deeper)})
    fixed = ["if deep:\n", "    value_1 = 'one'\n", *deeper[6:9], "right = 'r'\n", "merged = 'm'\n", "value_10 = 'x'\n"]
    history.commit("Fix a crash", {"b.py": "".join(fixed)})
    assert first == 1
    return history.write()


def test_lines_are_followed_through_renames_indents_and_merges_as_git_does(branched: Path) -> None:
    expected = by_git(branched)

    batch = read_repository(branched, known=set())

    assert expected["blamed_revision"].n_unique() == 4
    assert ordered(batch.tables[RAW_GIT_BLAMES.name]) == ordered(expected)
    assert batch.notes == ()


def test_one_pass_reads_the_commits_and_files_that_the_log_gives(branched: Path) -> None:
    repository = Repository(branched)
    expected = git_source._decoded(repository, repository.revisions())

    batch = read_repository(branched, known=set())

    for table in (RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES):
        assert sorted(map(str, batch.tables[table.name].rows())) == sorted(map(str, expected.tables[table.name].rows()))


def test_a_first_reading_comes_in_parts_and_its_commits_last(branched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_repository(branched, known=set())
    monkeypatch.setattr(git_history, "_COMMITS_AT_ONCE", 2)
    monkeypatch.setattr(git_history, "FILES_AT_ONCE", 3)

    *parts, last = git_source.batches(branched, known=set())

    # Whoever stores the parts and not the last one has no commits, and reads all of it again.
    assert len(parts) > 1
    assert all(list(part.tables) == [RAW_GIT_FILE_CHANGES.name] for part in parts)
    files = pl.concat(part.tables[RAW_GIT_FILE_CHANGES.name] for part in [*parts, last])
    assert sorted(map(str, files.rows())) == sorted(map(str, whole.tables[RAW_GIT_FILE_CHANGES.name].rows()))
    assert last.tables[RAW_GIT_COMMITS.name].equals(whole.tables[RAW_GIT_COMMITS.name])
    assert ordered(last.tables[RAW_GIT_BLAMES.name]) == ordered(whole.tables[RAW_GIT_BLAMES.name])


def test_a_generated_history_is_blamed_as_git_blames_it(tmp_path: Path) -> None:
    write_history(tmp_path / "r", 200, n_files=20)
    expected = by_git(tmp_path / "r")

    found = read_repository(tmp_path / "r", known=set()).tables[RAW_GIT_BLAMES.name]

    assert expected.height > 20
    assert ordered(found) == ordered(expected)


def test_many_new_fixes_are_followed_and_few_are_asked_for(branched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = git(branched, "rev-list", "--max-parents=0", "main")
    asked = read_repository(branched, known={root})
    monkeypatch.setattr(git_source, "FOLLOWED", 1)

    followed = read_repository(branched, known={root})

    assert ordered(followed.tables[RAW_GIT_BLAMES.name]) == ordered(asked.tables[RAW_GIT_BLAMES.name])
    assert followed.tables[RAW_GIT_COMMITS.name].equals(asked.tables[RAW_GIT_COMMITS.name])


class _Forgetful(LineOrigins):
    def __init__(self) -> None:
        super().__init__(live_lines=0, past_lines=0)


def test_what_fell_out_of_memory_is_asked_of_git_and_said(branched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_history, "LineOrigins", _Forgetful)

    batch = read_repository(branched, known=set())

    assert ordered(batch.tables[RAW_GIT_BLAMES.name]) == ordered(by_git(branched))
    assert batch.notes == ("1 files of fixes had lines that could not be followed; git blamed them",)


def test_beyond_the_bound_of_asking_the_rest_is_said(branched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_history, "LineOrigins", _Forgetful)
    monkeypatch.setattr(git_history, "MAX_ASKED", 0)

    batch = read_repository(branched, known=set())

    assert batch.tables[RAW_GIT_BLAMES.name].is_empty()
    assert batch.notes[0].startswith("1 more had such lines")


def test_commits_that_only_reformat_accuse_nobody(tmp_path: Path) -> None:
    history = History(tmp_path / "r")
    history.commit("Add", {"a.py": "a = 'x'\nb = 1\n"})
    history.commit("Reformat", {"a.py": 'a = "x"\nb = 1\n'})
    history.commit("Fix a crash", {"a.py": "a = None\nb = 1\n"})
    folder = history.write()
    first, second = git(folder, "rev-list", "--reverse", "main").split()[:2]
    (folder / "ignored").write_text(f"# style\n{second} # quotes\n")
    git(folder, "config", "blame.ignoreRevsFile", "ignored")

    batch = read_repository(folder, known=set())

    assert batch.tables[RAW_GIT_BLAMES.name]["blamed_revision"].to_list() == [first]
    assert ordered(batch.tables[RAW_GIT_BLAMES.name]) == ordered(by_git(folder))


def record(revision: bytes, body: bytes, diffs: bytes = b"") -> bytes:
    return b"\x01" + b"\0".join([revision, b"", b"d@x", b"1", b"1", b"s", body]) + b"\0\n" + diffs


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_no_message_and_no_line_forges_a_commit_or_a_file_wherever_blocks_end(size: int) -> None:
    forged = b"\n\x01" + TWO + b"\ndiff --git a/x b/x"
    head = b"\ndiff --git a/m b/m\nindex 1..2 100644\n--- a/m\n+++ b/m\n"
    diff = head + b"@@ -1 +1,2 @@\n-\x01\n+diff --git a/y b/y\n+@@ -1 @@\n"
    data = record(ONE, b"told" + forged, diff) + record(THREE, b"")

    read = list(records(data[at : at + size] for at in range(0, len(data), size)))

    assert [(r.revision, len(r.diffs)) for r in read] == [(ONE.decode(), 1), (THREE.decode(), 0)]
    change = file_diff(read[0].diffs[0])
    assert (change.path, change.n_added, change.n_deleted) == (b"m", 2, 1)
    assert change.hunks[0].sides() == ([b"\x01"], [b"diff --git a/y b/y", b"@@ -1 @@"])


def test_a_stream_that_breaks_off_is_an_error() -> None:
    with pytest.raises(ValueError, match="ends inside a commit"):
        list(records([b"\x01" + ONE + b"\0\0"]))


def test_names_are_read_as_git_writes_them() -> None:
    heads = [
        b"git a/b c.py b/b c.py\nindex 1..2 100644",
        b'git "a/t\\tb\\303\\251" "b/t\\tb\\303\\251"\nindex 1..2 100644',
        b'git a/old.py "b/n\\"w.py"\nsimilarity index 100%\nrename from old.py\nrename to "n\\"w.py"',
        b"git a/i.png b/i.png\nindex 1..2\nBinary files a/i.png and b/i.png differ",
    ]

    read = [file_diff(head) for head in heads]

    assert [change.path for change in read] == [b"b c.py", "t\tbé".encode(), b'n"w.py', b"i.png"]
    assert [change.old_path for change in read] == [None, None, b"old.py", None]
    assert [change.n_added for change in read] == [0, 0, 0, None]


def test_a_combined_diff_says_where_each_line_came_from() -> None:
    text = (
        b"combined m.py\nindex %s,%s..%s\n--- a/o.py\n--- a/m.py\n+++ b/m.py\n"
        b"@@@ -3,2 -3,1 +3,3 @@@\n- gone\n +left\n+ right\n++own" % (ONE, TWO, THREE)
    )

    read = merge_diff(text)

    assert read is not None
    assert (read.path, read.old_paths, read.old_blobs) == (b"m.py", [b"o.py", b"m.py"], [ONE, TWO])
    assert read.pieces == [Piece(0, 0, 2), Piece(0, 3, 1), Piece(1, 2, 1), Piece(OWN, 0, 1), Piece(0, 4, -1)]


def test_lines_that_only_moved_sideways_are_paired() -> None:
    hunk = Hunk(0, 2, 3, b"-1,2 +1,3 @@ f\n-a = 1\n-b = 2\n\\ No newline at end of file\n+if x:\n+    a = 1\n+    b=3")

    assert respaced(hunk) == {1: 0}


def test_an_unknown_content_is_known_again_where_it_is_rewritten() -> None:
    origins = LineOrigins()

    origins.apply(FileDiff(b"a", None, ONE, TWO, 1, 1, [Hunk(2, 1, 1, b"-3 +3 @@\n-x\n+y")]), 7)

    assert origins.of(b"a", TWO, [2, 3, 4]) == [UNKNOWN, 7, UNKNOWN]
