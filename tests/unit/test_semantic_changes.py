"""The class of a change as a whole: from names, from a diff, from a repository, and in words."""

import io
import json
import subprocess
import sys
from hashlib import sha1
from pathlib import Path
from types import SimpleNamespace

import pytest

from weaver_forge.changes.semantic.answer import answer, draw
from weaver_forge.changes.semantic.classes import ChangeClass, FileClass, most_severe
from weaver_forge.changes.semantic.diffs import changes_in
from weaver_forge.changes.semantic.files import FileChange, class_of_file
from weaver_forge.changes.semantic.readers import named_in
from weaver_forge.cli.app import run
from weaver_forge.errors import SourceError
from weaver_forge.sources.git_command import Repository
from weaver_forge.sources.git_texts import classes_of, classes_of_each, entries_of

START = 1772366400  # 2026-03-01T12:00:00Z


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    command = ("git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=n@example.org", *arguments)
    return subprocess.run(command, check=True, capture_output=True, input=stdin).stdout.decode()


def history(folder: Path, *commits: dict[str, str | None]) -> list[str]:
    """Write commits (path -> content, None to delete) and give their ids, oldest first."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    stream: list[str] = []
    for number, files in enumerate(commits):
        stream.append(f"commit refs/heads/main\ncommitter N <n@example.org> {START + number * 60} +0000\ndata 1\nx\n")
        for path, text in files.items():
            said = f'D "{path}"\n' if text is None else f'M 100644 inline "{path}"\ndata {len(text.encode())}\n{text}\n'
            stream.append(said)
    git(folder, "fast-import", "--quiet", stdin="".join(stream).encode())
    git(folder, "reset", "-q", "--hard", "main")
    return git(folder, "rev-list", "--reverse", "main").split()


def file(kind: str, path: str = "a") -> FileClass:
    return FileClass(path=path, old_path=None, kind=ChangeClass(kind), reason="said")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("README.md", "docs"), ("docs/guide.rst", "docs"), ("docs/a.png", "docs"), ("LICENSE", "docs"),
        ("CHANGES.txt", "docs"), ("pkg/README.md", "docs"), ("newsfragments/1.bugfix.rst", "docs"),
        ("tests/fixtures/a.md", "behaviour"), ("src/pkg/prompt.md", "behaviour"), ("templates/mail.md", "behaviour"),
        ("uv.lock", "behaviour"), ("go.sum", "behaviour"), ("requirements-dev.txt", "behaviour"),
        ("constraints.txt", "behaviour"), ("docs/requirements.txt", "behaviour"), ("package-lock.json", "behaviour"),
        (".github/workflows/ci.yml", "behaviour"), (".gitlab-ci.yml", "behaviour"), ("tox.ini", "behaviour"),
        ("Jenkinsfile", "behaviour"), ("data.csv", "behaviour"), ("tests/data.json", "behaviour"),
        ("api.proto", "behaviour"), ("a.unheardof", "behaviour"), ("Notebook.ipynb", "behaviour"),
        ("bin/run", "behaviour"),
        ("a.mdx", "behaviour"), ("pyproject.toml", "config"), ("Dockerfile", "config"), ("CMakeLists.txt", "config"),
        ("deploy/a.yaml", "config"), ("package.json", "config"),
        ("tests/test_a.py", "test_only"), ("pkg/a_test.go", "test_only"), ("src/AppTests.java", "test_only"),
        ("web/a.spec.ts", "test_only"), ("tests/conftest.py", "test_only"), ("src/latest.py", "behaviour"),
        ("src/testing/a.py", "behaviour"), ("src/contest.rb", "behaviour"),
    ],
)  # fmt: skip
def test_a_name_says_docs_config_test_or_nothing(path: str, expected: str) -> None:
    """Lock files, CI configuration, data and every unknown name are behaviour."""
    found = class_of_file(FileChange(path=path, old=b"a = 1\n", new=b"b = 2\n"))

    assert found.kind == expected
    assert found.reason


def test_the_class_of_a_change_is_that_of_its_most_severe_file() -> None:
    order = ["docs", "format", "comment", "docstring", "rename", "test_only", "config", "behaviour"]

    assert [kind.value for kind in ChangeClass] == order
    assert most_severe(map(ChangeClass, order[:5])) == "rename"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (FileChange(path="b.py", old_path="a.py", same=True), "rename"),
        (FileChange(path="b.py", old_path="a.py", old=b"x=1", new=b"x = 1"), "rename"),
        (FileChange(path="b.py", old_path="a.py", old=b"x=1", new=b"x = 2"), "behaviour"),
        (FileChange(path="b.md", old_path="a.md", same=True), "docs"),
        (FileChange(path="a.py", old_path="a.md", same=True), "behaviour"),
        (FileChange(path="a.py", new=b""), "behaviour"),
        (FileChange(path="tests/test_a.py", new=b"x = 1"), "test_only"),
        (FileChange(path="tests/test_a.py", old=b"x = 1"), "test_only"),
        (FileChange(path="src/a.py", old_path="tests/a.py", old=b"x", new=b"y"), "behaviour"),
        (FileChange(path="README.md", special="its mode changed"), "behaviour"),
        (FileChange(path="a.py", old=b"x" * 1_000_001, new=b"x"), "behaviour"),
        (FileChange(path="docs/a.md", old=b">>> f()\n1\n", new=b">>> f()\n2\n"), "behaviour"),
        (FileChange(path="docs/a.md", old=b">>> f()\n1\n\nold", new=b">>> f()\n1\n\nnew"), "docs"),
        (FileChange(path="docs/a.rst", old=b".. testcode::\n\n   f()", new=b".. testcode::\n\n   g()"), "behaviour"),
    ],
)
def test_moved_new_gone_and_special_files_have_their_class(change: FileChange, expected: str) -> None:
    assert class_of_file(change).kind == expected


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("text = Path('docs/a.md').read_text()", True),
        ('PAGE = ROOT / "docs" / "a.md"', True),
        ("//go:embed docs/a.md", True),
        ("cat docs/a.md | wc", True),
        ("for page in root.rglob('*.md'):", True),
        ("if path.suffix == '.md':", True),
        ("# as docs/a.md says", False),
        ("print('See docs/a.md for more')", False),
        ("other = 'docs/aa.md'", False),
        ("kinds = {'.md', '.rst'}", False),
    ],
)
def test_a_line_reads_a_text_that_it_takes_as_a_file_and_not_one_it_tells_people_of(line: str, read: bool) -> None:
    assert list(named_in(line, ["a.md"])) == (["a.md"] if read else [])


def test_ci_is_not_needed_for_what_is_harmless_and_the_reason_says_why() -> None:
    said = answer([file("comment", "a.py"), file("docs", "b.md"), file("comment", "c.py")], "x", audit_share=0)
    needed = answer([file("docs"), file("behaviour", "a.py"), file("rename", "b.py")], "x", audit_share=0)
    protected = answer([file("docs", "a.md")], "x", audit_share=0, protected=("a.md",))
    empty = answer([], "x", audit_share=0)

    assert (said.kind, said.ci_needed) == ("comment", False)
    assert said.reason == "CI not needed because only text for people in 1 file and comments in 2 files changed"
    assert (needed.kind, needed.ci_needed) == ("behaviour", True)
    assert needed.reason == "CI needed because a.py: said; b.py: said"
    assert (protected.ci_needed, empty.ci_needed) == (True, True)


def test_the_audit_draws_its_share_of_the_skips_and_the_same_ones_whenever_it_is_asked() -> None:
    drawn = [answer([file("docs")], f"change {n}", audit_share=0.03).audited for n in range(4000)]
    again = [draw(f"change {n}") < 0.03 for n in range(4000)]
    audited = next(answer([file("docs")], f"change {n}", audit_share=0.03) for n, was in enumerate(drawn) if was)

    assert drawn == again
    assert 0.02 < sum(drawn) / len(drawn) < 0.04
    assert audited.ci_needed
    assert "run it anyway" in audited.reason


def whole_diff(old: str, new: str, path: str = "a.py") -> bytes:
    # The ids that git gives.
    ids = [sha1(b"blob %d\0%s" % (len(text), text.encode()), usedforsecurity=False).hexdigest() for text in (old, new)]
    lines = [f"-{line}" for line in old.splitlines()] + [f"+{line}" for line in new.splitlines()]
    head = f"diff --git a/{path} b/{path}\nindex {ids[0]}..{ids[1]} 100644\n--- a/{path}\n+++ b/{path}\n"
    return f"{head}@@ -1,{len(old.splitlines())} +1,{len(new.splitlines())} @@\n{chr(10).join(lines)}\n".encode()


def test_a_diff_that_has_the_file_whole_proves_itself_and_another_proves_nothing() -> None:
    """A line that looks like a comment may stand in a string: the ids of the contents are what shows it."""
    whole = whole_diff("x = 1  # a\n", "x = 1  # b\n")
    part = whole.replace(b"@@ -1,1 +1,1 @@", b"@@ -7,1 +7,1 @@").replace(b"# b", b"# c")

    proved, unproved = (class_of_file(changes_in(diff)[0]) for diff in (whole, part))

    assert proved.kind == "comment"
    assert unproved.kind == "behaviour"
    assert "does not show all of the file" in unproved.reason


def test_names_in_a_diff_are_believed() -> None:
    diff = b"""diff --git a/docs/a b.md b/docs/a b.md
