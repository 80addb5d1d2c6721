"""Git is read from real repositories, made here; nobody's configuration changes what is read."""

import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from weaver_forge.benchmarks.git_corpus import write_history
from weaver_forge.contracts.identity import local_repo_id
from weaver_forge.contracts.tables.changes import RAW_GIT_BLAMES, RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES
from weaver_forge.errors import ShallowClone, SourceError
from weaver_forge.sources import git_blame
from weaver_forge.sources.git import Repository, read_repository, read_revision

START = 1772366400  # 2026-03-01T12:00:00Z


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    command = ("git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=n@example.org", *arguments)
    return subprocess.run(command, check=True, capture_output=True, input=stdin).stdout.decode().strip()


def history(folder: Path, *commits: tuple[str, dict[str, str | None]]) -> list[str]:
    """Write commits (message, path -> content or None) a day apart in one git call; ids, oldest first."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(("git", "init", "-q", "-b", "main", str(folder)), check=True)
    stream: list[bytes] = []
    for number, (message, files) in enumerate(commits):
        text = message.encode()
        stream += [b"commit refs/heads/main\n"]
        stream += [b"committer N <N@Example.org> %d +0000\ndata %d\n%s\n" % (START + number * 86400, len(text), text)]
        for path, content in files.items():
            if content is None:
                stream += [b"D %s\n" % path.encode()]
            else:
                stream += [
                    b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content.encode()), content.encode())
                ]
    git(folder, "fast-import", "--quiet", stdin=b"".join(stream))
    return git(folder, "rev-list", "--reverse", "main").split()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A history with a root, a bug, a harmless edit and the fix of both, in a file with an awkward name."""
    folder = tmp_path_factory.mktemp("git") / "shop"
    ids = history(
        folder,
        ("Add", {"src/a é b.py": "one = 1\ntwo = 2\nthree = 3\n", "logo.png": "x"}),
        ("Speed up", {"src/a é b.py": "one = 1\ntwo = 22\nthree = 3\n# said\n"}),
        ("Fix a crash", {"src/a é b.py": "one = 11\ntwo = 2\nthree = 3\n"}),
        ("Fix typo", {"src/a é b.py": "one = 11\ntwo = 2\n"}),
    )
    return folder, ids


def test_a_fix_blames_the_last_writers_of_what_it_removed(shop: tuple[Path, list[str]]) -> None:
    """The root commit is blamed by its whole id; the removed comment and the fixed typo blame nobody."""
    folder, ids = shop

    batch = read_repository(folder, known=set())

    blames = batch.tables[RAW_GIT_BLAMES.name].sort("fixed_at", "n_lines", "blamed_revision").drop("repo_id")
    fixed_at = datetime(2026, 3, 3, 12)
    expected = {(ids[2], blamed, "src/a é b.py", 1, fixed_at) for blamed in ids[:2]}
    assert set(blames.rows()) == expected
    assert batch.rejected == ()
    assert batch.notes == ()


def test_commits_and_files_are_read_once(shop: tuple[Path, list[str]]) -> None:
    folder, ids = shop

    whole = read_repository(folder, known=set())
    rest = read_repository(folder, known=set(ids[:3]))
    nothing = read_repository(folder, known=set(ids))

    assert set(whole.tables[RAW_GIT_COMMITS.name]["revision"]) == set(ids)
    assert whole.tables[RAW_GIT_FILE_CHANGES.name].height == 5
    assert rest.tables[RAW_GIT_COMMITS.name]["revision"].to_list() == ids[3:]
    assert rest.tables[RAW_GIT_BLAMES.name].is_empty()
    assert all(frame.is_empty() for frame in nothing.tables.values())


def test_old_fixes_are_left_in_peace(shop: tuple[Path, list[str]]) -> None:
    folder, _ = shop

    batch = read_repository(folder, known=set(), blame_since_days=0)

    assert batch.tables[RAW_GIT_BLAMES.name].is_empty()


def test_one_revision_is_read_by_any_name(shop: tuple[Path, list[str]]) -> None:
    folder, ids = shop

    batch = read_revision(folder / "src" if (folder / "src").is_dir() else folder, "main~1")

    assert batch.tables[RAW_GIT_COMMITS.name]["revision"].to_list() == [ids[2]]
    assert batch.tables[RAW_GIT_FILE_CHANGES.name].select("path", "n_added", "n_deleted").rows() == [
        ("src/a é b.py", 2, 3)
    ]


@pytest.mark.parametrize("rev", ["nowhere", "--all", "", "main:logo.png", "f" * 40])
def test_an_unknown_revision_is_an_error(shop: tuple[Path, list[str]], rev: str) -> None:
    with pytest.raises(SourceError, match="is unknown"):
        Repository(shop[0]).resolve(rev)


