"""``rank-tests``: the order of a revision's tests, and what to run now and later."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge import settings
from weaver_forge.cli import text
from weaver_forge.cli.gate import computing, paths_of, refusal, revision_of
from weaver_forge.cli.lists import PLAIN, forget_earlier, write_rest, write_run
from weaver_forge.cli.place import Place, place
from weaver_forge.errors import UsageError
from weaver_forge.hooks import ci_gate, github
from weaver_forge.hooks.ancestors import or_ancestor
from weaver_forge.hooks.began import began
from weaver_forge.hooks.facts import answer_as_data, data_lines, headline, model_line
from weaver_forge.hooks.quarantine import of_one_repository
from weaver_forge.hooks.rank_tests import RankedTest, Ranking, left, parse_budget
from weaver_forge.hooks.rendering import Format, Lists
from weaver_forge.hooks.revision import LocalRepository, repository_at
from weaver_forge.hooks.selecting.always import Fired
from weaver_forge.hooks.selecting.keeping import rank_by_rules
from weaver_forge.hooks.selecting.reading import rules_of
from weaver_forge.policy.leaving import Left

BUDGET_S = 10.0
"""What computing an order now may take in all: later, running the tests would have been quicker."""
SHOWN = 15


def rank_tests(
    *,
    change: str = "HEAD",
    base: str = "",
    branch: str = "",
    tag: tuple[str, ...] = (),
    budget: str | None = None,
    run_file: Path | None = None,
    rest_file: Path | None = None,
    format: Format = "ids",  # noqa: A002 - the flag's name
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    hook: str = "ci",
    on_demand: bool = True,
    spool: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Order the tests of a revision, most likely failures first; say which to run now and which may run later.

    Tests below the policy's `skip_below` are left for later as far as `skip_tests` has been earned: at assisted it is
    only said, at supervised a person's yes is needed, at autonomous they are in the rest list. A budget leaves more, at
    every level. Tests that the change touches run all the same, and protected paths, lock files, CI and build
    configuration and data files run everything, as `select` says.

    Args:
        change: The revision: commit id, beginning of one, tag or branch.
        base: Where the change began, so that all its files count; where GitHub or GitLab says it, the target of the
            merge request, or the commit before the push.
        branch: Branch of the run, as CI tells it: what failed there counts for more. Else as CI's environment says, or
            the checkout.
        tag: A word for what this is, for exceptions of freeze windows; repeat it for more.
        budget: Share of the expected time ("25%") or a time ("10m", "600s").
        run_file: Write the tests to run now here; where none is known there is no such file: run the whole suite.
        rest_file: Write the tests to run later here; skipped tests must still run, or nobody learns of their failures.
        format: Form of these files: a test id a line, JSON, or what a runner takes: what to run and in which order.
        from_: A deployment, its published folder, or one snapshot file; wins over the deployment found from here.
        hook: Name of this enforcement point.
        on_demand: Whether an order may be computed now where none is published.
        spool: Folder for the decision where no ledger is in reach.
        json: Print the whole answer as JSON.
    """
    forget_earlier(format, run_file, rest_file)
    if format not in PLAIN and run_file is None and rest_file is None:
        raise UsageError(f"{format} is the form of a file", where="--format", do="Say which: --run-file FILE")
    limit = parse_budget(budget) if budget else None
    at = place(from_)
    repository = repository_at(Path.cwd())
    request = ci_gate.GateRequest(
        decision="test_selection",
        match={"revision": revision_of(change, repository)},
        repo_id=repository.repo_id if repository else "",
        hook=hook,
        no_on_demand=not_now(at, repository, change, on_demand=on_demand),
        tags=tag,
        acts_on="low",
    )
    compute = computing(at, repository, BUDGET_S, branch=branch)
    around = at.circumstances(spool=spool, on_demand=compute)
    around = replace(around, changed_paths=paths_of(at, repository, base_of(base, change, repository)))
    made: list[Ranking] = []

    def choose(answer: ci_gate.GateAnswer) -> Left:
        rules = rules_for(around, answer)
        ranking = rank_by_rules(answer, around.policy, limit, rules)
        made.append(or_ancestor(around, answer, ranking, rules, repository)[0])
        return left(answer, made[0], budget or "")

    answer = ci_gate.gate(request, around, choose)
    (ranking,) = made
    whole = {**answer_as_data(answer, rows=0), "quarantined": quarantined(at, answer)}
    lists = lists_of(ranking, whole)
    if run_file is not None:
        write_run(run_file, lists, format)
    if rest_file is not None:
        write_rest(rest_file, lists, format)
    if json:
        text.as_json({**whole, **ranking_as_data(ranking)})
    else:
        _show(answer, ranking)
    for line in github.report(answer, settings.variable, "\n".join(f"- {reason}" for reason in ranking.reasons) + "\n"):
        text.note(line)
    return answer.ruling.exit_code