index 1111111..2222222 100644
--- a/docs/a b.md
+++ b/docs/a b.md
@@ -1,2 +1,2 @@
 title
-old
+new
diff --git a/docs/c.md b/docs/c.md
index 1111111..2222222 100644
--- a/docs/c.md
+++ b/docs/c.md
@@ -9,2 +9,2 @@
 words
-old
+new
diff --git a/src/a.py b/src/b.py
similarity index 100%
rename from src/a.py
rename to src/b.py
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
diff --git a/tests/test_a.py b/tests/test_a.py
index 1111111..2222222 100644
--- a/tests/test_a.py
+++ b/tests/test_a.py
@@ -9,1 +9,1 @@ def
-# old
+# new
diff --git "a/src/\\303\\251.py" "b/src/\\303\\251.py"
new file mode 100644
index 0000000..e69de29
"""

    found = [class_of_file(change) for change in changes_in(diff)]

    assert [(each.path, each.kind.value) for each in found] == [
        ("docs/a b.md", "docs"),
        ("docs/c.md", "behaviour"),  # an example may begin above what is shown
        ("src/b.py", "rename"),
        ("run.sh", "behaviour"),
        ("tests/test_a.py", "test_only"),
        ("src/é.py", "behaviour"),
    ]


@pytest.mark.parametrize("broken", [b"hello\n", b"diff --git a/a b/a\n@@ -1,9 +1,9 @@\n-a\n+b\n"])
def test_what_is_no_whole_diff_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r"diff --git|shorter"):
        changes_in(broken)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("semantic") / "shop"
    ids = history(
        folder,
        {"src/a.py": "x = 1\n", "docs/b.md": "a\n", "docs/read.md": "a\n", "tests/test_b.py": "open('docs/read.md')\n"},
        {"src/a.py": "x = 1  # one\n", "docs/b.md": "b\n"},
        {"src/a.py": None, "src/é c.py": "x = 1  # one\n"},
        {"docs/read.md": "b\n"},
        {"src/é c.py": '"""Said."""\nx = 1  # one\n'},
        {"src/cli.py": "import click\n"},
        {"src/é c.py": '"""Told."""\nx = 1  # one\n'},
    )
    return folder, ids


def test_a_repository_tells_each_file_of_a_change_without_a_checkout(shop: tuple[Path, list[str]]) -> None:
    folder, ids = shop
    repository = Repository(folder)

    found = [[(f.path, f.kind.value) for f in classes_of(repository, entries_of(repository, each))] for each in ids]
    between = classes_of(repository, entries_of(repository, ids[2], ids[0]))

    assert found[0] == [
        (path, "behaviour" if path == "src/a.py" else found[0][n][1]) for n, (path, _) in enumerate(found[0])
    ]
    assert found[1] == [("docs/b.md", "docs"), ("src/a.py", "comment")]
    assert found[2] == [("src/é c.py", "rename")]
    assert {f.path: f.kind.value for f in between}["docs/b.md"] == "docs"


def test_the_classes_of_many_commits_are_those_of_each_and_stop_at_the_bound(shop: tuple[Path, list[str]]) -> None:
    folder, ids = shop
    repository = Repository(folder)

    each = {revision: classes_of(repository, entries_of(repository, revision)) for revision in ids}
    together = classes_of_each(repository, ids, n_files=100)
    some = classes_of_each(repository, [*ids[1:], "0" * 40], n_files=3)

    assert together == each
    assert some == {ids[1]: each[ids[1]], ids[2]: each[ids[2]], "0" * 40: []}


def asked(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict:
    monkeypatch.chdir(folder)
    code = run(["semantic-diff", *arguments, "--json"])
    said = json.loads(capsys.readouterr().out)
    return {**said, "code": code}


def test_the_command_answers_with_a_class_a_file_and_never_blocks(
    shop: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ids = shop

    harmless = asked(folder, capsys, monkeypatch, ids[1])
    moved = asked(folder, capsys, monkeypatch, f"{ids[0]}..{ids[2]}")
    first = asked(folder, capsys, monkeypatch, ids[0])

    assert (harmless["class"], harmless["code"], harmless["audit_share"]) == ("comment", 0, 0.03)
    assert harmless["ci_needed"] is harmless["audited"]
    assert harmless["reason"].startswith("CI not needed because only text for people in 1 file and comments in 1 file")
    assert [each["class"] for each in harmless["files"]] == ["comment", "docs"]
    assert (moved["class"], moved["ci_needed"], moved["code"]) == ("behaviour", True, 0)
    assert (first["base"], first["class"]) == (None, "behaviour")


def test_documentation_that_the_repository_reads_is_behaviour_for_the_command(
    shop: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test opens the page; commands of another module may show the docstring."""
    folder, ids = shop

    page = asked(folder, capsys, monkeypatch, ids[3])
    before = asked(folder, capsys, monkeypatch, ids[4])
    after = asked(folder, capsys, monkeypatch, ids[6])

    assert page["reason"] == "CI needed because docs/read.md: text that tests/test_b.py names"
    assert before["class"] == "docstring"
    assert after["files"][0]["reason"] == "documentation changed, and src/cli.py may use docstrings"


