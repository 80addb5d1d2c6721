"""The keys of the blueprint's ``pipeline.yaml`` and what each means to this product. Data, and nothing that reads it.

Put here what a key maps to, or in plain words why it changes nothing. A key that names something that is not decided
on here is no error: the file is somebody's plan for more than this product.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the blueprint.

    Args:
        stage: analyze, build, test or deploy; empty for what stands above the stages.
        group: The key that it stands below.
        says: What it means here: with a decision, what its rules govern; without, why it changes nothing.
        decision: What its rules are for; empty where the key changes nothing.
        action: Action class of it; empty for the decision as a whole.
    """

    stage: str
    group: str
    name: str
    says: str
    decision: str = ""
    action: str = ""

    @property
    def path(self) -> str:
        """As it is written from the top."""
        return ".".join(part for part in (self.stage, self.group, self.name) if part)


STAGES = ("analyze", "build", "test", "deploy")

_ALWAYS = "always on: it feeds the predictions and needs no rule"
_SHOWN = "always shown: it stands in every answer and needs no rule"
_NOT_YET = "nothing here decides on it, so it changes nothing"
_ROLLOUT = "holds risky deployments"
_ELSEWHERE = "left to the tool that does it: its results can be taken in, and nothing here decides on them"

KEYS: tuple[Key, ...] = (
    Key("", "trigger_intelligence", "semantic_change_detection", _ALWAYS),
    Key("", "trigger_intelligence", "impact_analysis", _NOT_YET),
    Key("", "trigger_intelligence", "risk_assessment", "holds risky changes", "deploy_risk", "hold_change"),
    Key("", "trigger_intelligence", "test_optimization", "orders tests", "test_selection"),
    Key("analyze", "ai_components", "code_understanding", _ALWAYS),
    Key("analyze", "ai_components", "architecture_compliance", _NOT_YET),
    Key("analyze", "ai_components", "security_analysis", _ELSEWHERE),
    Key("analyze", "ai_components", "performance_prediction", "forecasts load", "load_forecast"),
    Key("analyze", "outputs", "change_impact_report", _SHOWN),
    Key("analyze", "outputs", "security_risk_assessment", _ELSEWHERE),
    Key("analyze", "outputs", "performance_prediction", _SHOWN),
    Key("analyze", "outputs", "test_strategy", "always made: `rank-tests` writes what runs now and what later"),
    Key("build", "optimization", "parallel_execution", _ELSEWHERE),
    Key("build", "optimization", "cache_intelligence", _ELSEWHERE),
    Key("build", "optimization", "resource_optimization", _NOT_YET),
    Key("build", "optimization", "artifact_deduplication", _ELSEWHERE),
    Key("build", "validation", "reproducible_builds", _ELSEWHERE),
    Key("build", "validation", "supply_chain_verification", _ELSEWHERE),
    Key("build", "validation", "license_compliance", _ELSEWHERE),
    Key("build", "validation", "vulnerability_scanning", _ELSEWHERE),
    Key("test", "intelligent_testing", "risk_based_selection", "skips tests for now", "test_selection", "skip_tests"),
    Key("test", "intelligent_testing", "synthetic_test_generation", _NOT_YET),
    Key("test", "intelligent_testing", "mutation_testing", _ELSEWHERE),
    Key("test", "intelligent_testing", "chaos_engineering", _ELSEWHERE),
    Key("test", "coverage_optimization", "semantic_coverage", _NOT_YET),
    Key("test", "coverage_optimization", "business_logic_validation", _NOT_YET),
    Key("test", "coverage_optimization", "integration_completeness", _NOT_YET),
    Key("test", "coverage_optimization", "performance_regression", _NOT_YET),
    Key("deploy", "zero_touch_deployment", "environment_intelligence", _ALWAYS),
    Key("deploy", "zero_touch_deployment", "progressive_rollout", _ROLLOUT, "deploy_risk", "hold_deployment"),
    Key("deploy", "zero_touch_deployment", "feature_flag_orchestration", _NOT_YET),
    Key("deploy", "zero_touch_deployment", "rollback_automation", "holds while a service misbehaves", "anomaly"),
    Key("deploy", "validation", "health_check_generation", _NOT_YET),
    Key("deploy", "validation", "user_journey_validation", _NOT_YET),
    Key("deploy", "validation", "performance_validation", "scales to the forecast", "load_forecast", "scale"),
    Key("deploy", "validation", "security_validation", _ELSEWHERE),
)  # fmt: skip

SCOPES = {
    "deploy_risk": "deployment",
    "test_selection": "development",
    "load_forecast": "operations",
    "anomaly": "operations",
}
"""Where the hooks of a mapped decision stand."""

THRESHOLDS: Mapping[str, Mapping[str, float]] = {
    "deploy_risk": {"review_at": 0.35, "deny_at": 0.70},
    "anomaly": {"review_at": 0.50, "deny_at": 0.90},
    "test_selection": {"skip_below": 0.005},
}
"""Thresholds of a decision where the file gives none of them: those of the shipped ``policy.yaml``."""

ON = frozenset(
    {"true", "yes", "on", "enabled", "enable", "required", "automatic", "automated", "dynamic", "continuous"}
)
OFF = frozenset({"false", "no", "off", "disabled", "disable", "none", "never"})