def not_now(at: Place, repository: LocalRepository | None, change: str, *, on_demand: bool) -> str:
    """Why no order can be computed now; empty where one can be."""
    alone = (
        "" if at.is_deployment else "what is published cannot, a deployment can (--from DEPLOYMENT, WEAVER_FORGE_HOME)"
    )
    return refusal(repository, change, on_demand=on_demand) or alone


def base_of(base: str, change: str, repository: LocalRepository | None) -> str:
    """Where the change began: what is said, else of what is checked out what GitHub or GitLab says of it."""
    checked_out = {"HEAD", settings.variable("CI_COMMIT_SHA"), settings.variable("GITHUB_SHA")}
    if base or repository is None or change not in checked_out:
        return base
    found, said = began(settings.variable, repository)
    if said:
        text.note(f"note: {said}")
    return found


def rules_for(around: ci_gate.Circumstances, answer: ci_gate.GateAnswer) -> tuple[Fired, ...]:
    """The rules that the change of an answer fires."""
    tests = [str(row["test_id"]) for row in answer.predictions]
    return rules_of(around, answer.subject, str(answer.subject.get("repo_id") or ""), tests)


def quarantined(at: Place, answer: ci_gate.GateAnswer) -> list[dict[str, Any]]:
    """Tests of the revision's repository in quarantine, for runners; where that cannot be read, failures count."""
    found, problem = at.quarantined(str(answer.subject.get("repo_id") or ""))
    inside, ambiguous = of_one_repository(found)
    if problem or ambiguous:
        text.note(f"WARNING: {problem or ambiguous}")
    return [one.as_data() for one in inside]


def ranking_as_data(ranking: Ranking) -> dict[str, Any]:
    """The lists as JSON."""
    return {
        "run_everything": ranking.run_everything,
        "order_of": ranking.order_of.as_data() if ranking.order_of else None,
        "ranking_reasons": list(ranking.reasons),
        "skip_rule": ranking.rule,
        "below_threshold": list(ranking.below),
        "run": [_as_data(test) for test in ranking.run],
        "rest": [{**_as_data(test), "why": ranking.why_later(test)} for test in ranking.rest],
    }


def _as_data(test: RankedTest) -> dict[str, Any]:
    return {
        "test_id": test.test_id,
        "rank": test.rank,
        "score": test.score,
        "probability": test.probability,
        "duration_ms": test.duration_ms,
    }


def lists_of(ranking: Ranking, whole: Mapping[str, Any]) -> Lists:
    """The lists as a renderer takes them, with the whole answer beside them."""
    data = ranking_as_data(ranking)
    rows = {row["test_id"]: row for row in (*data.pop("run"), *data.pop("rest"))}
    run, rest = (tuple(test.test_id for test in tests) for tests in (ranking.run, ranking.rest))
    return Lists(run=run, rest=rest, rows=rows, told={**whole, **data})


def _show(answer: ci_gate.GateAnswer, ranking: Ranking) -> None:
    text.out(headline(answer))
    for reason in (*ranking.reasons, *answer.ruling.reasons):
        text.out(f"  {reason}")
    rows = [[test.rank, test.test_id, test.probability, test.duration_ms] for test in ranking.run[:SHOWN]]
    lines = text.table(["rank", "test", "probability", "expected ms"], rows)
    more = len(ranking.run) - len(rows)
    text.group("Run now", [*lines, *([f"and {more} more: --run-file FILE, or --json"] if more else [])])
    if ranking.rest:
        later = [f"{test.test_id}: {ranking.why_later(test)}" for test in ranking.rest[:SHOWN]]
        text.group("Run later", [*later, f"{len(ranking.rest)} tests in all: --rest-file FILE, or --json"])
    if answer.predictions:
        row = answer.predictions[0]
        text.group("Where it comes from", [model_line(row), *data_lines(row, answer.snapshot_version, answer.losses)])
    text.out(f"\nDecision {answer.decision_id} ({answer.recorded})")
    if ranking.below and not ranking.skipped and answer.ruling.level == "supervised":
        text.out(f"A person's yes: weaver-forge approve {answer.decision_id} --actor NAME --reason WHY")
    for line in answer.notes:
        text.note(f"note: {line}")
    if ranking.run_everything:
        text.note(f"WARNING: {'; '.join(ranking.reasons)}")
