"""The repository while the simulated people work in it: the files, what is broken in them, and how work edits them.

Put an edit here. Who makes it, when and how well is in ``history``; what a single line looks like in ``source_tree``.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from weaver_forge.testing.cases import Case
from weaver_forge.testing.changes_made import Bug, Change
from weaver_forge.testing.source_tree import Line, Lines, SourceTree

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(slots=True)
class Touch:
    """What a commit in the making has done so far."""

    number: int
    before: dict[str, Lines] = field(default_factory=dict)
    n_added: int = 0
    n_deleted: int = 0


class Workplace:
    """The files and what is remembered about them.

    Args:
        tree: The files, still empty.
        cases: Every test case that will ever be written.
        rng: Draws how large an edit is.
    """

    def __init__(self, tree: SourceTree, cases: tuple[Case, ...], rng: np.random.Generator) -> None:
        self.tree, self.cases, self.rng = tree, cases, rng
        self.paths: dict[tuple[str, str], str] = {}
        self.born: dict[str, int] = {}
        self.open: dict[int, Bug] = {}
        self.touched: dict[str, list[datetime]] = defaultdict(list)
        self.broken: dict[str, int] = defaultdict(int)
        self.before: dict[int, dict[str, Lines]] = {}

    def edit(self, touch: Touch, path: str, kind: str) -> None:
        """Change a file as work of this kind does: rewrite, insert, and for a feature perhaps a new function."""
        self.remember(touch, path)
        size = max(1, round(float(self.rng.lognormal(1.5, 0.95))))
        if kind == "feat" and size >= 7 and path.endswith((".py", ".java")):
            touch.n_added += self.tree.add_function(path, min(size - 4, 60), touch.number)
            size = 2
        changed = self.tree.change(path, -(-size // 2), touch.number, keep=self._is_guilty)
        added = self.tree.insert(path, size // 2, touch.number) if kind != "refactor" else 0
        touch.n_added += changed + added
        touch.n_deleted += changed

    def write_new_tests(self, touch: Touch, names: tuple[str, ...], day: int) -> None:
        """Write the test cases of these services whose day has come."""
        for case in self.cases:
            if case.service in names and case.test_id not in self.born and case.born_day <= day:
                self.remember(touch, case.path)
                touch.n_added += self.tree.add_test(case.path, case.name, touch.number)
                self.born[case.test_id] = touch.number

    def rename(self, name: str, modules: tuple[str, ...]) -> tuple[str, str] | None:
        """Move a module of the service to a new file; None when an open bug is in it. Returns (old, new) path."""
        module = modules[int(self.rng.integers(len(modules)))]
        old = self.paths[name, module]
        if any(bug.path == old for bug in self.open.values()):
            return None
        stem, suffix = old.rsplit(".", 1)
        new = f"{stem}_v2.{suffix}" if suffix == "py" else f"{stem}V2.{suffix}"
        self.tree.rename(old, new)
        self.paths[name, module] = new
        self.touched[new] = self.touched.pop(old, [])
        self.broken[new] = self.broken.pop(old, 0)
        return old, new

    def take_back(self, touch: Touch, guilty: Change) -> bool:
        """Restore what the guilty commit changed, if nobody changed those files since."""
        before = self.before.get(guilty.number, {})
        written = {edit.path: edit.content for edit in guilty.edits}
        has_tests = any(path in {case.path for case in self.cases} for path in before)
        if not before or has_tests or any(self.tree.content(p) != written[p] for p in before if p in self.tree.files):
            return False
        if any(path not in self.tree.files for path in before):
            return False
        for path, lines in before.items():
            self.remember(touch, path)
            now = {line.text for line in self.tree.files[path] if line.is_statement}
            was = {line.text for line in lines if line.is_statement}
            # Lines that come back belong to the revert from now on, as git blame will say.
            self.tree.files[path] = tuple(
                Line(line.text, touch.number, line.is_statement) if line.is_statement and line.text not in now else line
                for line in lines
            )
            touch.n_added += len(was - now)
            touch.n_deleted += len(now - was)
        return True

    def remember(self, touch: Touch, path: str) -> None:
        """Keep the file as it was before the commit in the making."""
        touch.before.setdefault(path, self.tree.files[path])

    def _is_guilty(self, line: Line) -> bool:
        """Lines of an open bug stay as they are until its fix, so that blame can find it."""
        return line.origin in self.open
