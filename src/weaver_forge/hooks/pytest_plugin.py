"""The pytest plugin: ``-p weaver_forge.hooks.pytest_plugin`` orders tests, leaves some for later, or records what ran.

Put here pytest's and xdist's hooks, and nothing that they could do without pytest. No test run is broken from here:
what goes wrong is said in a line, and pytest does its own. Nothing but pytest is imported before a mode is asked for.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from weaver_forge.hooks.pytest_record import Recorder
    from weaver_forge.hooks.quarantined_failures import QuarantinedFailures

MODES = ("order", "select", "record", "off")
RECORD, SPANS = ".weaver-forge/tests.jsonl", ".weaver-forge/spans.jsonl"
"""Where a record goes where nobody says it, below pytest's rootdir; the folder is that of ``own_folder``."""

_KEY = "weaver_forge"
_OPTIONS = {
    "mode": ("MODE", f"what Weaver Forge does: {', '.join(MODES)} (WEAVER_FORGE_MODE)"),
    "from": ("PATH", "a ranking that rank-tests wrote, or a published snapshot (WEAVER_FORGE_FROM)"),
    "record": ("FILE", f"where what ran is written, in every mode but off (WEAVER_FORGE_RECORD; {RECORD})"),
    "spans": ("FILE", f"where its spans are written (WEAVER_FORGE_SPANS; {SPANS} in a pipeline's trace)"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the flags; every one has a variable of the environment for its default."""
    group = parser.getgroup("weaver-forge")
    for name, (what, text) in _OPTIONS.items():
        group.addoption(f"--weaver-{name}", dest=f"weaver_{name}", metavar=what, default=None, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Begin, unless the mode is off: a worker of xdist does what the process that started it tells it."""
    given = getattr(config, "workerinput", None)
    if given is not None:
        if _KEY in given:
            config.pluginmanager.register(Choosing(config, given[_KEY]), "weaver-forge-choosing")
        return
    mode, problem = _mode(config)
    if mode != "off" or problem:
        config.pluginmanager.register(Leading(config, mode, problem), "weaver-forge")


def _asked(config: pytest.Config, name: str) -> str:
    """A flag, else its variable; empty where neither is given."""
    from weaver_forge.settings import variable

    return str(config.getoption(f"weaver_{name}", None) or variable(f"WEAVER_FORGE_{name.upper()}") or "")


def _mode(config: pytest.Config) -> tuple[str, str]:
    """The mode, and what is wrong with it; a ranking without a mode orders."""
    try:
        mode = _asked(config, "mode") or ("order" if _asked(config, "from") else "off")
    except Exception as error:  # noqa: BLE001 - never breaks a run; it is said
        return "off", _words(error)
    return (mode, "") if mode in MODES else ("off", f"no mode {mode!r}: give one of {', '.join(MODES)}")


class Choosing:
    """Sorts and selects, in each process that collects tests.

    Args:
        plan: ``mode``, ``order`` and ``rest``, as they go to xdist's workers.
    """

    def __init__(self, config: pytest.Config, plan: dict[str, Any]) -> None:
        self._config, self._plan = config, plan
        self.said: dict[str, Any] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Sort what the other plugins left, and deselect the rest."""
        try:
            self._choose(config, items)
        except Exception as error:  # noqa: BLE001 - never breaks a run; it is said
            self.said = {"problem": _words(error)}
        output = getattr(config, "workeroutput", None)
        if output is not None:
            output[_KEY] = self.said

    def _choose(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        from weaver_forge.hooks.chosen_items import choose, or_files

        is_grouped, order = bool(getattr(config.option, "loadgroup", False)), self._plan["order"]
        nodeids = [item.nodeid for item in items]
        found = or_files([_names(nodeid, is_grouped=is_grouped) for nodeid in nodeids], nodeids, order)
        chosen = choose(found, order, frozenset(self._plan["rest"]))
        rest = [items[place] for place in chosen.rest]
        if rest:
            config.hook.pytest_deselected(items=rest)
        items[:] = [items[place] for place in chosen.keep]
        self.said = {"n": len(found), "rest": len(rest), "unknown": chosen.n_unknown, "problem": chosen.problem}


class Leading(Choosing):
    """Reads the ranking once, tells the workers, records, and speaks to the person: the process that was started."""

    def __init__(self, config: pytest.Config, mode: str, problem: str) -> None:
        super().__init__(config, {"mode": mode, "order": [], "rest": []})
        self._mode, self._problems = mode, [problem] if problem else []
        self._recorder: Recorder | None = None
        self._quarantine: QuarantinedFailures | None = None
        self._held: dict[str, Any] = {}
        for begin in (self._look, self._read, self._record, self._excuse):
            try:
                begin()
            except Exception as error:  # noqa: BLE001 - never breaks a run; it is said
                self._problems.append(_words(error))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Name the run in pytest's own report too, and say at once what is wrong."""
        if self._recorder is not None:
            try:
                self._recorder.tell_junit(self._config.pluginmanager.get_plugins())
            except Exception as error:  # noqa: BLE001 - never breaks a run; it is said
                self._problems.append(f"the JUnit report does not name its run: {_words(error)}")
        self._warn()

    def pytest_report_header(self) -> str | None:
        """Say what is done, and by what."""
        if not self._plan["order"]:
            return None
        later = f", {len(self._plan['rest'])} of them for later" if self._plan["rest"] else ""
        return f"weaver-forge: {self._plan['mode']} by {len(self._plan['order'])} ranked tests{later}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker the plan, so that all of them agree."""
        if self._plan["order"]:
            node.workerinput[_KEY] = self._plan

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear what a worker chose; all of them choose the same."""
        self.said = getattr(node, "workeroutput", {}).get(_KEY) or self.said

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Choose, where there is an order."""
        if self._plan["order"]:
            super().pytest_collection_modifyitems(config, items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """See what could not be collected: that is recorded, and never excused."""
        if report.failed and self._recorder is not None:
            self._take(self._recorder.take_collection, report)
        if self._quarantine is not None and report.failed:
            self._quarantine.failed(report.nodeid, ())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a phase."""
        if self._quarantine is not None and report.failed:
            self._quarantine.failed(report.nodeid, _names(report.nodeid, is_grouped="@" in report.nodeid))
        if self._recorder is not None:
            self._take(self._recorder.take, report)

    def _take(self, take: "Callable[[Any], None]", report: Any) -> None:
        """Record a report; where that cannot be done, the record ends here."""
        try:
            take(report)
        except Exception as error:  # noqa: BLE001 - never breaks a run; it is said
            if self._recorder is not None:
                self._recorder.abandon()
            self._recorder = None
            self._problems.append(f"the record ends here: {_words(error)}")
            self._warn()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close the record; a run that only our selection left without tests has not failed."""
        if self._recorder is not None:
            try:
                self._recorder.close(is_ok=exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})
            except Exception as error:  # noqa: BLE001 - never breaks a run; it is said
                self._problems.append(f"the record is not complete: {_words(error)}")
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not session.testscollected and self.said.get("rest"):
            session.exitstatus = pytest.ExitCode.OK
        if self._quarantine is not None and self._quarantine.excuses(exitstatus):
            session.exitstatus = pytest.ExitCode.OK
        if self.said.get("problem"):
            self._problems.append(str(self.said["problem"]))

    def pytest_unconfigure(self) -> None:
        """Say what went wrong where pytest was asked for no summary."""
        self._warn()

    def pytest_terminal_summary(self) -> None:
        """Say what was left for later, and what went wrong since the beginning."""
        self._warn()
        if self.said.get("rest"):
            said = self.said
            new = f"; {said['unknown']} unknown to the ranking ran first" if said["unknown"] else ""
            self._say(f"weaver-forge: {said['rest']} of {said['n']} tests are left for later{new}", green=True)
        for line in self._quarantine.lines() if self._quarantine is not None else ():
            self._say(f"weaver-forge: {line}", yellow=True)

    def _look(self) -> None:
        """See whether a flag's value led pytest astray."""
        config, flags = self._config, {f"--weaver-{name}" for name in _OPTIONS}
        arguments = tuple(map(str, config.invocation_params.args))
        if flags.isdisjoint(arguments) or config.getoption("rootdir") or config.getoption("inifilename"):
            return
        from weaver_forge.hooks.pytest_paths import misled

        self._problems += misled(arguments, flags, config.invocation_params.dir, config.inipath)

    def _read(self) -> None:
        """Make the plan: the order, and the rest where it may be left and nothing is halted."""
        if self._mode not in {"order", "select"}:
            return
        where = _asked(self._config, "from")
        if not where:
            self._problems.append("no ranking is given: use --weaver-from or WEAVER_FORGE_FROM")
            return
        from weaver_forge.hooks.handed_order import read_handed
        from weaver_forge.hooks.in_reach import allowed_rest, now
        from weaver_forge.hooks.revision import checked_out

        root = self._config.rootpath
        path = where if "://" in where else str(self._config.invocation_params.dir / where)
        handed = read_handed(Path(path), lambda: checked_out(root))
        known = checked_out(root) if handed.revision and handed.published is None else ()
        why = handed.outdated(known, now())
        if why:
            self._problems.append(f"{where}: {why}")
            return
        rest, why = allowed_rest(handed) if self._mode == "select" else ((), "")
        self._problems += [f"nothing is left for later, order only: {why}"] if why else []
        self._problems += [f"{where}: {handed.warning}"] if handed.warning else []
        self._plan = {"mode": self._mode, "order": list(handed.order), "rest": list(rest)}
        self._held = dict(handed.quarantined)

    def _record(self) -> None:
        """Open the record where one is asked for."""
        asked = _asked(self._config, "record")
        if self._mode == "off" or not (asked or self._mode == "record"):
            return
        from weaver_forge.hooks.pytest_record import Recorder, Session
        from weaver_forge.settings import variable

        root, here = self._config.rootpath, self._config.invocation_params.dir
        spans = _asked(self._config, "spans")
        session = Session.of(variable, root, wants_spans=bool(spans))
        self._problems.extend(session.problems)
        self._recorder = Recorder(
            here / asked if asked else root / RECORD, here / spans if spans else root / SPANS, session
        )

    def _excuse(self) -> None:
        """Learn which tests are in quarantine: from the ranking, else from a deployment in reach."""
        from weaver_forge.hooks.in_reach import held_here, now

        held = self._held
        if self._mode != "off" and not held:
            held, problem = held_here(self._config.rootpath)
            self._problems += [problem] if problem else []
        inside = {name: until for name, until in held.items() if until > now()}
        if inside:
            from weaver_forge.hooks.quarantined_failures import QuarantinedFailures

            self._quarantine = QuarantinedFailures(inside)

    def _warn(self) -> None:
        """One line for everything that is wrong and has not been said."""
        if self._problems:
            problems, self._problems = self._problems, []
            self._say(f"weaver-forge: WARNING: {'; '.join(problems)}", yellow=True)

    def _say(self, line: str, **markup: bool) -> None:
        line = " ".join(line.split())
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None:
            sys.stderr.write(f"{line}\n")
            return
        terminal.ensure_newline()
        terminal.write_line(line, **markup)


def _names(nodeid: str, *, is_grouped: bool) -> tuple[str, ...]:
    """What the reader of JUnit files calls a test; with and without the group that xdist hangs on it."""
    from weaver_forge.decode.report import named_by_pytest

    nodeids = (nodeid, nodeid.rpartition("@")[0]) if is_grouped and "@" in nodeid else (nodeid,)
    pairs = [named_by_pytest(text) for text in nodeids]
    return tuple(f"{classname}::{name}" if classname else name for classname, name in pairs)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
