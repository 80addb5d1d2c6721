"""A verdict as GitHub Actions shows it: annotations, job summary, step outputs. Only the form, no judgement.

Source of the forms and limits: docs.github.com, workflow commands; a summary above 1024 KiB a step is refused as a
whole, and 10 annotations of a kind are shown a step.
"""

from collections.abc import Callable
from pathlib import Path

from weaver_forge.contracts.values import Verdict
from weaver_forge.hooks.ci_gate import GateAnswer
from weaver_forge.hooks.facts import facts_of, headline

SUMMARY_LIMIT = 1024 * 1024
_CUT = "\n\n_(cut: GitHub takes at most 1024 KiB a step)_\n"


def report(answer: GateAnswer, variable: Callable[[str], str | None], rest: str = "") -> list[str]:
    """Write summary and outputs where the runner asks for them; returns the annotation lines to print.

    Args:
        answer: The gate's answer.
        variable: Reads an environment variable, or None.
        rest: Further Markdown for the summary.
    """
    if variable("GITHUB_ACTIONS") != "true":
        return []
    if summary := variable("GITHUB_STEP_SUMMARY"):
        _append_summary(Path(summary), summary_markdown(answer) + rest)
    if outputs := variable("GITHUB_OUTPUT"):
        _append(Path(outputs), f"verdict={answer.ruling.verdict}\ndecision_id={answer.decision_id}\n")
    return [annotation(answer)]


def annotation(answer: GateAnswer) -> str:
    """One workflow command: an error where the job stops, a warning for unknown, else a notice."""
    kind = "warning" if answer.ruling.verdict is Verdict.UNKNOWN else "notice"
    if answer.ruling.exit_code:
        kind = "error"
    title = escape_property(f"Weaver Forge: {headline(answer)}")
    return f"::{kind} title={title}::{escape_data('; '.join(answer.ruling.reasons))}"


def escape_data(text: str) -> str:
    """Escape the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Escape a property of a workflow command, in which colon and comma have a meaning too."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def summary_markdown(answer: GateAnswer) -> str:
    """The job summary: evidence first, then the number and what policy made of it."""
    lines = [f"### {_plain(headline(answer))}"]
    for title, facts in [*facts_of(answer), ("Policy", answer.ruling.reasons)]:
        lines += ["", f"**{title}**", "", *(f"- {_plain(fact)}" for fact in facts)]
    approve = f"`weaver-forge approve {answer.decision_id} --actor NAME --reason WHY`"
    yes = f" A person's yes: {approve}" if answer.ruling.exit_code else ""
    lines += ["", f"Decision `{answer.decision_id}`.{yes}", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text from commit messages and test names must not become markup."""
    for character in "\\`*_<>[]|#":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())


def _append_summary(path: Path, text: str) -> None:
    """Append whole or cut: what stands there already counts against the limit."""
    room = SUMMARY_LIMIT - (path.stat().st_size if path.exists() else 0)
    body = text.encode()
    if len(body) > room:
        cut = _CUT.encode()
        body = body[: room - len(cut)].decode(errors="ignore").encode() + cut if room > len(cut) else b""
    with path.open("ab") as file:
        file.write(body)


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
