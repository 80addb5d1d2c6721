"""One small simulated organisation, run through the whole loop once for all tests of this folder.

An in-process Dagster run costs seconds, so tests look at the same finished deployment and change nothing in it.
"""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.settings import Settings, load
from weaver_forge.testing import OrganisationPlan, Truth, advance_git, stage, write_organisation

ROOT = Path(__file__).parents[2]
PLAN = OrganisationPlan.small()

CONFIGURATION = """
[clock]
now = "{now}Z"
[decisions]
{decisions}
[options.deploy_risk]
change_maturity_days = 2
[sources]
git = ["organisation/repo"]
tests = ["input/tests/{{run_id}}/*.xml"]
github_actions = ["input/github_actions/*.json"]
otlp = ["input/otlp/*"]
focus = ["input/focus/*.csv"]
deployments = ["input/deployments/*.jsonl"]
incidents = ["input/incidents/*.jsonl"]
"""
DECISIONS = {name: f"models.{name}" for name in ("test_selection", "load_forecast", "anomaly", "deploy_risk")}


@pytest.fixture(scope="session")
def configure() -> Callable[..., Settings]:
    """Write a deployment's configuration for a simulated instant and load it."""

    def write(root: Path, now: Any, decisions: dict[str, str] = DECISIONS) -> Settings:
        lines = "\n".join(f'{name} = "{package}"' for name, package in decisions.items())
        text = CONFIGURATION.format(now=now.isoformat(), decisions=lines)
        if "deploy_risk" not in decisions:
            text = text.replace("[options.deploy_risk]\nchange_maturity_days = 2\n", "")
        (root / "weaver-forge.toml").write_text(text, encoding="utf-8")
        return load(root)

    return write


@pytest.fixture(scope="session")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    """The files of a small simulated organisation, and its truth."""
    folder = tmp_path_factory.mktemp("simulated") / "organisation"
    return folder, write_organisation(PLAN, folder)


@pytest.fixture(scope="session")
def lived(
    organisation: tuple[Path, Truth], configure: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, list[dict[str, Any]]]:
    """A deployment that took in six days at once and then lived the last two, and the events it reported."""
    from assets.partitions import range_tags
    from assets.verbs.loop import Runner

    folder, _truth = organisation
    root = tmp_path_factory.mktemp("deployment")
    shutil.copytree(folder, root / "organisation", symlinks=True)
    shutil.copy(ROOT / "policy.yaml", root)
    events: list[dict[str, Any]] = []
    start, history_end = PLAN.starts_at, PLAN.starts_at + timedelta(days=6)

    def emit(event: Any) -> None:
        events.append(dict(event))

    advance_git(root / "organisation" / "repo", history_end)
    stage(root / "organisation", root / "input", start, history_end)
    first = Runner(configure(root, history_end), emit)
    first.job("loop", tags=range_tags(start.date(), (history_end - timedelta(days=1)).date()))
    advance_git(root / "organisation" / "repo", PLAN.ends_at)
    stage(root / "organisation", root / "input", history_end, PLAN.ends_at)
    settings = configure(root, PLAN.ends_at + timedelta(hours=1))
    second = Runner(settings, emit)
    second.ingest(None)
    second.job("publish")
    return settings, events
