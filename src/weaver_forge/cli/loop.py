"""The commands that the pipeline carries out: each starts a verb in the deployment and relays what it says."""

import os
from pathlib import Path
from typing import Annotated, Any, NoReturn

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.pipeline import relay
from weaver_forge.cli.place import deployment
from weaver_forge.errors import ConfigurationError, UsageError
from weaver_forge.hooks.revision import looks_like_commit, repository_at
from weaver_forge.settings import PIPELINE_ENVIRONMENT, environment_with

Json = Annotated[bool, Parameter(negative="")]
Flag = Annotated[bool, Parameter(negative="")]
Paths = Annotated[tuple[str, ...], Parameter(negative="")]
Names = Annotated[tuple[str, ...], Parameter(negative="")]
# --junit is what --tests was called when JUnit XML was all it read.
Reports = Annotated[tuple[str, ...], Parameter(name=("--tests", "--junit"), negative="")]


def ingest(
    *paths: str,
    git: Paths = (),
    tests: Reports = (),
    coverage: Paths = (),
    otlp: Paths = (),
    focus: Paths = (),
    runs: Paths = (),
    gitlab: Paths = (),
    deployments: Paths = (),
    incidents: Paths = (),
    revision: str | None = None,
    run: str | None = None,
    repo: str | None = None,
    json: Json = False,
) -> int:
    """Take in sources; without any, those that weaver-forge.toml names, and the inbox.

    Args:
        paths: Files, folders or repositories whose source is told by what they begin with; what cannot be told is
            named and not read: say it by a flag.
        git: Path of a repository; repeatable, as all of these.
        tests: Test reports of any format, for instance JUnit XML: a file, a folder, or a pattern in quotes.
        coverage: Coverage with a context a test: coverage.py data files, or its JSON reports.
        otlp: OTLP traces, metrics and logs as files, as the collector's file exporter writes them.
        focus: FOCUS cost exports.
        runs: Saved GitHub Actions runs and jobs: answers of the REST API, or webhooks.
        gitlab: Saved GitLab pipelines and jobs: answers of the REST API, or webhooks.
        deployments: Deployment records.
        incidents: Incident records.
        revision: The revision that the reports are of: commit id, tag, branch, or HEAD.
        run: The CI run that the reports are of.
        repo: The repository that the reports are of, as host/owner/name.
        json: Print only the result, as JSON.
    """
    given = {
        "git": git,
        "tests": tests,
        "coverage": coverage,
        "otlp": otlp,
        "focus": focus,
        "github_actions": runs,
        "gitlab": gitlab,
        "deployments": deployments,
        "incidents": incidents,
    }
    arguments: dict[str, dict[str, Any]] = {
        source: {"paths": [str(_absolute(path)) for path in named]} for source, named in given.items() if named
    }
    if paths:
        arguments["unsaid"] = {"paths": [str(_absolute(path)) for path in paths]}
    reports = [source for source in ("tests", "coverage", "unsaid") if source in arguments]
    if (revision or run or repo) and not reports:
        raise UsageError("--revision, --run and --repo say what test reports are of", do="Give --tests as well")
    said = _reports_of(revision, repo, git) | ({"run_id": run} if run else {})
    for source in reports:
        arguments[source] |= said
    return relay(deployment(), "ingest", arguments, as_json=json)


def run(*, json: Json = False) -> int:
    """Run the whole loop: take in standing sources and inbox, learn, predict, publish, score.

    Args:
        json: Print only the result, as JSON.
    """
    return relay(deployment(), "run", {}, as_json=json)


def train(*, json: Json = False) -> int:
    """Learn from what has been taken in; a model is published only if it beats its named baseline.

    Args:
        json: Print only the result, as JSON.
    """
    return relay(deployment(), "train", {}, as_json=json)


def benchmark(
    name: str = "",
    /,
    *,
    data: Path | None = None,
    spans: int | None = None,
    rows: int | None = None,
    only: Names = (),
    full: Flag = False,
    chdb: Path | None = None,
    json: Json = False,
) -> int:
    """Measure a decision on public data, how fast things come in, how fast the ledger is, or how fast tests are ranked.

    Args:
        name: Which decision, or ingest, ledger or ranking; the names are listed where none is given.
        data: Folder of the data; of ingest, ledger and ranking, where their corpus is made and removed again.
        spans: Of ingest: how many; a million where nothing is said.
        rows: Of ledger and ranking: how many are there; a million where nothing is said.
        only: Of ingest, ledger and ranking: only this measure; repeatable.
        full: Of ingest: with ten times as many spans too, and 100,000 commits. Of ledger and ranking: ten million rows.
        chdb: Of ingest: an interpreter whose environment has chdb, to measure ClickHouse beside it.
        json: Print only the result, as JSON.
    """
    given = {
        "data": str(data.resolve()) if data else None,
        "spans": spans,
        "rows": rows,
        "only": list(only) or None,
        "full": full or None,
        "chdb": str(_absolute(str(chdb))) if chdb else None,
    }
    arguments = {"name": name, **{key: value for key, value in given.items() if value is not None}}
    return relay(deployment(), "benchmark", arguments, as_json=json)


