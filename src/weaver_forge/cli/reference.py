"""The reference of all commands as Markdown, made from the commands themselves; ``docs/cli.md`` is its output."""

import inspect
import re
from typing import Any

from cyclopts import Parameter

from weaver_forge.cli.app import ALONE, COMMANDS, SUBCOMMANDS, build

_HEAD = """\
# Commands

Made from the code by `make docs`; a test keeps it so.

Exit codes: 0 allowed; 1 an enforced deny, and nothing else; 2 usage; 3 a person decides; 4 configuration;
5 a source, store or snapshot cannot be read; 70 internal.
"""


def markdown() -> str:
    """All commands with their arguments."""
    app = build()
    lines = [_HEAD]
    for _, name, _, summary in COMMANDS:
        lines += _command(f"weaver-forge {name}", app[name], summary)
    for group, (_, commands) in SUBCOMMANDS.items():
        inner: Any = app[group]
        if group in ALONE:
            lines += _command(f"weaver-forge {group}", inner, ALONE[group][1])
        for name, _, summary in commands:
            lines += _command(f"weaver-forge {group} {name}", inner[name], summary)
    return "\n".join(lines).rstrip() + "\n"


def _command(title: str, app: Any, summary: str) -> list[str]:
    function: Any = app.default_command
    documented = _arguments(inspect.getdoc(function) or "")
    lines = [f"## {title}", "", summary, ""]
    rows = []
    for name, parameter in inspect.signature(function).parameters.items():
        rows.append(f"| {_flag(name, parameter)} | {_default(parameter)} | {documented.get(name, '')} |")
    if rows:
        lines += ["| argument | default | meaning |", "|---|---|---|", *rows, ""]
    return lines


def _flag(name: str, parameter: inspect.Parameter) -> str:
    if parameter.kind in {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}:
        return f"`{name.upper()}`" + (" ..." if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "")
    for item in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(item, Parameter) and item.name:
            return f"`{next(iter(item.name))}`"
    no = "no-" if parameter.default is True else ""
    return f"`--{no}{name.replace('_', '-')}`"


def _default(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL or default is None or default in {"", (), False, True}:
        return ""
    return "required" if default is inspect.Parameter.empty else f"`{default}`"


def _arguments(doc: str) -> dict[str, str]:
    """Names and meanings of a Google-style docstring's Args."""
    _, _, body = doc.partition("Args:\n")
    return dict(re.findall(r"^ {4}(\w+): (.+)$", body, flags=re.MULTILINE))


if __name__ == "__main__":
    print(markdown(), end="")
