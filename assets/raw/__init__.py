"""Raw assets: a module a source, each saying where its input is and which decoder reads it."""

from assets.raw import coverage, deployments, focus, git, github_actions, gitlab, incidents, otlp, tests
from assets.raw.intake import RawSource

SOURCES: tuple[RawSource, ...] = tuple(
    module.SOURCE for module in (git, github_actions, gitlab, tests, coverage, otlp, deployments, incidents, focus)
)
