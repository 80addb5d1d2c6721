"""Starting the deployment's pipeline as a process, and relaying what it says.

The library never imports Dagster or a model: it starts ``python -m assets VERB JSON`` in the deployment's root,
with the interpreter that weaver-forge.toml names, and reads JSON lines. Its exit code is the command's, except
that a crash of the child (Python's own code 1, or a signal) must not read as a deny.
"""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from weaver_forge.cli import text
from weaver_forge.errors import ConfigurationError, SourceError, UsageError, WeaverForgeError
from weaver_forge.settings import PIPELINE_ENVIRONMENT, Settings, environment_with

Event = dict[str, Any]
_ERRORS: dict[Any, type[WeaverForgeError]] = {2: UsageError, 4: ConfigurationError, 5: SourceError}
_CRASHED = 70
"""Exit code of a process that broke."""

_INSTANTS = ("predicted_at", "made_at", "data_as_of", "resolve_by")


def relay(settings: Settings, verb: str, arguments: Mapping[str, Any], *, as_json: bool) -> int:
    """Run a verb to its end, show its progress, and return its exit code."""
    code, results = _told(settings, verb, arguments, as_json=as_json)
    if as_json and results:
        text.as_json(results[-1])
    return code


def answer(settings: Settings, verb: str, arguments: Mapping[str, Any]) -> tuple[int, Any]:
    """Run a verb to its end, show its progress, and return its exit code and result; None where it gave none."""
    code, results = _told(settings, verb, arguments, as_json=True)
    return code, results[-1] if results else None


def _told(settings: Settings, verb: str, arguments: Mapping[str, Any], *, as_json: bool) -> tuple[int, list[Any]]:
    said: list[Event] = []
    with _start(settings, verb, arguments) as child:
        try:
            for event in _events(child):
                said += _handled(event, as_json=as_json)
        except BaseException:
            child.terminate()
            raise
    code = _code(child.returncode)
    results = [event.get("data") for event in said if event["event"] == "result"]
    if code and not any(event["event"] == "error" for event in said):
        text.note(f"error: the pipeline ended with {code} and said nothing. Look at the lines above")
    return code, results


def _handled(event: Event, *, as_json: bool) -> list[Event]:
    """Show an event; give back those that matter at the end."""
    if event["event"] == "error":
        text.note(f"error: {_error(event)}")
    elif event["event"] != "result":
        if not as_json or event["event"] == "progress":
            _show(event)
        return []
    return [event]


def on_demand(
    settings: Settings,
    repository: Path | None,
    snapshot: Path,
    budget_s: float,
    *,
    objective: str = "",
    branch_of: Callable[[str], str] = lambda _revision: "",
) -> Callable[[str, str, Mapping[str, str]], list[dict[str, Any]]]:
    """A way to compute a prediction now, within ``budget_s`` seconds."""

    def compute(decision: str, entity: str, subject: Mapping[str, str]) -> list[dict[str, Any]]:
        arguments = {"decision": decision, "entity": entity, "subject": dict(subject), "snapshot": str(snapshot)}
        if repository is not None:
            arguments["repository"] = str(repository)
        if objective:
            arguments["objective"] = objective
        if branch := branch_of(subject.get("revision", "")):
            arguments["branch"] = branch
        data = ask(settings, "predict", {**arguments, "packed": True}, budget_s)
        return _rows(data["predictions"])

    return compute


def ask(settings: Settings, verb: str, arguments: Mapping[str, Any], budget_s: float | None) -> dict[str, Any]:
    """Run a verb silently and return its result.

    Raises:
        SourceError: If it does not answer within the budget.
        WeaverForgeError: What the verb reports.
    """
    child = _asked_ahead(settings, verb, arguments)
    code, events = _listened(child, verb, budget_s) if child is not None else (_CRASHED, [])
    if code == _CRASHED:  # none was started ahead, or it broke: an older deployment does not know how to wait
        code, events = _listened(_start(settings, verb, arguments, subprocess.DEVNULL), verb, budget_s)
    for event in events:
        if event.get("event") == "error":
            kind = _ERRORS.get(event.get("exit_code"), WeaverForgeError)
            raise kind(str(event.get("what")), where=str(event.get("where") or ""), do=str(event.get("do") or ""))
    results = [event.get("data") for event in events if event.get("event") == "result"]
    if code or not results or not isinstance(results[-1], dict):
        raise WeaverForgeError(f"ended with {code} and no result", where=f"assets {verb}", do="Run it by hand")
    return results[-1]


