"""``gate``: the verdict on a change, deployment or any other subject, as text and exit code."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from weaver_forge import settings
from weaver_forge.cli import text
from weaver_forge.cli.place import Place, place
from weaver_forge.errors import UsageError
from weaver_forge.hooks import ci_gate, github
from weaver_forge.hooks.ci_run import ci_run
from weaver_forge.hooks.facts import answer_as_data, facts_of, headline
from weaver_forge.hooks.revision import (
    SHALLOW,
    LocalRepository,
    changed_paths,
    known_paths,
    looks_like_commit,
    repository_at,
)

if TYPE_CHECKING:
    from weaver_forge.hooks.asking import ChangedPaths
    from weaver_forge.hooks.ci_gate import GateAnswer, OnDemand

BUDGET_S = 10.0
"""What computing a prediction now may take in all."""


def gate(
    *,
    decision: str,
    change: str | None = None,
    service: str | None = None,
    environment: str | None = None,
    version: str | None = None,
    subject: tuple[str, ...] = (),
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    hook: str = "ci",
    actor: str = "",
    base: str = "",
    tag: tuple[str, ...] = (),
    on_demand: bool = True,
    spool: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say whether a change or deployment may go on; the exit code is 0, 1 (enforced deny) or 3 (a person decides).

    Args:
        decision: Which decision, for example deploy_risk.
        change: A revision: commit id, beginning of one, tag or branch.
        service: A deployed service, as namespace/name/environment or its bare name.
        environment: Where it is deployed to.
        version: The version that is deployed.
        subject: Any other subject, column=value; repeat it for every column.
        from_: A deployment, its published folder, or one snapshot file; wins over the deployment found from here.
        hook: Name of this enforcement point; approvals hold for it alone.
        actor: Who asks, for the record.
        base: With --change: where the change began (the target branch), so that all its files count as changed.
        tag: A word for what this is, for exceptions of freeze windows (hotfix, rollback); repeat it for more.
        on_demand: Whether a prediction may be computed now where none is published.
        spool: Folder for the decision where no ledger is in reach.
        json: Print the whole answer as JSON.
    """
    at = place(from_)
    repository = repository_at(Path.cwd())
    match = subject_of(at, decision, repository, change, service, environment, version, subject)
    request = ci_gate.GateRequest(
        decision=decision,
        match=match,
        repo_id=repository.repo_id if repository and change else "",
        hook=hook,
        actor=actor,
        no_on_demand=refusal(repository, change, on_demand=on_demand),
        tags=tag,
    )
    around = at.circumstances(spool=spool, on_demand=computing(at, repository, BUDGET_S))
    around = replace(around, changed_paths=paths_of(at, repository, base))
    answer = ci_gate.gate(request, around)
    if json:
        text.as_json(answer_as_data(answer))
    else:
        show(answer)
    for line in github.report(answer, settings.variable):
        text.note(line)
    return answer.ruling.exit_code


def show(answer: "GateAnswer") -> None:
    """The answer for people: verdict, evidence, where it comes from, the score, and what policy made of it."""
    text.out(headline(answer))
    for title, lines in facts_of(answer):
        text.group(title, lines)
    text.group("Policy", answer.ruling.reasons)
    text.group("Rules that fired", answer.ruling.rules)
    text.out(f"\nDecision {answer.decision_id} ({answer.recorded})")
    if answer.ruling.exit_code:
        text.out(f"A person's yes: weaver-forge approve {answer.decision_id} --actor NAME --reason WHY")
    for line in answer.notes:
        text.note(f"note: {line}")
    if answer.ruling.verdict == "unknown":
        text.note(f"WARNING: {answer.request.decision} is UNKNOWN: {answer.ruling.reasons[0]}")


