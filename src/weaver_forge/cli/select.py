"""``select``: a part of a revision's tests by confidence, time or share, the rest list, and the confidence curve."""

from dataclasses import dataclass, replace
from json import dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from weaver_forge import settings
from weaver_forge.cli import text
from weaver_forge.cli.gate import computing, paths_of, revision_of
from weaver_forge.cli.lists import PLAIN, forget_earlier, write, write_rest, write_run
from weaver_forge.cli.place import Place, place
from weaver_forge.cli.rank import BUDGET_S, SHOWN, base_of, lists_of, not_now, quarantined, ranking_as_data, rules_for
from weaver_forge.errors import NothingPublished, SourceError, UsageError
from weaver_forge.hooks import ci_gate, github
from weaver_forge.hooks.ancestors import or_ancestor
from weaver_forge.hooks.facts import answer_as_data, data_lines, headline, model_line
from weaver_forge.hooks.rendering import Format
from weaver_forge.hooks.revision import LocalRepository, repository_at
from weaver_forge.hooks.selecting.aim import Aim, aim_of
from weaver_forge.hooks.selecting.past import Past
from weaver_forge.hooks.selecting.reading import ACTION, DECISION, order_name, orders_of
from weaver_forge.hooks.selecting.selection import Selection, as_left
from weaver_forge.hooks.selecting.selection import select as choose_tests
from weaver_forge.hooks.selecting.telling import (
    curve_as_data,
    curve_lines,
    estimate_lines,
    selection_as_data,
)
from weaver_forge.policy import Rule, effective

if TYPE_CHECKING:
    from weaver_forge.policy.leaving import Left

Objective = Literal["time", "failures", "budget"]
_CURVES_AS_TEXT = (".txt", ".md")


