"""Raw git history, by the git CLI."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.changes import RAW_GIT_BLAMES, RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES
from weaver_forge.sources.git import Repository, read_repository


def _identify(path: Path) -> str:
    repository = Repository(path)
    return hashlib.sha256(f"{repository.repo_id}\0{repository.head()}".encode()).hexdigest()


def _decode(request: Request, deployment: Deployment) -> Iterator[Batch]:
    repo_id = Repository(request.path).repo_id
    known = deployment.warehouse.read(RAW_GIT_COMMITS, where=f"repo_id = '{repo_id}'")
    yield read_repository(request.path, known=set(known["revision"]))


SOURCE = RawSource(
    name="git",
    tables=(RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES, RAW_GIT_BLAMES),
    decode=_decode,
    identify=_identify,
    folders=True,
)
