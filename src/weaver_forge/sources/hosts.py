"""Which code hosts a deployment fetches CI history from, and fetching from one.

::

    [github]
    repositories = ["acme/shop"]
    api = "https://api.github.com"        # https://HOST/api/v3 for GitHub Enterprise
    token_env = "GITHUB_TOKEN"            # or token_file = "secrets/github", relative to the deployment
    since = 2026-01-01                    # else all that the host keeps

    [gitlab]
    repositories = ["group/subgroup/shop"]
    api = "https://gitlab.com/api/v4"
    token_env = "GITLAB_TOKEN"

What is asked for belongs in ``github`` and ``gitlab``. The environment is read by the caller: ``settings`` alone may.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from weaver_forge.errors import ConfigurationError, SourceError
from weaver_forge.sources import github, gitlab
from weaver_forge.sources.fetched import Fetched
from weaver_forge.sources.github import Imported
from weaver_forge.sources.rest import Counts, Patience, Rest

KINDS = ("github", "gitlab")
_APIS = {"github": github.API, "gitlab": gitlab.API}
_TOKENS = {"github": "GITHUB_TOKEN", "gitlab": "GITLAB_TOKEN"}
_FOLDERS = {"github": "github_actions", "gitlab": "gitlab"}

BACKGROUND = Patience(limit_wait_s=60.0)
"""For imports that something else waits for: the next one goes on where a limit stopped this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A code host, and what is read there.

    Args:
        kind: One of ``KINDS``.
        api: Base address of its REST API.
        repositories: ``owner/name``, on GitLab with all groups.
        token: None to ask as anybody may.
        since: What began (GitLab: was updated) before it is left out.
    """

    kind: str
    api: str
    repositories: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    since: datetime | None = None


def configured(kind: str, section: Mapping[str, Any], *, root: Path, variable: Callable[[str], str | None]) -> Host:
    """Read a section of weaver-forge.toml.

    Args:
        kind: One of ``KINDS``.
        section: ``[github]`` or ``[gitlab]``; empty for the defaults.
        root: The deployment's directory.
        variable: Gives an environment variable.

    Raises:
        ConfigurationError: If a value cannot be meant, or the token it names is not there.
    """
    where = f"[{kind}] of weaver-forge.toml"
    repositories = section.get("repositories", [])
    if not isinstance(repositories, list) or not all(isinstance(name, str) and "/" in name for name in repositories):
        raise ConfigurationError(
            f"repositories {repositories!r} is no list of names", where=where, do='Write repositories = ["owner/name"]'
        )
    api = str(section.get("api", _APIS[kind]))
    if urlsplit(api).scheme not in {"http", "https"} or not urlsplit(api).netloc:
        raise ConfigurationError(f"api {api!r} is no web address", where=where, do=f'Write api = "{_APIS[kind]}"')
    token = _token(kind, section, root, variable, where)
    return Host(kind=kind, api=api, repositories=tuple(repositories), token=token, since=_since(section, where))


def fetch(
    host: Host,
    inbox: Path,
    *,
    now: Callable[[], datetime],
    patience: Patience,
    sleep: Callable[[float], None] = time.sleep,
    counts: Counts | None = None,
) -> Iterator[Imported | SourceError]:
    """Fetch what is new of each repository; one that cannot be read does not stop the others.

    Args:
        host: Where, and of what.
        inbox: The deployment's inbox.
        now: Gives the current instant, naive UTC.
        patience: How much is borne.
        sleep: Waits so many seconds.
        counts: Takes what it costs.

    Raises:
        SourceError: If another import from the host is under way.
    """
    netloc = urlsplit(host.api).netloc.replace(":", "_")
    path = inbox / _FOLDERS[host.kind] / "fetched" / f".{netloc}.sqlite"
    if not host.repositories:
        return
    headers = dict(github.HEADERS if host.kind == "github" else gitlab.HEADERS)
    if host.token:
        headers["Authorization"] = f"Bearer {host.token}"
    counts = counts or Counts()
    with Rest(host.api, headers, now, patience, sleep, counts=counts) as rest, Fetched(path) as fetched:
        for repository in host.repositories:
            run = github.import_github if host.kind == "github" else gitlab.import_gitlab
            try:
                yield run(rest, fetched, repository, inbox, now=now(), since=host.since)
            except SourceError as error:
                yield error


def summary(done: Imported) -> str:
    """What an import brought, in words."""
    parts = [
        f"{n} {what}"
        for n, what in (
            (done.runs, "runs"),
            (done.attempts, "earlier attempts"),
            (done.jobs, "jobs"),
            (done.deployments, "deployments"),
        )
        if n
    ]
    return f"{done.repository}: {', '.join(parts) or 'nothing new'}"


def parse_since(value: Any) -> datetime | None:
    """A date or an instant as naive UTC; None when it is neither."""
    try:
        at = value if isinstance(value, date) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if not isinstance(at, datetime):
        return datetime(at.year, at.month, at.day)  # noqa: DTZ001 - naive UTC is the house rule
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def names(repositories: Sequence[str]) -> tuple[str, ...]:
    """Names given on a command line, without blanks and repeats."""
    return tuple(dict.fromkeys(name.strip().strip("/") for name in repositories if name.strip()))


def _token(
    kind: str, section: Mapping[str, Any], root: Path, variable: Callable[[str], str | None], where: str
) -> str | None:
    if file := section.get("token_file"):
        try:
            return (root / str(file)).read_text(encoding="utf-8").strip() or None
        except OSError as error:
            raise ConfigurationError(
                f"the token cannot be read: {error.strerror}", where=str(root / str(file)), do="Put the token there"
            ) from error
    name = section.get("token_env")
    token = variable(str(name or _TOKENS[kind]))
    if name and not token:
        raise ConfigurationError(f"the variable {name} is not set", where=where, do="Set it, or name a token_file")
    return token


def _since(section: Mapping[str, Any], where: str) -> datetime | None:
    if "since" not in section:
        return None
    since = parse_since(section["since"])
    if since is None:
        raise ConfigurationError(f"since {section['since']!r} is no date", where=where, do="Write since = 2026-01-01")
    return since
