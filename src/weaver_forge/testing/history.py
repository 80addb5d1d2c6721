"""The simulated development: who changes what when, what breaks, and who repairs it.

Put the course of events here. The dice are in ``chances``, how a file is edited is in ``workplace``, how the history
becomes a git repository in ``git_writer``. Bugs are drawn from a probability that rises with what can be seen of the
change (size, churn of its files, the author's experience, the hour, earlier bugs), so that a model can learn it, and
the dice keep it from being learned wholly.
"""

import heapq
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from weaver_forge.testing.cases import Case
from weaver_forge.testing.chances import Seen, failing_tests, probability_of_a_bug, time_to_fix
from weaver_forge.testing.changes_made import Bug, Change, Edit
from weaver_forge.testing.messages import subject_of, wording_of_fix
from weaver_forge.testing.people import Author, choose_author, people, working_times
from weaver_forge.testing.plan import OrganisationPlan
from weaver_forge.testing.source_tree import Line, SourceTree, source_path
from weaver_forge.testing.topology import CHRONIC, callers, services
from weaver_forge.testing.workplace import Touch, Workplace

KINDS = {"feat": 0.40, "refactor": 0.2, "perf": 0.07, "chore": 0.1, "docs": 0.07, "test": 0.11, "rename": 0.05}
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
    return History(tuple(development.changes), development.work.born)


