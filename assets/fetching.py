"""Fetching CI history from the code hosts that weaver-forge.toml names, into the inbox.

Webhooks tell the same sooner, but one that could not be delivered is not sent again: the hourly schedule fills the
gaps. Taking in what lies in the inbox is ``raw``'s business.
"""

from collections.abc import Iterator

import dagster as dg

from assets.resources import Deployment
from weaver_forge.errors import WeaverForgeError
from weaver_forge.settings import variable


def fetch_all(deployment: Deployment) -> Iterator[str | WeaverForgeError]:
    """Fetch what is new; gives what came in words, and what could not be read. A host stops no other host."""
    # Its HTTP client takes half as long to load as polars, and most runs fetch nothing.
    from weaver_forge.sources.hosts import BACKGROUND, configured, fetch, summary

    settings = deployment.settings
    for kind, section in settings.code_hosts.items():
        deployment.step(f"import {kind}")
        try:
            host = configured(kind, section, root=settings.root, variable=variable)
            for done in fetch(host, settings.inbox, now=settings.now, patience=BACKGROUND):
                yield done if isinstance(done, WeaverForgeError) else "; ".join([summary(done), *done.notes])
        except WeaverForgeError as problem:
            yield problem


@dg.op(name="fetch_code_hosts")
def _fetch_code_hosts(context: dg.OpExecutionContext, deployment: dg.ResourceParam[Deployment]) -> None:
    problems = []
    for said in fetch_all(deployment):
        context.log.info("%s", said)
        problems += [said] if isinstance(said, WeaverForgeError) else []
    if problems:
        raise problems[0]


@dg.job(name="fetch", description="Fetch CI history from GitHub and GitLab into the inbox.")
def fetch_job() -> None:
    """One op over all hosts; the inbox sensor takes in what it brings."""
    _fetch_code_hosts()