def test_the_policy_of_a_deployment_says_the_share_and_protects_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = "version: 1\ndecisions:\n  test_selection:\n    holdout: 0.05\n    protected_paths: [docs/]\n"
    (tmp_path / "policy.yaml").write_text(rules, encoding="utf-8")
    (tmp_path / "weaver-forge.toml").write_text("", encoding="utf-8")
    (tmp_path / "a.diff").write_bytes(whole_diff("a\n", "b\n", "docs/a.md"))

    said = asked(tmp_path, capsys, monkeypatch, "--diff", "a.diff")

    assert (said["audit_share"], said["class"], said["ci_needed"]) == (0.05, "docs", True)
    assert said["reason"] == "CI needed because the policy protects docs/a.md"


def test_a_diff_is_read_from_a_file_and_from_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    diff = whole_diff("x = 1\n", "x  =  1\n")
    (tmp_path / "a.diff").write_bytes(diff)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(diff)))

    from_file = asked(tmp_path, capsys, monkeypatch, "--diff", "a.diff")
    from_input = asked(tmp_path, capsys, monkeypatch, "--diff", "-")

    assert from_file["class"] == from_input["class"] == "format"
    assert from_file["audited"] is from_input["audited"]


def test_a_shallow_clone_without_the_parent_is_refused(shop: tuple[Path, list[str]], tmp_path: Path) -> None:
    """Without its parent the whole content would be taken for the change."""
    folder, _ids = shop
    subprocess.run(
        ("git", "clone", "-q", "--depth", "1", f"file://{folder}", str(tmp_path / "shallow")),
        check=True,
        capture_output=True,
    )

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path / "shallow")
        with pytest.raises(SourceError, match="shallow"):
            run(["semantic-diff"])


def test_the_command_needs_no_table_library(shop: tuple[Path, list[str]]) -> None:
    """It runs in hooks, where the base alone is installed."""
    program = """
import sys
from weaver_forge.cli.app import run
run(["semantic-diff"])
print(sorted({"polars", "pyarrow", "deltalake", "duckdb"} & set(sys.modules)))
"""

    said = subprocess.run((sys.executable, "-c", program), cwd=shop[0], check=True, capture_output=True, text=True)

    assert said.stdout.splitlines()[-1] == "[]"