def subject_of(
    at: Place,
    decision: str,
    repository: LocalRepository | None,
    change: str | None,
    service: str | None,
    environment: str | None,
    version: str | None,
    subject: tuple[str, ...],
) -> dict[str, str]:
    """The key columns that the flags name.

    Raises:
        UsageError: If they name nothing, or something that cannot be meant.
    """
    match = dict(_pair(item) for item in subject)
    if change:
        match["revision"] = revision_of(change, repository)
    given = {"environment": environment, "version": version}
    match |= {name: value for name, value in given.items() if value}
    if service:
        match["service_key"] = _service_key(at, decision, service, environment)
    if not match:
        raise UsageError(
            "no subject", where="gate", do="Give --change REV, --service with --version, or --subject column=value"
        )
    return match


def revision_of(change: str, repository: LocalRepository | None) -> str:
    """The commit id a revision means here, else the text itself where it may be one in the snapshot."""
    found = repository.resolve(change) if repository else None
    if found is None and not looks_like_commit(change):
        where = str(repository.root) if repository else "no git repository here"
        raise UsageError(f"revision {change!r} is not known", where=where, do="Give a commit id, a branch or a tag")
    return found or change.lower()


def paths_of(at: Place, repository: LocalRepository | None, base: str) -> "ChangedPaths":
    """A way to the files that a change touches: the repository here, else what the snapshot has of it."""
    start = repository.resolve(base) if repository and base else None
    if base and start is None:
        where = str(repository.root) if repository else "no git repository here"
        raise UsageError(f"base {base!r} is not known", where=where, do="Give a commit id, a branch or a tag")

    found: dict[str, tuple[str, ...] | None] = {}

    def paths(subject: Mapping[str, Any]) -> tuple[str, ...] | None:
        revision = str(subject.get("revision") or "")
        if repository and revision and revision not in found:  # policy and the rules of a selection ask both
            found[revision] = changed_paths(repository.root, revision, start or "")
        here = found.get(revision)
        return known_paths(at.snapshot, subject) if here is None and at.snapshot is not None else here

    return paths


def refusal(repository: LocalRepository | None, change: str | None, *, on_demand: bool) -> str:
    """Why nothing may be computed now; empty where it may."""
    if not on_demand:
        return "--no-on-demand"
    return SHALLOW if change and repository and repository.is_shallow else ""


def computing(
    at: Place, repository: LocalRepository | None, budget_s: float, *, objective: str = "", branch: str = ""
) -> "OnDemand | None":
    """The way to a prediction that is not published yet: only a deployment can compute one.

    Args:
        at: Where the command stands.
        repository: The clone that has the revision.
        budget_s: What it may take in all.
        objective: What a model that can order for several is to order for; empty: as published.
        branch: On which the run is; empty: as CI says, or else the checkout.
    """
    if not at.is_deployment or at.snapshot is None:
        return None
    from weaver_forge.cli.pipeline import on_demand

    root = repository.root if repository else None

    def branch_of(revision: str) -> str:
        said = branch or ci_run(settings.variable, tuple).branch
        return said or (repository.branch_of(revision) if repository else "")

    return on_demand(at.settings, root, at.snapshot.path, budget_s, objective=objective, branch_of=branch_of)


def _pair(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not (name and equals and value):
        raise UsageError(
            f"{item!r} is no column=value", where="--subject", do="Write --subject service_key=shop/web/prod"
        )
    return name, value


def _service_key(at: Place, decision: str, service: str, environment: str | None) -> str:
    """A bare service name becomes the one key the snapshot knows for it."""
    kinds = at.snapshot.specs.get(decision, {}).get("kinds", []) if at.snapshot else []
    tables = [kind["table"] for kind in kinds if "service_key" in kind["key"]]
    if "/" in service or at.snapshot is None or not tables:
        return service
    known = {
        row["service_key"]
        for table in tables
        if table in at.snapshot.tables()
        for row in at.snapshot.rows(f'select distinct service_key from "{table}"')  # noqa: S608 - the spec's own table
    }
    fitting = sorted(key for key in known if key.split("/")[1:2] == [service])
    if environment and len(fitting) > 1:
        fitting = [key for key in fitting if key.rsplit("/", 1)[-1] == environment] or fitting
    if len(fitting) > 1:
        raise UsageError(
            f"service {service!r} is not unique", where="--service", do=f"Give one of {', '.join(fitting)}"
        )
    return fitting[0] if fitting else service