def test_configuration_does_not_reach_the_output(tmp_path: Path) -> None:
    """Prefixes, external diffs and colours of a user must not change what is stored."""
    ids = history(
        tmp_path / "r",
        ("Add", {"deep/a.py": "a = 1\nb = 2\n"}),
        ("Fix a crash", {"deep/b.py": "a = 3\nb = 2\n", "deep/a.py": None}),
    )
    for key, value in {
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.external": "false",
        "color.ui": "always",
        "log.showSignature": "true",
        "diff.relative": "true",
    }.items():
        git(tmp_path / "r", "config", key, value)
    git(tmp_path / "r", "checkout", "-q", "main")

    batch = read_repository(tmp_path / "r" / "deep", known=set())

    files = batch.tables[RAW_GIT_FILE_CHANGES.name].filter(revision=ids[1])
    assert files.select("path", "old_path").rows() == [("deep/b.py", "deep/a.py")]
    assert batch.tables[RAW_GIT_BLAMES.name].select("blamed_revision", "path").rows() == [(ids[0], "deep/a.py")]


def test_a_hooks_git_dir_does_not_redirect(
    shop: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))

    assert Repository(shop[0]).head() == shop[1][-1]


def test_a_merge_is_stored_without_files(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    first, second = history(folder, ("Add", {"a.py": "1\n"}), ("More", {"b.py": "1\n"}))
    tree = git(folder, "rev-parse", f"{second}^{{tree}}")
    merge = git(folder, "commit-tree", tree, "-p", first, "-p", second, "-m", "Merge")
    git(folder, "update-ref", "refs/heads/main", merge)

    batch = read_repository(folder, known={first, second})

    assert batch.tables[RAW_GIT_COMMITS.name]["parents"].to_list() == [f"{first} {second}"]
    assert batch.tables[RAW_GIT_FILE_CHANGES.name].is_empty()


def test_the_remote_names_the_repository_and_a_path_does_without(tmp_path: Path) -> None:
    history(tmp_path / "r", ("Add", {"a.py": "1\n"}))
    local = Repository(tmp_path / "r").repo_id
    git(tmp_path / "r", "remote", "add", "origin", "git@GitHub.com:Acme/shop.git")

    assert local == local_repo_id(str((tmp_path / "r").resolve()))
    assert Repository(tmp_path / "r").repo_id == "github.com/Acme/shop"


def test_a_shallow_clone_is_refused(shop: tuple[Path, list[str]], tmp_path: Path) -> None:
    """Its log has one line: every feature of history would be silently wrong."""
    subprocess.run(("git", "clone", "-q", "--depth=1", shop[0].as_uri(), str(tmp_path / "c")), check=True)

    assert Repository(tmp_path / "c").is_shallow()
    with pytest.raises(ShallowClone, match="unshallow"):
        read_repository(tmp_path / "c", known=set())


def test_a_folder_that_is_no_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"not a git repository"):
        Repository(tmp_path)
    with pytest.raises(SourceError, match=r"no such folder"):
        Repository(tmp_path / "gone")


def test_a_repository_without_commits_is_empty_and_no_error(tmp_path: Path) -> None:
    subprocess.run(("git", "init", "-q", str(tmp_path)), check=True)

    batch = read_repository(tmp_path, known=set())

    assert all(frame.is_empty() for frame in batch.tables.values())


def test_a_bare_repository_is_read_too(shop: tuple[Path, list[str]], tmp_path: Path) -> None:
    subprocess.run(("git", "clone", "-q", "--bare", str(shop[0]), str(tmp_path / "bare")), check=True)

    batch = read_repository(tmp_path / "bare", known=set())

    assert batch.tables[RAW_GIT_BLAMES.name].height == 2


def test_a_file_that_cannot_be_blamed_is_said_in_the_notes(tmp_path: Path) -> None:
    """One failing call costs its own file and is never silent."""
    folder = tmp_path / "r"
    history(folder, ("Add", {"a.py": "a = 1\n"}), ("Fix a crash", {"a.py": "a = 2\n"}))
    git(folder, "config", "blame.ignoreRevsFile", "gone")

    batch = read_repository(folder, known=set())

    assert batch.tables[RAW_GIT_BLAMES.name].is_empty()
    assert "1 files of fixes could not be blamed" in batch.notes[0]


@pytest.mark.parametrize("name", ["plain", "with: a colon"])
def test_an_index_changes_no_blame_and_nothing_in_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / name
    write_history(folder, 150, n_files=20)
    before = {path.name for path in folder.rglob("*")}
    repository = Repository(folder)
    commits = read_repository(folder, known=set()).tables[RAW_GIT_COMMITS.name]
    planned = git_blame.plan(repository, commits, since_days=None)
    monkeypatch.setattr(git_blame, "MANY", 1_000_000)
    plain, _ = git_blame.blames(repository, planned)
    monkeypatch.setattr(git_blame, "MANY", 1)

    indexed, _ = git_blame.blames(repository, planned)

    assert plain.height > 10
    assert indexed.equals(plain)
    assert {path.name for path in folder.rglob("*")} == before


def test_a_generated_history_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_history(tmp_path / name, 40)

    heads = {Repository(tmp_path / name).head() for name in ("one", "two")}

    assert len(heads) == 1
    assert len(Repository(tmp_path / "one").revisions()) == 40
