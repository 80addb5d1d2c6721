"""The simulated development: who changes what when, what breaks, and who repairs it.

Put the chances of a change here. How a file is edited is in ``source_tree``; how the history becomes a git
repository in ``git_writer``. Bugs are drawn from a probability that rises with what can be seen of the change
(size, churn of its files, the author's experience, the hour, earlier bugs), so that a model can learn it, and
the dice keep it from being learned wholly.
"""

import heapq
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from weaver_forge.testing.cases import Case
from weaver_forge.testing.changes_made import Bug, Change, Edit
from weaver_forge.testing.messages import subject_of, wording_of_fix
from weaver_forge.testing.people import Author, choose_author, people, working_times
from weaver_forge.testing.plan import OrganisationPlan
from weaver_forge.testing.source_tree import Line, Lines, SourceTree, source_path
from weaver_forge.testing.topology import CHRONIC, callers, services

KINDS = {"feat": 0.40, "refactor": 0.2, "perf": 0.07, "chore": 0.1, "docs": 0.07, "test": 0.11, "rename": 0.05}
_OFFSETS = {"feat": 0.2, "perf": 0.3, "refactor": 0.0, "rename": -0.5}
_HOT = np.array([5.0, 3.0, 2.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class History:
    """Everything that was committed, in order, and since which commit each test case exists."""

    changes: tuple[Change, ...]
    born: dict[str, int]

    @property
    def bugs(self) -> tuple[Bug, ...]:
        """All bugs, in the order of the commits that made them."""
        return tuple(change.bug for change in self.changes if change.bug is not None)

    @property
    def fixed_by(self) -> dict[int, int]:
        """Number of the guilty commit -> number of the fixing one; unfixed bugs are absent."""
        return {change.fixes: change.number for change in self.changes if change.fixes is not None}


def develop(plan: OrganisationPlan, cases: tuple[Case, ...]) -> History:
    """Simulate the whole development."""
    development = _Development(plan, cases)
    development.import_everything()
    # Fixes and reverts come on top of the planned work: about 18 in 100 commits need one within the history.
    times = working_times(plan, max(1, round((plan.commits - 1) * 0.83)), plan.rng("times"))
    for at in times:
        heapq.heappush(development.queue, (at, 0, None))
    while development.queue:
        at, _, bug = heapq.heappop(development.queue)
        if at >= plan.ends_at - timedelta(hours=1):
            break
        if bug is None:
            development.regular(at)
        else:
            development.fix(at, bug)
    return History(tuple(development.changes), development.born)


@dataclass(slots=True)
class _Touch:
    """What a commit in the making has done so far."""

    number: int
    before: dict[str, Lines] = field(default_factory=dict)
    n_added: int = 0
    n_deleted: int = 0


class _Development:
    def __init__(self, plan: OrganisationPlan, cases: tuple[Case, ...]) -> None:
        self.plan, self.cases = plan, cases
        self.rng = plan.rng("history")
        self.tree = SourceTree(plan.rng("source"))
        self.authors = people(plan)
        self.services = {service.name: service for service in services(plan.services)}
        self.callers = callers(plan.services)
        self.paths: dict[tuple[str, str], str] = {}
        self.queue: list[tuple[datetime, int, Bug | None]] = []
        self.changes: list[Change] = []
        self.born: dict[str, int] = {}
        self.open: dict[int, Bug] = {}
        self.touched: dict[str, list[datetime]] = defaultdict(list)
        self.experience: dict[tuple[str, str], int] = defaultdict(int)
        self.broken: dict[str, int] = defaultdict(int)
        self.before: dict[int, dict[str, Lines]] = {}

    # --- commits -----------------------------------------------------------------------------------------

    def import_everything(self) -> None:
        """The first commit: every service with its modules, tests and configuration."""
        self.tree.create("README.md", 0, 2)
        for service in self.services.values():
            for module in service.modules:
                path = source_path(service.name, module, service.language)
                self.paths[service.name, module] = path
                self.tree.create(path, 0, 4)
            self.tree.create(_config(service.name), 0, 2)
        for case in self.cases:
            if case.path not in self.tree.files:
                self.tree.create(case.path, 0, 1)
            if case.born_day == 0:
                self.tree.add_test(case.path, case.name, 0)
                self.born[case.test_id] = 0
        edits = tuple(Edit(path, self.tree.content(path)) for path in sorted(self.tree.files))
        lines = sum(len(content) for content in self.tree.files.values())
        at = self.plan.starts_at + timedelta(minutes=20)
        message = "Import the services from the old repositories\n"
        names = tuple(self.services)
        self.changes.append(Change(0, at, self.authors[0], "chore", message, names, edits, lines, 0))

    def regular(self, at: datetime) -> None:
        """Somebody does planned work."""
        author = choose_author(self.authors, at, self.rng)
        kind = self._pick(KINDS)
        touched_services = self._services_of(author)
        touch = _Touch(len(self.changes))
        renamed: tuple[str, str] | None = None
        if kind == "rename":
            renamed = self._rename(touched_services[0])
        for path in self._targets(kind, touched_services, renamed):
            self._edit(touch, path, kind)
        if kind != "docs":
            self._write_new_tests(touch, touched_services, at)
        if not touch.before and renamed is None:
            self._edit(touch, "README.md", "docs")
            kind = "docs"
        probability = self._risk(touch, author, kind, touched_services, at)
        bug = self._break(touch, touched_services) if self.rng.random() < probability else None
        module = max(touch.before, default="README.md")
        subject = subject_of(kind, touched_services[0], module, self.rng)
        self._commit(touch, at, author, kind, f"{subject}\n", touched_services, renamed, probability, bug)

    def fix(self, at: datetime, bug: Bug) -> None:
        """Somebody repairs a bug, by taking the commit back or by rewriting guilty lines."""
        path = self.paths[bug.service, bug.module]
        author = choose_author(self.authors, at, self.rng, service=bug.service)
        touch = _Touch(len(self.changes))
        is_revert = self.rng.random() < 0.35 and self._take_back(touch, bug)
        if not is_revert:
            guilty = [i for i, line in enumerate(self.tree.files[path]) if _is_of(line, bug.number)]
            self._remember(touch, path)
            n = self.tree.rewrite(path, guilty[: int(self.rng.integers(1, 4))], touch.number)
            n_more = self.tree.insert(path, int(self.rng.integers(0, 4)), touch.number)
            touch.n_added, touch.n_deleted = n + n_more, n
        # A fix can break something in its turn, as in any history.
        probability = 0.0 if is_revert else 0.10
        new_bug = self._break(touch, (bug.service,)) if self.rng.random() < probability else None
        del self.open[bug.number]
        self.broken[path] += 1
        guilty_subject = self.changes[bug.number].message.splitlines()[0]
        message = (
            f'Revert "{guilty_subject}"\n\nThis reverts commit {{reverted}}.\n'
            if is_revert
            else wording_of_fix(bug, self.rng)
        )
        self._commit(
            touch,
            at,
            author,
            "revert" if is_revert else "fix",
            message,
            self.changes[bug.number].services if is_revert else (bug.service,),
            None,
            probability,
            new_bug,
            fixes=bug.number,
        )

    def _commit(
        self,
        touch: _Touch,
        at: datetime,
        author: Author,
        kind: str,
        message: str,
        touched_services: tuple[str, ...],
        renamed: tuple[str, str] | None,
        probability: float,
        bug: Bug | None,
        fixes: int | None = None,
    ) -> None:
        at = max(at, self.changes[-1].at + timedelta(minutes=2)).replace(microsecond=0)
        moved = {renamed[1]: renamed[0]} if renamed else {}
        edits = tuple(Edit(path, self.tree.content(path), moved.get(path)) for path in sorted({*touch.before, *moved}))
        for path in touch.before:
            self.touched[path].append(at)
        for name in touched_services:
            self.experience[author.email, name] += 1
        self.before[touch.number] = {} if renamed else touch.before
        counts = touch.n_added, touch.n_deleted
        is_revert = kind == "revert"
        self.changes.append(
            Change(
                touch.number,
                at,
                author,
                kind,
                message,
                touched_services,
                edits,
                *counts,
                probability,
                bug,
                fixes,
                is_revert,
            )
        )
        if bug is not None:
            self.open[bug.number] = bug
            heapq.heappush(self.queue, (at + self._delay(bug, at), bug.number + 1, bug))

    # --- edits -------------------------------------------------------------------------------------------

    def _targets(self, kind: str, names: tuple[str, ...], renamed: tuple[str, str] | None) -> list[str]:
        if kind == "docs":
            return ["README.md"]
        if kind == "chore":
            return [_config(name) for name in names]
        if renamed is not None:
            return [renamed[1]]
        found: list[str] = []
        for name in names:
            modules = self.services[name].modules
            weights = _HOT[: len(modules)] / _HOT[: len(modules)].sum()
            count = min(1 + int(self.rng.poisson(0.8)), len(modules))
            chosen = self.rng.choice(len(modules), size=count, replace=False, p=weights)
            tests = [case.path for case in self.cases if case.service == name]
            for index in sorted(chosen.tolist()):
                source = self.paths[name, modules[index]]
                found.append(source if kind != "test" else tests[int(self.rng.integers(len(tests)))])
        return list(dict.fromkeys(found))

    def _edit(self, touch: _Touch, path: str, kind: str) -> None:
        self._remember(touch, path)
        size = max(1, round(float(self.rng.lognormal(1.5, 0.95))))
        if kind == "feat" and size >= 7 and path.endswith((".py", ".java")):
            touch.n_added += self.tree.add_function(path, min(size - 4, 60), touch.number)
            size = 2
        changed = self.tree.change(path, -(-size // 2), touch.number, keep=self._is_guilty)
        added = self.tree.insert(path, size // 2, touch.number) if kind != "refactor" else 0
        touch.n_added += changed + added
        touch.n_deleted += changed

    def _write_new_tests(self, touch: _Touch, names: tuple[str, ...], at: datetime) -> None:
        day = (at - self.plan.starts_at).days
        for case in self.cases:
            if case.service in names and case.test_id not in self.born and case.born_day <= day:
                self._remember(touch, case.path)
                touch.n_added += self.tree.add_test(case.path, case.name, touch.number)
                self.born[case.test_id] = touch.number

    def _rename(self, name: str) -> tuple[str, str] | None:
        modules = self.services[name].modules
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

    def _take_back(self, touch: _Touch, bug: Bug) -> bool:
        """Restore what the guilty commit changed, if nobody changed those files since."""
        before = self.before.get(bug.number, {})
        written = {edit.path: edit.content for edit in self.changes[bug.number].edits}
        has_tests = any(path in {case.path for case in self.cases} for path in before)
        if not before or has_tests or any(self.tree.content(p) != written[p] for p in before if p in self.tree.files):
            return False
        if any(path not in self.tree.files for path in before):
            return False
        for path, lines in before.items():
            self._remember(touch, path)
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

    def _remember(self, touch: _Touch, path: str) -> None:
        touch.before.setdefault(path, self.tree.files[path])

    def _is_guilty(self, line: Line) -> bool:
        """Lines of an open bug stay as they are until its fix, so that blame can find it."""
        return line.origin in self.open

    # --- chances -----------------------------------------------------------------------------------------

    def _risk(self, touch: _Touch, author: Author, kind: str, names: tuple[str, ...], at: datetime) -> float:
        """True probability that the change in the making is bug-inducing."""
        if kind not in _OFFSETS:  # configuration, text and tests break nothing here
            return 0.0
        paths = list(touch.before)
        recent = at - timedelta(days=14)
        hot = sum(sum(1 for t in self.touched[path] if t >= recent) for path in paths)
        experience = max(self.experience[author.email, name] for name in names)
        chronic = {self.paths[area] for area in CHRONIC if area in self.paths}
        z = (
            -1.85
            + _OFFSETS[kind]
            + 0.38 * (np.log1p(touch.n_added + touch.n_deleted) - 2.2)
            + 0.35 * (np.log1p(hot) - 1.5)
            - 0.40 * (np.log1p(experience) - 1.8)
            + 0.70 * (at.hour >= 20 or at.hour < 6)
            + 0.20 * np.log1p(sum(self.broken[path] for path in paths))
            + 0.80 * any(path in chronic for path in paths)
            + 0.10 * (len(paths) - 2)
        )
        return float(1.0 / (1.0 + np.exp(-z)))

    def _break(self, touch: _Touch, names: tuple[str, ...]) -> Bug | None:
        """Choose what is broken; None when the change touched no statement of a module."""
        areas = {path: area for area, path in self.paths.items() if area[0] in names}
        guilty = {
            path: sum(_is_of(line, touch.number) for line in self.tree.files[path])
            for path in sorted(touch.before)
            if path in areas
        }
        path = max(guilty, key=guilty.__getitem__, default="")
        if not path or not guilty[path]:
            return None
        service, module = areas[path]
        is_chronic = (service, module) in CHRONIC
        caught = self.rng.random() < (0.9 if is_chronic else 0.58)
        failing = self._failing(service, module) if caught else ()
        hits = not failing and self.rng.random() < 0.55
        mode = "errors" if self.rng.random() < 0.6 else "latency"
        strength = float(self.rng.uniform(0.25, 0.65) if mode == "errors" else self.rng.uniform(3.0, 8.0))
        return Bug(touch.number, service, module, path, failing, hits, mode, strength)

    def _failing(self, service: str, module: str) -> tuple[str, ...]:
        known = [case for case in self.cases if case.test_id in self.born and not case.is_flaky]
        own = [case for case in known if case.service == service and case.module == module]
        near = [case for case in known if case.service == service and case.module != module]
        wide = [case for case in known if case.is_integration and case.service in self.callers[service]]
        chances = [(own, 0.6), (near, 0.04), (wide, 0.25)]
        found = [case.test_id for group, chance in chances for case in group if self.rng.random() < chance]
        if not found and (own or near):
            group = own or near
            found = [group[int(self.rng.integers(len(group)))].test_id]
        return tuple(sorted(found))

    def _delay(self, bug: Bug, at: datetime) -> timedelta:
        """Time until the fix. One that hurts production is repaired after the incident, so not before 6 hours."""
        if bug.failing:
            hours = float(np.clip(self.rng.lognormal(1.3, 0.8), 0.5, 72.0))
        elif bug.hits_production:
            hours = 6.0 + float(self.rng.lognormal(2.2, 0.7))
        else:
            hours = 12.0 + float(self.rng.lognormal(3.6, 0.8))
        due = at + timedelta(hours=hours)
        asleep = timedelta(hours=8 - due.hour + float(self.rng.uniform(0, 2))) if due.hour < 7 else timedelta()
        return due + asleep - at

    def _services_of(self, author: Author) -> tuple[str, ...]:
        names = list(self.services)
        home = author.homes[int(self.rng.integers(len(author.homes)))]
        first = home if self.rng.random() < 0.75 else names[int(self.rng.integers(len(names)))]
        second = names[int(self.rng.integers(len(names)))]
        return (first, second) if second != first and self.rng.random() < 0.25 else (first,)

    def _pick(self, shares: dict[str, float]) -> str:
        weights = np.array(list(shares.values()))
        return list(shares)[int(self.rng.choice(len(weights), p=weights / weights.sum()))]


def _config(service: str) -> str:
    return f"services/{service}/config.yaml"


def _is_of(line: Line, number: int) -> bool:
    return line.is_statement and line.origin == number
