"""What every action has earned, looked at again after each scoring, and published for hooks beside the snapshot.

Put here when it is assessed and what of it is shown in the asset graph. The assessment itself is
``weaver_forge.ledger.assessing``'s.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import dagster as dg

from assets.decisions import score_key
from assets.resources import Deployment
from weaver_forge.contracts.decision import DecisionSpec
from weaver_forge.contracts.values import Level
from weaver_forge.hooks.publishing_standings import publish_standings
from weaver_forge.hooks.standing import read_halts, read_standings
from weaver_forge.hooks.switch import bring_in_line
from weaver_forge.ledger.assessing import Circumstances, assess_all
from weaver_forge.ledger.queries_autonomy import switches, trials_text
from weaver_forge.policy import Policy, lowest, parse

AUTONOMY = "autonomy"
KEPT = "assessed"
"""Folder of the deployment's data with what assessments worked out of the ledger; it can be removed at any time."""

PUBLISHED = "hooks_read_what_the_ledger_says"


def autonomy_asset(specs: Sequence[DecisionSpec]) -> dg.AssetsDefinition:
    """Make the asset that assesses every action class."""

    @dg.asset(
        name=AUTONOMY,
        group_name="ledger",
        deps=[score_key(spec, kind) for spec in specs for kind in spec.kinds],
        kinds={"sqlite"},
        description="What each action has earned, and why: proposed, checked again, promoted; taken back at once.",
        check_specs=[
            dg.AssetCheckSpec(
                PUBLISHED, asset=AUTONOMY, description="standings.json gives no action more than ledger and ceiling do."
            )
        ],
    )
    def autonomy(
        _context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        deployment.step(AUTONOMY)
        rows = assess_deployment(deployment)
        yield dg.MaterializeResult(metadata=_metadata(rows), check_results=[_checked(deployment, rows)])

    return autonomy


def assess_deployment(deployment: Deployment) -> list[dict[str, Any]]:
    """Assess every action, append the standings, and publish them; returns the rows."""
    settings, now = deployment.settings, deployment.settings.now()
    text = settings.policy.read_text(encoding="utf-8") if settings.policy.is_file() else ""
    settings.published.mkdir(parents=True, exist_ok=True)
    with deployment.ledger() as ledger:
        bring_in_line(settings.published, switches(ledger))
        halts, _ = read_halts(settings.published)
        around = Circumstances(
            policy=parse(text, str(settings.policy)) if text else Policy(version=1),
            policy_sha256=sha256(text.encode()).hexdigest() if text else None,
            halted=lambda scope: halts.get("all") or halts.get(str(scope), ""),
            is_demo=settings.fixed_now is not None,
            now=now,
        )
        rows = assess_all(ledger, deployment.specs, around, settings.data / KEPT)
        publish_standings(settings.published, ledger, [spec.name for spec in deployment.specs], now=now)
    for row in rows:
        if row["level"] != row["previous_level"]:
            said = f"{row['action']} in {row['scope']}: {row['previous_level']} -> {row['level']}: {row['reason']}"
            deployment.emit({"event": "line", "text": said, "style": "ok" if _risen(row) else "warn"})
    return rows


def _risen(row: dict[str, Any]) -> bool:
    return lowest(Level(row["level"]), Level(row["previous_level"])) is not Level(row["level"])


def _metadata(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    columns = ("action", "scope", "level", "ceiling", "bound", "trials", "reason")
    shown = [{**row, "trials": trials_text(row["n_trials"], row["n_needed"])} for row in rows]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(row[name]) for name in columns)} |" for row in shown]
    counts = {level.value: sum(row["level"] == level for row in rows) for level in Level}
    return {**counts, "matrix": dg.MetadataValue.md("\n".join(lines))}


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value).replace("|", "/")


def _checked(deployment: Deployment, rows: Sequence[dict[str, Any]]) -> dg.AssetCheckResult:
    """What hooks will read, against what was just assessed."""
    found = read_standings(deployment.settings.published)
    wrong = []
    for row in rows:
        key = (row["decision"], row["entity"], row["action"], row["scope"])
        level, ceiling = found.levels.get(key), Level(row["ceiling"])
        if level != row["level"] or lowest(ceiling, level or Level.ASSISTED) is not level:
            wrong.append(f"{'.'.join(key)}: {level} instead of {row['level']}")
    return dg.AssetCheckResult(passed=not wrong, check_name=PUBLISHED, metadata={"broken": "; ".join(wrong) or "none"})
