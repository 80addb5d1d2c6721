"""``predict``: a prediction with its evidence, computed now and written to the ledger."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.pipeline import ask
from weaver_forge.cli.place import place
from weaver_forge.errors import UsageError
from weaver_forge.hooks.facts import SHOWN, evidence_of, fact_line, model_line, score_line
from weaver_forge.hooks.revision import known_revision, repository_at


def predict(decision: str, subject: str, /, *pairs: str, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Predict one subject now.

    Args:
        decision: Which decision, for example deploy_risk.
        subject: A revision of the repository here, or column=value.
        pairs: Further column=value.
        json: Print the prediction rows as JSON.
    """
    at = place(None)
    repository = repository_at(Path.cwd())
    given = _subject(subject, pairs)
    arguments: dict[str, Any] = {"decision": decision, "subject": given}
    if "revision" in given and repository is not None:
        given["revision"] = repository.resolve(given["revision"]) or given["revision"]
        given.setdefault("repo_id", repository.repo_id)
        arguments["repository"] = str(repository.root)
    elif "revision" in given and at.snapshot is not None:
        given |= known_revision(at.snapshot, given["revision"])
    data = ask(at.settings, "predict", arguments, None)
    if json:
        text.as_json(data)
        return 0
    for row in data["predictions"][:SHOWN]:
        about = " ".join(
            str(row[name]) for name in row if name in given or name in {"test_id", "metric", "predicted_at"}
        )
        text.out(f"{decision} for {about}")
        text.group("Evidence", [fact_line(fact) for fact in evidence_of(row)[:SHOWN]])
        text.group("Model", [model_line(row)])
        text.group("Score", [score_line(row, "")])
        text.out()
    more = len(data["predictions"]) - SHOWN
    if more > 0:
        text.out(f"and {more} more subjects: --json")
    return 0


def _subject(first: str, pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for item in (first, *pairs):
        name, equals, value = item.partition("=")
        if not equals and item is first:
            name, value = "revision", item
        elif not (equals and name and value):
            raise UsageError(f"{item!r} is no column=value", where="predict", do="Write service_key=shop/web/prod")
        found[name] = value
    return found
