"""Raw pipelines and jobs of GitLab, from its webhooks and from what was fetched from its REST API."""

from collections.abc import Iterator

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.ci import RAW_GITLAB_JOBS, RAW_GITLAB_PIPELINES
from weaver_forge.decode import gitlab
from weaver_forge.sources.files import read_frames


def _decode(request: Request, _deployment: Deployment) -> Iterator[Batch]:
    yield gitlab.decode(read_frames(request.path))


SOURCE = RawSource(name="gitlab", tables=(RAW_GITLAB_PIPELINES, RAW_GITLAB_JOBS), decode=_decode)
