"""Raw workflow runs and jobs of GitHub Actions, from its webhooks and from answers of its REST API."""

from collections.abc import Iterator

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.ci import RAW_GITHUB_ACTIONS_JOBS, RAW_GITHUB_ACTIONS_RUNS
from weaver_forge.decode import github_actions
from weaver_forge.sources.files import read_frames


def _decode(request: Request, _deployment: Deployment) -> Iterator[Batch]:
    yield github_actions.decode(read_frames(request.path))


SOURCE = RawSource(name="github_actions", tables=(RAW_GITHUB_ACTIONS_RUNS, RAW_GITHUB_ACTIONS_JOBS), decode=_decode)
