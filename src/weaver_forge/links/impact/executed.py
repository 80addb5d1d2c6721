"""The tests that a change touches: their own files, coverage, imports, coupling, names, and what failed before.

Put links from files to tests here. Their scores order tests by how directly they are tied to the change; they are no
probabilities of failing, which ``rank-tests`` gives.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from weaver_forge.links.impact.files import Affected, Reason, together
from weaver_forge.links.impact.paths import is_test, stem
from weaver_forge.links.impact.python_imports import ImportGraph

_OWN = 1.0
_COVERED = 0.9
_NAMESAKE = 0.5
_IMPORTED = 0.6
_MOST_REASONS = 4


def by_coverage(coverage: pl.DataFrame, changed: Sequence[str]) -> list[Affected]:
    """Tests whose newest report says that they execute a changed file; of fewer tests, the stronger.

    Args:
        coverage: Rows of ``core_coverage__test_files`` of one repository, known at the moment.
        changed: The change's files.
    """
    tests = coverage.filter(pl.col("kind") == "test")
    newest = tests.filter(pl.col("known_at") == pl.col("known_at").max().over("test_id"))
    n_tests = max(newest["test_id"].n_unique(), 1)
    hits = newest.filter(pl.col("file").is_in(list(changed))).unique(["test_id", "file"])
    hits = hits.with_columns(n=pl.col("test_id").n_unique().over("file"))
    made = []
    for test, file, n, lines in hits.select("test_id", "file", "n", "n_lines").sort("test_id", "file").iter_rows():
        strength = _COVERED * (1 - 0.5 * n / n_tests)
        fact = f"executes {lines} lines of {file}, as {n} of {n_tests} measured tests do"
        made.append(
            Affected(name=test, score=strength, reasons=(Reason(signal="coverage", fact=fact, strength=strength),))
        )
    return made


def by_failures(failures: pl.DataFrame, changed: Sequence[str]) -> list[Affected]:
    """Tests that failed on earlier changes of the same files.

    Args:
        failures: path, test_id, n_failed, n_changes: real failures on the changes of a file, and how many were tested.
        changed: The change's files.
    """
    mine = failures.filter(pl.col("path").is_in(list(changed)), pl.col("n_failed") > 0)
    made = []
    for path, test, n_failed, n_changes in mine.select("path", "test_id", "n_failed", "n_changes").iter_rows():
        strength = n_failed / (n_changes + 2)
        fact = f"failed on {n_failed} of the {n_changes} tested changes of {path}"
        made.append(
            Affected(name=test, score=strength, reasons=(Reason(signal="failures", fact=fact, strength=strength),))
        )
    return made


def by_file(
    tests: Mapping[str, str], changed: Sequence[str], files: Sequence[Affected], graph: ImportGraph | None
) -> list[Affected]:
    """Tests by what their files have to do with the change.

    Args:
        tests: Test -> its file; where no test is known by name, test files stand for themselves.
        changed: The change's files.
        files: Files that change along with them.
        graph: Imports, where they are known.
    """
    of_file: dict[str, list[str]] = {}
    for test, file in tests.items():
        of_file.setdefault(file, []).append(test)
    ties: dict[str, list[Reason]] = {}
    for path in changed:
        if path in of_file or is_test(path):
            ties.setdefault(path, []).append(Reason(signal="own", fact="the change touches it", strength=_OWN))
    for path, reached in (graph.dependents(changed) if graph else {}).items():
        strength = _IMPORTED / reached.distance
        through = f" through {_listed(reached.via[1:-1])}" if reached.distance > 1 else ""
        fact = f"imports {reached.via[-1]}{through}"
        ties.setdefault(path, []).append(Reason(signal="import", fact=fact, strength=strength))
    names = {stem(path): path for path in changed if not is_test(path)}
    for path in {*of_file, *(each.name for each in files)}:
        if is_test(path) and stem(path) in names and len(stem(path)) > 2:
            fact = f"is named after {names[stem(path)]}"
            ties.setdefault(path, []).append(Reason(signal="same_stem", fact=fact, strength=_NAMESAKE))
    for each in files:
        ties.setdefault(each.name, []).extend(reason for reason in each.reasons if reason.signal != "import")
    made = []
    for path, reasons in ties.items():
        if path in of_file or is_test(path):
            score = max(reason.strength for reason in reasons)
            made += [Affected(name=test, score=score, reasons=tuple(reasons)) for test in of_file.get(path, [path])]
    return made


def _listed(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def ranked_tests(*lists: Sequence[Affected]) -> list[Affected]:
    """One list of tests: those with several ties first among equals, each with its strongest reasons."""
    ranked = together(*lists)
    scored = [(each, 1 - _left(each)) for each in ranked]
    return [
        Affected(name=each.name, score=score, reasons=each.reasons[:_MOST_REASONS])
        for each, score in sorted(scored, key=lambda pair: (-pair[1], pair[0].name))
    ]


def _left(each: Affected) -> float:
    """What is left of 1 after the strongest reason of every signal."""
    best: dict[str, float] = {}
    for reason in each.reasons:
        best[reason.signal] = max(best.get(reason.signal, 0.0), min(reason.strength, 1.0))
    left = 1.0
    for strength in best.values():
        left *= 1 - strength
    return left


def files_of_tests(tests: Mapping[str, str | None], paths: Sequence[str]) -> dict[str, str]:
    """Test -> its file: as its reports name it, else the test file whose path its name spells; absent where neither.

    Args:
        tests: Test -> file as reported, or None.
        paths: Known files.
    """
    spelled: dict[str, str] = {}
    for path in paths:
        if is_test(path):
            parts = path.rsplit(".", 1)[0].split("/")
            for n in range(len(parts)):
                spelled.setdefault(".".join(parts[n:]), path)
    found = {}
    known = set(paths)
    for test, file in tests.items():
        if file and file in known:
            found[test] = file
            continue
        words = test.split("::")[0].replace("/", ".").removesuffix(".py").split(".")
        ends = (".".join(words[begin:end]) for end in range(len(words), 0, -1) for begin in range(end))
        named = next((spelled[end] for end in ends if end in spelled), file)
        if named:
            found[test] = named
    return found
