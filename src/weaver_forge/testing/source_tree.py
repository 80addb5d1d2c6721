"""The files of the simulated repository: small but real source lines, each knowing the commit that wrote it.

Put here how a file is written and changed. Which change happens when, by whom and how well is in ``changes_made``.
Every statement carries a number of its own, so that no two lines are alike and ``git blame`` is unambiguous.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_VERBS = ("apply", "check", "collect", "compute", "fetch", "merge", "prepare", "resolve", "select", "update")
_NOUNS = ("amount", "batch", "entry", "limit", "order", "price", "record", "session", "state", "window")
_PYTHON = (
    "    amount = amount * 3 + {n}",
    "    amount = max(amount, {n})",
    "    amount -= min(limit, {n})",
    "    amount = round(amount / {n}, 2) if limit > 3 else amount",
    "    limit = limit + {n} if amount < 0 else limit",
)
_JAVA = (
    "        amount = amount * 3 + {n};",
    "        amount = Math.max(amount, {n});",
    "        amount -= Math.min(limit, {n});",
    "        limit = amount < 0 ? limit + {n} : limit;",
)


_SHAPES = {
    "py": _PYTHON,
    "java": _JAVA,
    "yaml": ("option_{n}: {n}", "limit_{n}: {n}", "timeout_{n}_ms: {n}"),
    "md": ("Rule {n}: see the runbook.", "Note {n}: measured again.", "Step {n}: ask the owning team."),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file.

    Args:
        origin: Number of the commit that wrote it.
        is_statement: A line of its own meaning, which may be replaced or dropped without breaking the file.
    """

    text: str
    origin: int
    is_statement: bool = False


Lines = tuple[Line, ...]


class SourceTree:
    """All files as they stand after the last commit. Old contents stay valid values: tuples are never changed."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.files: dict[str, Lines] = {}
        self._rng = rng
        self._number = 1000
        self._functions = 0

    def create(self, path: str, origin: int, functions: int = 3) -> None:
        """Write a new file with so many functions (a configuration or text file: paragraphs of four lines)."""
        name = path.rsplit("/", 1)[-1].split(".", maxsplit=1)[0]
        if path.endswith(".java"):
            head = [f"package {_package(path)};", "", f"final class {name} {{"]
            self.files[path] = (*(Line(text, origin) for text in head), Line("}", origin))
        elif path.endswith((".yaml", ".md")):
            self.files[path] = (Line(f"# {name}", origin),)
            self.files[path] += tuple(self._statement(path, origin) for _ in range(4 * functions))
            return
        else:
            self.files[path] = (Line(f'"""{name.replace("_", " ").capitalize()}."""', origin),)
        for _ in range(functions):
            self.add_function(path, 4, origin)

    def add_function(self, path: str, statements: int, origin: int) -> int:
        """Append a function with so many statements; returns the number of lines added."""
        self._functions += 1
        verb, noun = self._pick(_VERBS), self._pick(_NOUNS)
        body = [self._statement(path, origin) for _ in range(statements)]
        if path.endswith(".java"):
            head = f"    static long {verb}{noun.capitalize()}{self._functions}(long amount, long limit) {{"
            texts, tail = ["", head], ["        return amount;", "    }"]
            rest = self.files[path][:-1], self.files[path][-1:]
        else:
            texts = ["", "", f"def {verb}_{noun}_{self._functions}(amount, limit={statements}):"]
            tail, rest = ["    return amount"], (self.files[path], ())
        new = (*(Line(text, origin) for text in texts), *body, *(Line(text, origin) for text in tail))
        self.files[path] = (*rest[0], *new, *rest[1])
        return len(new)

    def add_test(self, path: str, name: str, origin: int) -> int:
        """Append a test case with this name; returns the number of lines added."""
        self._number += 1
        if path.endswith(".java"):
            texts = ["", "    @Test", f"    void {name}() {{", f"        assertEquals({self._number}, run());", "    }"]
            kept, end = self.files[path][:-1], self.files[path][-1:]
        else:
            texts = ["", "", f"def {name}():", f"    assert run({self._number}) == {self._number}"]
            kept, end = self.files[path], ()
        self.files[path] = (*kept, *(Line(text, origin) for text in texts), *end)
        return len(texts)

    def change(self, path: str, count: int, origin: int, *, keep: Callable[[Line], bool]) -> int:
        """Rewrite up to ``count`` neighbouring statements that ``keep`` does not protect; returns how many."""
        free = [i for i, line in enumerate(self.files[path]) if line.is_statement and not keep(line)]
        if not free:
            return 0
        first = int(self._rng.integers(len(free)))
        return self.rewrite(path, free[first : first + count], origin)

    def rewrite(self, path: str, positions: list[int], origin: int) -> int:
        """Replace the statements at these positions; returns how many."""
        lines = list(self.files[path])
        for position in positions:
            lines[position] = self._statement(path, origin)
        self.files[path] = tuple(lines)
        return len(positions)

    def insert(self, path: str, count: int, origin: int) -> int:
        """Add up to ``count`` statements behind a random statement; returns how many."""
        places = [i for i, line in enumerate(self.files[path]) if line.is_statement]
        if not places:
            return 0
        at = places[int(self._rng.integers(len(places)))] + 1
        new = tuple(self._statement(path, origin) for _ in range(count))
        self.files[path] = (*self.files[path][:at], *new, *self.files[path][at:])
        return count

    def rename(self, old: str, new: str) -> None:
        """Move a file."""
        self.files[new] = self.files.pop(old)

    def content(self, path: str) -> bytes:
        """The file's bytes."""
        return ("\n".join(line.text for line in self.files[path]) + "\n").encode()

    def _statement(self, path: str, origin: int) -> Line:
        self._number += 1
        shapes = _SHAPES[path.rsplit(".", 1)[-1]]
        return Line(self._pick(shapes).format(n=self._number), origin, is_statement=True)

    def _pick(self, choices: tuple[str, ...]) -> str:
        return choices[int(self._rng.integers(len(choices)))]


def source_path(service: str, module: str, language: str) -> str:
    """Where a module's code is."""
    if language == "java":
        return f"services/{service}/src/main/java/shop/{service}/{module}.java"
    return f"services/{service}/{service}/{module}.py"


def tests_path(service: str, module: str, language: str) -> str:
    """Where a module's tests are."""
    if language == "java":
        return f"services/{service}/src/test/java/shop/{service}/{module}Test.java"
    return f"services/{service}/tests/test_{module}.py"


def _package(path: str) -> str:
    return ".".join(path.split("/java/", 1)[-1].split("/")[:-1])