def _listened(child: "subprocess.Popen[str]", verb: str, budget_s: float | None) -> tuple[int, list[Event]]:
    """Exit code and events of a process that is left so many seconds.

    Raises:
        SourceError: If it takes longer.
    """
    expired = threading.Event()
    with child:

        def stop() -> None:
            expired.set()
            child.kill()

        timer = threading.Timer(budget_s or 0.0, stop)
        if budget_s:
            timer.start()
        events = list(_events(child))
        child.wait()
        timer.cancel()
    if expired.is_set():
        raise SourceError(f"no answer within {budget_s:g} s", where=f"assets {verb}", do="Publish it ahead")
    return _code(child.returncode), events


def begin(settings: Settings, decision: str) -> None:
    """Start a process that loads what a decision takes to be predicted and waits for its question.

    Raises:
        ConfigurationError: If it cannot be started.
    """
    end()
    child = _start(settings, "predict", None, subprocess.DEVNULL, ahead=decision)
    _ahead.append((settings.root, child))


def end() -> None:
    """End the process that was started ahead, if no question came."""
    while _ahead:
        _, child = _ahead.pop()
        child.kill()
        child.communicate()


_ahead: list[tuple[Path, "subprocess.Popen[str]"]] = []
"""The process that was started ahead, and the deployment that it is of."""


def _asked_ahead(settings: Settings, verb: str, arguments: Mapping[str, Any]) -> "subprocess.Popen[str] | None":
    """The process that was started ahead, with its question; None where there is none for it."""
    if verb != "predict" or not _ahead or _ahead[0][0] != settings.root:
        return None
    _, child = _ahead.pop()
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died: what it says, or its code, tells why
        child.stdin.write(json.dumps(arguments))
        child.stdin.close()
    return child


def _start(
    settings: Settings, verb: str, arguments: Mapping[str, Any] | None, stderr: int | None = None, *, ahead: str = ""
) -> "subprocess.Popen[str]":
    """Start a verb with its arguments, or ``ahead`` of them for a decision."""
    given = ["-", ahead] if arguments is None else [json.dumps(arguments)]
    command = [str(settings.python), "-m", "assets", verb, *given]
    # Neither another deployment in the caller's environment nor a safe path may hide this one's packages.
    environment = environment_with(
        WEAVER_FORGE_HOME=str(settings.root),
        PYTHONUNBUFFERED="1",
        PYTHONSAFEPATH="",
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
        MLFLOW_LOGGING_LEVEL="WARNING",
        **PIPELINE_ENVIRONMENT,
    )
    if not (settings.root / "assets" / "__main__.py").is_file():
        raise ConfigurationError(
            "there is no assets/ package to run",
            where=str(settings.root),
            do="Make a deployment: weaver-forge init DIR",
        )
    try:
        return subprocess.Popen(
            command,
            cwd=settings.root,
            env=environment,
            stdin=None if arguments is not None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as error:
        raise ConfigurationError(
            f"the interpreter cannot be started: {error.strerror}",
            where=str(settings.python),
            do="Install weaver-forge[pipeline] and name its python in weaver-forge.toml, [pipeline] python",
        ) from error


def _events(child: "subprocess.Popen[str]") -> Iterator[Event]:
    """JSON lines as events; what else a library prints goes to standard error as it is."""
    assert child.stdout is not None
    for line in child.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict) and "event" in event:
            yield event
        else:
            sys.stderr.write(line)


def _show(event: Event) -> None:
    kind = event["event"]
    if kind == "progress":
        total = f" {event['done']}/{event['total']}" if event.get("total") else ""
        message = f"  {event['message']}" if event.get("message") else ""
        text.note(f"... {event.get('step', '')}{total}{message}")
    elif kind == "table":
        text.group(str(event.get("title", "")), text.table(event["columns"], event["rows"]))
    elif kind == "line":
        mark = {"warn": "warning: ", "error": "error: "}.get(str(event.get("style")), "")
        lead = "\n" if event.get("style") == "head" else ""
        text.out(f"{lead}{mark}{event.get('text', '')}")


def _error(event: Event) -> str:
    return str(
        WeaverForgeError(str(event.get("what")), where=str(event.get("where") or ""), do=str(event.get("do") or ""))
    )


def _code(code: int) -> int:
    """The child's exit code; Python's own 1 and signals are crashes."""
    return _CRASHED if code in {1, 3} or code < 0 else code


def _rows(packed: Mapping[str, Any] | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Packed predictions as rows, with instants read back as naive UTC; a deployment of before does not pack."""
    if isinstance(packed, list):
        return [{name: _value(name, value) for name, value in row.items()} for row in packed]
    same = {name: _value(name, value) for name, value in packed["same"].items()}
    each = {name: [_value(name, value) for value in values] for name, values in packed["each"].items()}
    names = list(each)
    listed = zip(*each.values(), strict=True) if names else [()] * packed["n"]
    return [{**same, **dict(zip(names, values, strict=True))} for values in listed]


def _value(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value.removesuffix("Z")) if name in _INSTANTS and isinstance(value, str) else value
