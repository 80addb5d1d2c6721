"""Protected paths match as .gitignore does: checked pattern by pattern, and against git itself."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weaver_forge.policy.paths import check, protected

GIT = shutil.which("git")
PATTERNS = [
    "migrations/",
    "/deploy",
    "*.sql",
    "**/*.tf",
    "a/**/b",
    "docs/**",
    "**/secret",
    "src/*.py",
    "[ab].txt",
    "[!ab].txt",
    "file?.md",
    "a/b",
    "a/b/",
    "**",
    "a.b",
    "x*y",
    "/*.cfg",
    "a/**",
    "foo/*/bar",
]
PATHS = [
    "migrations/0001.py",
    "app/migrations/0001.py",
    "migrations",
    "deploy/prod.yaml",
    "src/deploy/x",
    "a.sql",
    "deep/er/a.sql",
    "a.sql/inside",
    "infra/main.tf",
    "main.tf",
    "a/b",
    "a/b/c",
    "a/x/b",
    "a/x/y/b/z",
    "ab",
    "docs/index.md",
    "x/docs/index.md",
    "x/secret",
    "secret",
    "src/a.py",
    "src/a/b.py",
    "a.txt",
    "c.txt",
    "file1.md",
    "file12.md",
    "acb",
    "x-y",
    "x/y",
    "top.cfg",
    "in/top.cfg",
    "foo/1/bar",
    "foo/1/2/bar",
]


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["migrations/"], "app/migrations/1.py", True),
        (["/migrations/"], "app/migrations/1.py", False),
        (["*.sql", "!fixtures/*.sql"], "fixtures/a.sql", False),
        (["!fixtures/*.sql", "*.sql"], "fixtures/a.sql", True),
        (["**/*.sql"], "a.sql", True),
        (["docs"], "docs/a/b.md", True),
        (["docs"], "docsy/a.md", False),
        (["*.sql"], "a/b/ü.sql", True),
        (["a"], "./a", True),
    ],
)
def test_patterns_are_those_of_gitignore(patterns: list[str], path: str, expected: bool) -> None:
    assert bool(protected(patterns, [path])) is expected


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if GIT is None:
        pytest.skip("git is not installed")
    root = tmp_path_factory.mktemp("ignoring")
    subprocess.run([GIT, "init", "-q", str(root)], check=True)
    return root


def _git_ignores(root: Path, patterns: list[str], paths: list[str]) -> set[str]:
    """What git itself says, of paths that need not be there."""
    (root / ".gitignore").write_text("\n".join(patterns) + "\n", encoding="utf-8")
    asked = "\0".join(paths).encode()
    command = [str(GIT), "-C", str(root), "check-ignore", "--no-index", "-z", "--stdin"]
    done = subprocess.run(command, input=asked, capture_output=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return {part.decode() for part in done.stdout.split(b"\0") if part}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_matches_what_git_ignores(repository: Path, pattern: str) -> None:
    assert set(protected([pattern], PATHS)) == _git_ignores(repository, [pattern], PATHS)


def _is_defined(pattern: str) -> bool:
    """Say whether git's manual says what it means; two stars next to letters are taken now one way, now the other."""
    bare = pattern.strip("/")
    return (
        "***" not in bare
        and not bare.endswith("**")
        and all(part == "**" or "**" not in part for part in bare.split("/"))
    )


_part = st.text("ab*?", min_size=1, max_size=3)
_pattern = st.builds(
    lambda front, parts, back: front + "/".join(parts) + back,
    st.sampled_from(["", "/", "**/"]),
    st.lists(st.one_of(_part, st.just("**")), min_size=1, max_size=3),
    st.sampled_from(["", "/"]),
).filter(_is_defined)
_path = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=_pattern, paths=st.lists(_path, min_size=1, max_size=12, unique=True))
def test_any_pattern_matches_what_git_ignores(repository: Path, pattern: str, paths: list[str]) -> None:
    assert set(protected([pattern], paths)) == _git_ignores(repository, [pattern], paths)


@pytest.mark.parametrize("pattern", ["", "/", "!", " a", "a ", "# a comment", "a\\b"])
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str) -> None:
    assert check(pattern)