class _Development:
    def __init__(self, plan: OrganisationPlan, cases: tuple[Case, ...]) -> None:
        self.plan, self.cases = plan, cases
        self.rng = plan.rng("history")
        self.work = Workplace(SourceTree(plan.rng("source")), cases, self.rng)
        self.authors = people(plan)
        self.services = {service.name: service for service in services(plan.services)}
        self.callers = callers(plan.services)
        self.queue: list[tuple[datetime, int, Bug | None]] = []
        self.changes: list[Change] = []
        self.experience: dict[tuple[str, str], int] = defaultdict(int)

    # --- commits -----------------------------------------------------------------------------------------

    def import_everything(self) -> None:
        """The first commit: every service with its modules, tests and configuration."""
        self.work.tree.create("README.md", 0, 2)
        for service in self.services.values():
            for module in service.modules:
                path = source_path(service.name, module, service.language)
                self.work.paths[service.name, module] = path
                self.work.tree.create(path, 0, 4)
            self.work.tree.create(_config(service.name), 0, 2)
        for case in self.cases:
            if case.path not in self.work.tree.files:
                self.work.tree.create(case.path, 0, 1)
            if case.born_day == 0:
                self.work.tree.add_test(case.path, case.name, 0)
                self.work.born[case.test_id] = 0
        edits = tuple(Edit(path, self.work.tree.content(path)) for path in sorted(self.work.tree.files))
        lines = sum(len(content) for content in self.work.tree.files.values())
        at = self.plan.starts_at + timedelta(minutes=20)
        message = "Import the services from the old repositories\n"
        names = tuple(self.services)
        self.changes.append(Change(0, at, self.authors[0], "chore", message, names, edits, lines, 0))

    def regular(self, at: datetime) -> None:
        """Somebody does planned work."""
        author = choose_author(self.authors, at, self.rng)
        kind = self._pick(KINDS)
        touched_services = self._services_of(author)
        touch = Touch(len(self.changes))
        renamed: tuple[str, str] | None = None
        if kind == "rename":
            renamed = self.work.rename(touched_services[0], self.services[touched_services[0]].modules)
        for path in self._targets(kind, touched_services, renamed):
            self.work.edit(touch, path, kind)
        if kind != "docs":
            self.work.write_new_tests(touch, touched_services, (at - self.plan.starts_at).days)
        if not touch.before and renamed is None:
            self.work.edit(touch, "README.md", "docs")
            kind = "docs"
        probability = probability_of_a_bug(kind, self._seen(touch, author, touched_services, at))
        bug = self._break(touch, touched_services) if self.rng.random() < probability else None
        module = max(touch.before, default="README.md")
        subject = subject_of(kind, touched_services[0], module, self.rng)
        self._commit(touch, at, author, kind, f"{subject}\n", touched_services, renamed, probability, bug)

    def fix(self, at: datetime, bug: Bug) -> None:
        """Somebody repairs a bug, by taking the commit back or by rewriting guilty lines."""
        path = self.work.paths[bug.service, bug.module]
        author = choose_author(self.authors, at, self.rng, service=bug.service)
        touch = Touch(len(self.changes))
        is_revert = self.rng.random() < 0.35 and self.work.take_back(touch, self.changes[bug.number])
        if not is_revert:
            guilty = [i for i, line in enumerate(self.work.tree.files[path]) if _is_of(line, bug.number)]
            self.work.remember(touch, path)
            n = self.work.tree.rewrite(path, guilty[: int(self.rng.integers(1, 4))], touch.number)
            n_more = self.work.tree.insert(path, int(self.rng.integers(0, 4)), touch.number)
            touch.n_added, touch.n_deleted = n + n_more, n
        # A fix can break something in its turn, as in any history.
        probability = 0.0 if is_revert else 0.10
        new_bug = self._break(touch, (bug.service,)) if self.rng.random() < probability else None
        del self.work.open[bug.number]
        self.work.broken[path] += 1
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
        touch: Touch,
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
        edits = tuple(
            Edit(path, self.work.tree.content(path), moved.get(path)) for path in sorted({*touch.before, *moved})
        )
        for path in touch.before:
            self.work.touched[path].append(at)
        for name in touched_services:
            self.experience[author.email, name] += 1
        self.work.before[touch.number] = {} if renamed else touch.before
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
            self.work.open[bug.number] = bug
            heapq.heappush(self.queue, (at + time_to_fix(bug, at, self.rng), bug.number + 1, bug))

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
                source = self.work.paths[name, modules[index]]
                found.append(source if kind != "test" else tests[int(self.rng.integers(len(tests)))])
        return list(dict.fromkeys(found))

    # --- chances -----------------------------------------------------------------------------------------

    def _seen(self, touch: Touch, author: Author, names: tuple[str, ...], at: datetime) -> Seen:
        """What can be seen of the change in the making."""
        recent = at - timedelta(days=14)
        chronic = {self.work.paths[area] for area in CHRONIC if area in self.work.paths}
        return Seen(
            n_lines=touch.n_added + touch.n_deleted,
            n_files=len(touch.before),
            n_recent_changes=sum(t >= recent for path in touch.before for t in self.work.touched[path]),
            n_own_changes=max(self.experience[author.email, name] for name in names),
            n_earlier_bugs=sum(self.work.broken[path] for path in touch.before),
            is_late=at.hour >= 20 or at.hour < 6,
            is_chronic=any(path in chronic for path in touch.before),
        )

    def _break(self, touch: Touch, names: tuple[str, ...]) -> Bug | None:
        """Choose what is broken; None when the change touched no statement of a module."""
        areas = {path: area for area, path in self.work.paths.items() if area[0] in names}
        guilty = {
            path: sum(_is_of(line, touch.number) for line in self.work.tree.files[path])
            for path in sorted(touch.before)
            if path in areas
        }
        path = max(guilty, key=guilty.__getitem__, default="")
        if not path or not guilty[path]:
            return None
        service, module = areas[path]
        is_chronic = (service, module) in CHRONIC
        caught = self.rng.random() < (0.9 if is_chronic else 0.58)
        known = [case for case in self.cases if case.test_id in self.work.born and not case.is_flaky]
        upstream = self.callers[service]
        failing = failing_tests(service, module, known, upstream, self.rng) if caught else ()
        hits = not failing and self.rng.random() < 0.55
        mode = "errors" if self.rng.random() < 0.6 else "latency"
        strength = float(self.rng.uniform(0.25, 0.65) if mode == "errors" else self.rng.uniform(3.0, 8.0))
        return Bug(touch.number, service, module, path, failing, hits, mode, strength)

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