def rejected(*, source: str = "", replay: Flag = False, export: Path | None = None, json: Json = False) -> int:
    """Say what was refused and why; decode it again, or give the bytes out.

    Args:
        source: Only of this source.
        replay: Decode the kept bytes again, as after an upgrade; what is good now is stored, once.
        export: Folder to write the kept bytes to, a file a piece.
        json: Print only the result, as JSON.
    """
    arguments: dict[str, Any] = {"source": source, "replay": replay}
    if export is not None:
        arguments["export"] = str(_absolute(str(export)))
    return relay(deployment(), "rejected", arguments, as_json=json)


def compact(*, json: Json = False) -> int:
    """Join the lake's small files of closed days, and delete those that neither readers nor snapshots need.

    Args:
        json: Print only the result, as JSON.
    """
    return relay(deployment(), "compact", {}, as_json=json)


def links(of: str = "", /, *, rule: Paths = (), json: Json = False) -> int:
    """Show how changes, runs, deployments, versions, incidents and charges are linked, and how surely.

    Args:
        of: An entity to follow: its id or a part of it, such as a revision.
        rule: A part of the rule said otherwise, as incident_within_h=6.0; repeatable, nothing is stored.
        json: Print only the result, as JSON.
    """
    return relay(deployment(), "links", {"of": of, "rule": list(rule)}, as_json=json)


def models_list(*, json: Json = False) -> int:
    """List every model with its version, and why it or the baseline speaks.

    Args:
        json: Print only the result, as JSON.
    """
    return relay(deployment(), "models", {}, as_json=json)


def dev(*, port: int = 3000, host: str = "127.0.0.1") -> NoReturn:
    """Start the Dagster UI on this deployment; it stays on this machine unless another host is given.

    Args:
        port: Where it listens.
        host: The address it listens on.
    """
    at = deployment()
    home = at.dagster_home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    text.note(f"Dagster on http://{host}:{port} (stop with Ctrl-C), DAGSTER_HOME {home}")
    command = [str(at.python), "-m", "dagster", "dev", "-m", "assets.definitions", "-h", host, "-p", str(port)]
    environment = environment_with(
        DAGSTER_HOME=str(home),
        DAGSTER_DISABLE_TELEMETRY="1",
        WEAVER_FORGE_HOME=str(at.root),
        PYTHONPATH=str(at.root),
        **PIPELINE_ENVIRONMENT,
    )
    os.chdir(at.root)
    try:
        # In this process's place: whoever stops the command stops Dagster, and no orphan keeps the port.
        os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise ConfigurationError(
            f"the interpreter cannot be started: {error.strerror}", where=str(at.python), do="Check [pipeline] python"
        ) from error


def _reports_of(revision: str | None, repo: str | None, git: Paths) -> dict[str, str]:
    """The whole commit id that --revision means, and its repository: the one --git names, else the one here.

    Raises:
        UsageError: If it is no whole id and means nothing there: results of no commit would count for nothing.
    """
    said = {"repo_id": repo} if repo else {}
    if not revision:
        return said
    folder = Path(git[0]).expanduser() if len(git) == 1 else Path.cwd()
    repository = repository_at(folder)
    found = repository.resolve(revision) if repository else None
    if repository and found:
        return {"repo_id": repository.repo_id, **said, "revision": found}
    if len(revision) in {40, 64} and looks_like_commit(revision):
        return {**said, "revision": revision.lower()}
    raise UsageError(
        f"revision {revision!r} is not known",
        where=f"--revision, in {folder}" if repository else f"--revision, no git repository in {folder}",
        do="Give a whole commit id, or name the repository with --git",
    )


def _absolute(pattern: str) -> Path:
    """Relative to where the caller stands; the pipeline runs elsewhere. A pattern stays a pattern."""
    return Path(os.path.abspath(Path(pattern).expanduser()))  # noqa: PTH100 - drops "..", which Path keeps
