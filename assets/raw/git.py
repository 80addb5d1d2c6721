"""Raw git history, by the git CLI."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.changes import RAW_GIT_BLAMES, RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES
from weaver_forge.sources.git import Repository, batches


def _identify(path: Path) -> str:
    repository = Repository(path)
    return hashlib.sha256(f"{repository.repo_id}\0{repository.head()}".encode()).hexdigest()


def _decode(request: Request, deployment: Deployment) -> Iterator[Batch]:
    repo_id = Repository(request.path).repo_id
    sql = f"select revision from {RAW_GIT_COMMITS.name} where repo_id = ?"  # noqa: S608 - a declared name
    with deployment.warehouse.connect(read_only=True) as con:
        known = {revision for (revision,) in con.execute(sql, [repo_id]).fetchall()}
    yield from batches(request.path, known=known)


SOURCE = RawSource(
    name="git",
    tables=(RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES, RAW_GIT_BLAMES),
    decode=_decode,
    identify=_identify,
    folders=True,
)