def select(
    *,
    change: str = "HEAD",
    base: str = "",
    branch: str = "",
    tag: tuple[str, ...] = (),
    confidence: str | None = None,
    time: str | None = None,
    target: str | None = None,
    objective: Objective | None = None,
    run_file: Path | None = None,
    rest: Path | None = None,
    curve: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    format: Format = "ids",  # noqa: A002 - the flag's name
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    hook: str = "ci",
    on_demand: bool = True,
    spool: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Choose the tests of a revision that run now: their ids on standard output, all else on standard error.

    One of --confidence, --time and --target; else what the policy says, else confidence 95%. Confidence is the
    estimated probability that a change that would fail the full run also fails the selected run, measured on past runs
    of this repository. New and changed tests always run; protected paths, lock files, CI and build configuration and
    data files run everything. It acts as far as `skip_tests` has been earned: until then everything is to run, and what
    would be left for later is said and recorded.

    Args:
        change: The revision: commit id, beginning of one, tag or branch.
        base: Where the change began, so that all its files count; where GitHub or GitLab says it, the target of the
            merge request, or the commit before the push.
        branch: Branch of the run, as CI tells it: what failed there counts for more. Else as CI's environment says, or
            the checkout.
        tag: A word for what this is, for exceptions of freeze windows; repeat it for more.
        confidence: Share of failing runs that must have been caught, like "95%".
        time: Expected time of the selected tests, like "10m".
        target: Share of the expected time of all tests, like "25%".
        objective: Order for the most failures a minute (time), a test (failures), or within a quarter of the time.
        run_file: Write the tests to run now here; where none is known there is no such file: run the whole suite.
        rest: Write the tests to run later here; they must still run, or nobody learns of their failures.
        curve: Write the confidence curve with today's operating point: FILE.svg or FILE.png (drawn by the deployment's
            pipeline), FILE.json, FILE.txt, or "-" to print it in place of the ids.
        format: Form of the files, and of standard output: a test id a line, JSON, or what a runner takes.
        from_: A deployment, its published folder, or one snapshot file; wins over the deployment found from here.
        hook: Name of this enforcement point.
        on_demand: Whether an order may be computed now where none is published.
        spool: Folder for the decision where no ledger is in reach.
        json: Print the whole answer as JSON.
    """
    forget_earlier(format, run_file, rest)
    _refuse_unknown_form(curve)
    if format not in PLAIN and run_file is None:
        raise UsageError(f"{format} is the form of a file", where="--format", do="Say which: --run-file FILE")
    at = place(from_)
    repository = repository_at(Path.cwd())
    around = at.circumstances(spool=spool, on_demand=None)
    rule = effective(around.policy, DECISION, ACTION)
    aim = aim_of(confidence=confidence, time=time, target=target, policy=rule.select)
    published = published_objective(at)
    wanted = objective or _of_policy(rule) or published
    request = ci_gate.GateRequest(
        decision=DECISION,
        match={"revision": revision_of(change, repository)},
        repo_id=repository.repo_id if repository else "",
        hook=hook,
        no_on_demand=not_now(at, repository, change, on_demand=on_demand),
        tags=tag,
        acts_on="low",
        aim=aim.words,
        not_published=f"the published order is by {published}, not by {wanted}" if wanted != published else "",
    )
    other = wanted if wanted != published else ""
    compute = computing(at, repository, BUDGET_S, objective=other, branch=branch)
    around = replace(
        around, on_demand=compute, changed_paths=paths_of(at, repository, base_of(base, change, repository))
    )
    chooser = _Chooser(at, around, aim, wanted, repository)
    answer = ci_gate.gate(request, around, chooser)
    selection = chooser.made
    needed = json or format == "json" or curve is not None or (format not in PLAIN and run_file is not None)
    data = curve_as_data(selection.past, selection) if needed else {"curve": []}
    whole = whole_answer(answer, selection, data, quarantined(at, answer))
    lists = lists_of(selection.ranking, whole)
    if run_file is not None:
        write_run(run_file, lists, format)
    if rest is not None:
        write_rest(rest, lists, format)
    _hand_out(answer, selection, data, whole, as_json=json or format == "json", curve=curve == "-")
    if curve not in {None, "-"}:
        _write_curve(at, Path(str(curve)), data)
    for line in github.report(answer, settings.variable, _summary(selection)):
        text.note(line)
    return answer.ruling.exit_code


@dataclass(slots=True)
class _Chooser:
    """Chooses once policy has answered, and keeps what it chose."""

    at: Place
    around: ci_gate.Circumstances
    aim: Aim
    objective: str
    repository: LocalRepository | None
    selection: Selection | None = None

    def __call__(self, answer: ci_gate.GateAnswer) -> "Left":
        """Choose among the tests of an answer; what is left for later is recorded with it."""
        repo_id = str(answer.subject.get("repo_id") or "")
        name = order_name(answer.predictions, self.objective)
        past = orders_of(self.at.snapshot, answer.kind, repo_id).get(name) or Past(name, 0, ())
        rules = rules_for(self.around, answer)
        made = choose_tests(answer, self.around.policy, self.aim, past, rules)
        ranking, rules = or_ancestor(self.around, answer, made.ranking, rules, self.repository)
        same = ranking is made.ranking
        self.selection = made if same else replace(made, ranking=ranking, chosen=ranking.run, fired=rules)
        return as_left(answer, self.selection)

    @property
    def made(self) -> Selection:
        """What was chosen."""
        assert self.selection is not None
        return self.selection


def published_objective(at: Place) -> str:
    """What the published order is for; empty where no model is published that could order for something else."""
    if at.snapshot is None:
        return ""
    for kind in at.snapshot.specs.get(DECISION, {}).get("kinds", ()):
        try:
            document = loads(at.snapshot.artifact(DECISION, str(kind["entity"])))
        except (NothingPublished, OSError, ValueError):
            continue
        return str(document.get("model", {}).get("artifact", {}).get("objective") or "")
    return ""


def _of_policy(rule: Rule) -> str:
    said = rule.select.objective if rule.select is not None else None
    return said if isinstance(said, str) else ""


def whole_answer(
    answer: ci_gate.GateAnswer, selection: Selection, data: dict[str, Any], inside: list[dict[str, Any]]
) -> dict[str, Any]:
    """Everything but the lists, as JSON."""
    return {
        **answer_as_data(answer, rows=0),
        **selection_as_data(selection),
        "curve": data["curve"] if selection.past.enough() else [],
        "quarantined": inside,
    }


def _hand_out(
    answer: ci_gate.GateAnswer,
    selection: Selection,
    data: dict[str, Any],
    whole: dict[str, Any],
    *,
    as_json: bool,
    curve: bool,
) -> None:
    """The lists for a program on standard output, the story for a person on standard error."""
    if as_json:
        text.as_json({**whole, **ranking_as_data(selection.ranking)})
    elif curve:
        for line in curve_lines(data):
            text.out(line)
    else:
        for test in selection.ranking.run:
            text.out(test.test_id)
    for line in _story(answer, selection):
        text.note(line)


def _story(answer: ci_gate.GateAnswer, selection: Selection) -> list[str]:
    ranking = selection.ranking
    lines = [headline(answer), *(f"  {reason}" for reason in ranking.reasons)]
    lines += [f"  {line}" for line in estimate_lines(selection)]
    lines += [f"  {reason}" for reason in answer.ruling.reasons]
    lines += _titled("Rules of the change", [rule.words for rule in selection.fired])
    below = frozenset(ranking.below)
    waiting = ranking.rest or tuple(test for test in ranking.run if test.test_id in below)
    title = "Run later" if ranking.rest else "Would run later"
    later = [test.test_id for test in waiting[:SHOWN]]
    more = [f"{len(waiting)} tests in all: --rest FILE, or --json"] if waiting else []
    lines += _titled(f"{title}: not in {selection.later_words}", [*later, *more]) if waiting else []
    if answer.predictions:
        row = answer.predictions[0]
        lines += _titled(
            "Where it comes from", [model_line(row), *data_lines(row, answer.snapshot_version, answer.losses)]
        )
    lines.append(f"\nDecision {answer.decision_id} ({answer.recorded})")
    if ranking.below and not ranking.skipped and answer.ruling.level == "supervised":
        lines.append(f"A person's yes: weaver-forge approve {answer.decision_id} --actor NAME --reason WHY")
    lines += [f"note: {line}" for line in answer.notes]
    lines += [f"WARNING: {line}" for line in _warnings(selection)]
    return lines


def _warnings(selection: Selection) -> list[str]:
    """What must not be overlooked by whoever pipes the ids into a runner."""
    ranking = selection.ranking
    found = ["; ".join(ranking.reasons)] if ranking.run_everything else []
    if not ranking.run:
        found.append("no test is known by name: the list is empty, which does not mean that nothing is to run")
    unlisted = [rule.path for rule in selection.fired if rule.rule in {"new_test", "files_unknown"} and rule.path]
    if unlisted:
        shown = ", ".join(unlisted[:3]) + (f" and {len(unlisted) - 3} more" if len(unlisted) > 3 else "")
        found.append(f"tests that nobody knows by name yet are in no list: run {shown} too")
    return found


def _titled(title: str, lines: list[str]) -> list[str]:
    return [f"\n{title}", *(f"  {line}" for line in lines)] if lines else []


def _summary(selection: Selection) -> str:
    lines = [*selection.ranking.reasons, *estimate_lines(selection), *(rule.words for rule in selection.fired)]
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _refuse_unknown_form(curve: str | None) -> None:
    """Before anything is decided and written down.

    Raises:
        UsageError: If the curve's file asks for no form that is known.
    """
    if curve not in {None, "-"} and Path(str(curve)).suffix.lower() not in {*_CURVES_AS_TEXT, ".json", ".svg", ".png"}:
        raise UsageError(
            f"{Path(str(curve)).name!r} has no known form", where="--curve", do="Write .svg, .png, .json or .txt"
        )


def _write_curve(at: Place, path: Path, data: dict[str, Any]) -> None:
    """Write the curve in the form that the file's name asks for.

    Raises:
        SourceError: If it is a figure and there is no pipeline to draw it.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        write(path, dumps(data, indent=2))
    elif suffix in _CURVES_AS_TEXT:
        write(path, "\n".join(curve_lines(data)) + "\n")
    else:
        if not at.is_deployment:
            raise SourceError(
                "a figure is drawn by a deployment's pipeline, and there is none here",
                where=str(path),
                do="Run it in the deployment, or write the curve to FILE.json or FILE.txt",
            )
        from weaver_forge.cli.pipeline import ask

        path.parent.mkdir(parents=True, exist_ok=True)
        ask(at.settings, "curve", {"file": str(path.expanduser().absolute()), "data": data}, None)
