"""Rules by which a change runs certain tests, or all of them, whatever is predicted. Pure: paths and names in.

Put here what a path says. No rule is learnt, and none can be talked out of by a probability: what a model cannot know
(a new test has no history, a lock file changes code that nobody wrote here) is run. Each rule that fires is named with
the path that fired it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from weaver_forge.changes.semantic.paths import Kind, is_test, kind_of
from weaver_forge.policy import protected

UNKNOWN, CHANGED, NEW, PROTECTED, LOCK, CI, BUILD, SUPPORT, DATA = (
    "files_unknown", "changed_test", "new_test", "protected_path", "lock_file", "ci_configuration",
    "build_configuration", "test_support", "data_file",
)  # fmt: skip

WORDS = {
    UNKNOWN: "which files the change touches is not known",
    CHANGED: "tests that the change touches",
    NEW: "no known test is in it: it is new, or named otherwise in reports",
    PROTECTED: "a protected path of the policy",
    LOCK: "versions of dependencies",
    CI: "CI configuration",
    BUILD: "how the project is built or its tests are run",
    SUPPORT: "tests share it",
    DATA: "no code, and it may be read by code or tests",
}
"""Rule -> why, in words."""

_TEST_FOLDERS = frozenset({
    "test", "tests", "__tests__", "e2e", "it", "spec", "specs", "testdata", "test_data", "test-data", "fixtures",
    "fixture", "__snapshots__", "snapshots", "golden", "cassettes",
})  # fmt: skip
_BUILD_NAMES = re.compile(
    r"pyproject\.toml|setup\.(py|cfg)|pytest\.ini|tox\.ini|noxfile\.py|\.coveragerc|package\.json|tsconfig.*\.json"
    r"|(jest|vitest|vite|webpack|babel|rollup)\.config\.\w+|\.babelrc|pom\.xml|build\.xml|.*\.gradle(\.kts)?"
    r"|gradle\.properties|go\.mod|go\.work|cargo\.toml|gemfile|rakefile|composer\.json|.*\.(csproj|sln|props|targets)"
    r"|(gnu)?makefile|.*\.mk|cmakelists\.txt|.*\.cmake|(docker|container)file.*|build(\.bazel)?|workspace|.*\.bzl"
    r"|\.env.*|manifest\.in|justfile|\.python-version|\.nvmrc|\.tool-versions",
    re.IGNORECASE,
)
_SHARED_NAMES = re.compile(r"conftest\.py|__init__\.py|(jest|vitest)?\.?setup[^/]*\.[cm]?[jt]sx?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that a path fired.

    Args:
        rule: Its name.
        path: What fired it; empty where no path is known.
        tests: What runs because of it; empty where everything does.
    """

    rule: str
    path: str
    tests: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether all tests run because of it."""
        return not self.tests

    @property
    def words(self) -> str:
        """Rule, path and reason in one line."""
        what = f"{len(self.tests)} tests always run" if self.tests else "everything runs"
        return (
            f"{self.rule} {self.path}: {what}, {WORDS[self.rule]}" if self.path else f"{self.rule}: {WORDS[self.rule]}"
        )


def fired(
    paths: Sequence[str] | None,
    tests: Collection[str],
    files: Mapping[str, str],
    protected_paths: Sequence[str] = (),
) -> tuple[Fired, ...]:
    """Every rule that a change fires, in the order of its paths; several may name one path.

    Args:
        paths: Files that the change touches, both names of a renamed one; None where nobody knows.
        tests: Known tests by id.
        files: Test -> its file, where a report names it.
        protected_paths: Patterns of the policy.
    """
    if paths is None:
        return (Fired(UNKNOWN, ""),)
    guarded = set(protected(protected_paths, paths))
    found: list[Fired] = []
    for path in paths:
        if path in guarded:
            found.append(Fired(PROTECTED, path))
        if rule := _of_everything(path):
            found.append(Fired(rule, path))
        elif is_test(path):
            inside = tuple(sorted(of_file(path, tests, files)))
            found.append(Fired(CHANGED, path, inside) if inside else Fired(_unmatched(path), path))
    return tuple(found)


def of_file(path: str, tests: Collection[str], files: Mapping[str, str]) -> list[str]:
    """The known tests of a test file: as reports name their file, else by how the file's name is spelled in their ids.

    A Go test is known by its package, so all tests of the package count.
    """
    named = [test for test in tests if test in files and _same_file(files[test], path)]
    spelled = set(_spellings(path))
    return [*named, *(test for test in tests if test not in files and not spelled.isdisjoint(_prefixes(test)))]


def _of_everything(path: str) -> str:
    """The rule by which all tests run because of a path that is no test file; empty where there is none."""
    pure = PurePosixPath(path)
    kind = kind_of(path)
    name = pure.name.lower()
    if kind is Kind.LOCK:
        return LOCK
    if kind is Kind.CI:
        return CI
    if _BUILD_NAMES.fullmatch(name):
        return BUILD
    if kind is Kind.SOURCE:
        is_shared = bool(_SHARED_NAMES.fullmatch(name)) and is_test(path)
        return SUPPORT if is_shared else ""
    in_tests = bool(_TEST_FOLDERS & {part.lower() for part in pure.parts[:-1]})
    return DATA if in_tests or kind in {Kind.DATA, Kind.UNKNOWN} else ""


def _unmatched(path: str) -> str:
    """A file among tests without a test that is known: shared code by its name, else new tests."""
    name = PurePosixPath(path).name
    looks_like_tests = re.search(r"test|spec|IT\.|suite", name, re.IGNORECASE)
    return NEW if looks_like_tests else SUPPORT


def _same_file(reported: str, path: str) -> bool:
    """A report may name a file from somewhere above or below the repository's root."""
    one, other = (tuple(part for part in text.split("/") if part not in {"", "."}) for text in (reported, path))
    n = min(len(one), len(other))
    return one[-n:] == other[-n:]


def _spellings(path: str) -> Iterable[str]:
    """What ids of tests in this file may begin with: its path without suffix, from any folder on, with dots."""
    pure = PurePosixPath(path)
    parts = list(pure.parts)
    if pure.suffix == ".go":
        folders = parts[:-1]
        yield from ("/".join(folders[start:]) for start in range(len(folders)))
        return
    yield from ("/".join(parts[start:]) for start in range(len(parts)))
    parts[-1] = parts[-1].removesuffix(pure.suffix)
    yield from (".".join(parts[start:]) for start in range(len(parts)))


def _prefixes(test: str) -> Iterable[str]:
    """What a test's id may name of its file: its module and everything that this begins or ends with."""
    module = test.split("::", 1)[0].split("$", 1)[0]
    yield module
    dots = module.split(".")
    yield from (".".join(dots[:end]) for end in range(1, len(dots)))
    folders = module.split("/")
    yield from ("/".join(folders[start:]) for start in range(1, len(folders)))
