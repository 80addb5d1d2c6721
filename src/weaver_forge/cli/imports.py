"""import github, import gitlab: fetch CI history into the inbox. Taking it in is `ingest`'s business."""

from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.place import deployment
from weaver_forge.errors import SourceError, UsageError, WeaverForgeError
from weaver_forge.settings import variable

Json = Annotated[bool, Parameter(negative="")]


def github(*repositories: str, since: str | None = None, json: Json = False) -> int:
    """Fetch runs with all attempts, jobs and deployments of GitHub repositories; run again, it goes on.

    Args:
        repositories: owner/name; without any, those of [github] in weaver-forge.toml.
        since: Leave out what began before this date.
        json: Print only the result, as JSON.
    """
    return _import("github", repositories, since, as_json=json)


def gitlab(*repositories: str, since: str | None = None, json: Json = False) -> int:
    """Fetch pipelines with retried jobs, test reports and deployments of GitLab projects; run again, it goes on.

    Args:
        repositories: group/name; without any, those of [gitlab] in weaver-forge.toml.
        since: Leave out what was not updated since this date.
        json: Print only the result, as JSON.
    """
    return _import("gitlab", repositories, since, as_json=json)


def _import(kind: str, repositories: tuple[str, ...], since: str | None, *, as_json: bool) -> int:
    from dataclasses import replace

    from weaver_forge.sources.hosts import configured, fetch, names, parse_since, summary
    from weaver_forge.sources.rest import Counts, Patience

    at = deployment()
    host = configured(kind, at.code_hosts.get(kind, {}), root=at.root, variable=variable)
    if repositories:
        host = replace(host, repositories=names(repositories))
    if since is not None:
        host = replace(host, since=parse_since(since))
        if host.since is None:
            raise UsageError(f"{since!r} is no date", where="--since", do="Write it like 2026-01-01")
    if not host.repositories:
        what = f'Name them, or write repositories = ["owner/name"] under [{kind}] in weaver-forge.toml'
        raise UsageError(f"no repository of {kind} is named", where="import", do=what)
    counts, problems = Counts(), list[WeaverForgeError]()
    said: list[dict[str, Any]] = []
    for done in fetch(host, at.inbox, now=at.now, patience=Patience(), counts=counts):
        if isinstance(done, SourceError):
            problems.append(done)
            text.note(f"error: {done}")
            continue
        said.append({
            "repository": done.repository, "runs": done.runs, "attempts": done.attempts, "jobs": done.jobs,
            "deployments": done.deployments, "files": [str(path) for path in done.files], "notes": done.notes,
        })  # fmt: skip
        for line in () if as_json else (summary(done), *done.notes):
            text.out(line)
    cost = f"{counts.requests} requests, {counts.unchanged} of them free (unchanged), {counts.retried} repeated"
    if as_json:
        text.as_json({"imported": said, "problems": [str(problem) for problem in problems], "cost": cost})
    else:
        text.out(f"{cost}. " + ("Take it in with `weaver-forge ingest`" if any(d["files"] for d in said) else ""))
    return problems[0].exit_code if problems else 0
