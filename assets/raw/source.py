"""What a source is, and which inputs it is asked to take in: those of a command, else the standing ones and the inbox.

Reading them belongs in ``intake``.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from assets.raw.books import Request
from assets.raw.received import KEPT
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.table import Table
from weaver_forge.errors import MissingInput
from weaver_forge.sources.files import expand
from weaver_forge.sources.patterns import expand_named


class Inputs(dg.Config):
    """What one source is to take in. Without paths: what the deployment names, and the inbox."""

    paths: list[str] = []  # noqa: RUF012 - Dagster's Config is a pydantic model and copies it
    revision: str = ""
    run_id: str = ""
    repo_id: str = ""
    skip: bool = False


def content_id(path: Path) -> str:
    """What a file is known by: the SHA-256 of its bytes, read in blocks however large it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSource:
    """A source: its raw tables, and how one input is identified and decoded.

    Args:
        decode: Of one input as a whole; of a streamed source, for what was refused and is decoded again.
        identify: What an input is known by.
        folders: An input is a folder (a repository), not a file.
        streamed: Inputs are OTLP files of any size, which are read piece by piece and may still grow.
    """

    name: str
    tables: tuple[Table, ...]
    decode: Callable[[Request, Deployment], Iterator[Batch]]
    identify: Callable[[Path], str] = content_id
    folders: bool = False
    streamed: bool = False


def requests(source: RawSource, config: Inputs, deployment: Deployment) -> Iterator[Request]:
    """List the inputs: those asked for, else the deployment's standing ones and its inbox."""
    said = {
        name: value
        for name, value in (("revision", config.revision), ("run_id", config.run_id), ("repo_id", config.repo_id))
        if value
    }
    settings = deployment.settings
    if source.folders:
        for path in config.paths or settings.sources.get(source.name, ()):
            yield Request((settings.root / path).resolve(), said)
        return
    for pattern in config.paths:
        yield from _matching([pattern], deployment, said, missing_is_a_problem=True)
    if not config.paths:
        for pattern in settings.sources.get(source.name, ()):
            yield from _matching([pattern], deployment, said, missing_is_a_problem=False)
        inbox = settings.inbox / source.name
        if inbox.is_dir() and any(path.is_file() for path in inbox.rglob("*")):
            # Names that begin with a dot are files that a receiver is still writing, and its own notes.
            found = expand([str(inbox)], settings.root)
            found = [path for path in found if not path.name.startswith(".") and inbox / KEPT not in path.parents]
            yield from (Request(path, said) for path in found)


def _matching(
    patterns: Sequence[str], deployment: Deployment, said: dict[str, str], *, missing_is_a_problem: bool
) -> Iterator[Request]:
    try:
        found = expand_named(patterns, deployment.settings.root)
    except MissingInput as problem:
        if missing_is_a_problem:
            deployment.problems.append(problem)
        else:
            deployment.notes.append(str(problem))
        return
    yield from (Request(path, {**named, **said}) for path, named in found)
