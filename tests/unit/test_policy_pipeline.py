"""The blueprint's pipeline.yaml: every key accepted and mapped or noted, nothing else accepted, errors with line."""

import pytest

from weaver_forge.contracts.values import Level
from weaver_forge.errors import PolicyError
from weaver_forge.policy import effective, parse, read
from weaver_forge.policy.blueprint import KEYS, STAGES, Key

WHOLE = """\
pipeline:
  name: intelligent pipeline
  trigger_intelligence:
    semantic_change_detection: true
    impact_analysis: enabled
    risk_assessment: automatic
    test_optimization: dynamic
  stages:
    - name: analyze
      ai_components:
        - code_understanding: dspy
        - architecture_compliance: automated
        - security_analysis: ml
        - performance_prediction: time_series
      outputs:
        - change_impact_report
        - security_risk_assessment
        - performance_prediction
        - test_strategy
    - name: build
      optimization:
        parallel_execution: dependency_graph
        cache_intelligence: semantic
        resource_optimization: true
        artifact_deduplication: true
      validation: [reproducible_builds, supply_chain_verification, license_compliance, vulnerability_scanning]
    - name: test
      intelligent_testing:
        - risk_based_selection
        - synthetic_test_generation
        - mutation_testing
        - chaos_engineering
      coverage_optimization:
        semantic_coverage: on
        business_logic_validation: on
        integration_completeness: on
        performance_regression: on
    - name: deploy
      zero_touch_deployment:
        environment_intelligence: true
        progressive_rollout: canary
        feature_flag_orchestration: true
        rollback_automation: true
      validation:
        health_check_generation: true
        user_journey_validation: true
        performance_validation: sla
        security_validation: runtime
"""


def _alone(key: Key, value: str = "true") -> str:
    """The smallest document that has this one key, in line 3 or 2."""
    if key.stage:
        return f"{key.stage}:\n  {key.group}:\n    {key.name}: {value}\n"
    return f"{key.group}:\n  {key.name}: {value}\n"


def test_the_inventory_is_36_keys_and_4_stages() -> None:
    assert len(KEYS) + len(STAGES) == 40
    assert len({key.path for key in KEYS}) == len(KEYS)


def test_the_whole_blueprint_is_accepted_and_every_key_answered_for() -> None:
    reading = read(WHOLE, "pipeline.yaml")

    for path in (*(key.path for key in KEYS), *(f"stage {name}" for name in STAGES)):
        assert sum(f": {path}: " in note for note in reading.notes) == 1, path
    assert len(reading.notes) == 40
    assert set(reading.policy.decisions) == {"deploy_risk", "test_selection", "load_forecast", "anomaly"}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_every_key_alone_is_mapped_or_noted_with_its_line(key: Key) -> None:
    reading = read(_alone(key), "p.yaml")

    (note,) = [note for note in reading.notes if f"{key.path}:" in note]
    assert note.startswith(f"p.yaml, line {3 if key.stage else 2}: ")
    assert list(reading.policy.decisions) == ([key.decision] if key.decision else [])


@pytest.mark.parametrize("key", [key for key in KEYS if key.decision], ids=lambda key: key.path)
@pytest.mark.parametrize("level", list(Level))
def test_a_mapped_key_takes_a_level_as_its_ceiling(key: Key, level: Level) -> None:
    policy = parse(_alone(key, str(level)), "p.yaml")

    assert effective(policy, key.decision, key.action).ceiling is level


@pytest.mark.parametrize("key", [key for key in KEYS if key.decision], ids=lambda key: key.path)
def test_a_mapped_key_takes_the_rules_of_policy_yaml(key: Key) -> None:
    rules = "{ceiling: autonomous, deny_at: 0.4, on_unknown: fail_closed}"

    rule = effective(parse(_alone(key, rules), "p.yaml"), key.decision, key.action)

    assert (rule.ceiling, rule.deny_at, rule.review_at, str(rule.on_unknown)) == (
        "autonomous",
        0.4,
        None,
        "fail_closed",
    )


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_every_key_misspelt_is_an_error_that_names_it(key: Key) -> None:
    wrong = key.name[:-2] + key.name[-1]

    with pytest.raises(PolicyError) as caught:
        parse(_alone(key).replace(f"{key.name}:", f"{wrong}:"), "p.yaml")

    assert caught.value.where == f"p.yaml, line {3 if key.stage else 2}"
    assert f"Did you mean '{key.name}'" in caught.value.do


@pytest.mark.parametrize("key", [key for key in KEYS if not key.decision], ids=lambda key: key.path)
def test_rules_for_a_key_that_nothing_is_decided_on_are_refused(key: Key) -> None:
    """Silently dropping a rule that somebody wrote would be the worst answer."""
    with pytest.raises(PolicyError, match="takes no rules"):
        parse(_alone(key, "{ceiling: supervised}"), "p.yaml")


def test_a_word_that_names_no_level_lets_nothing_act_and_holds_nothing_down() -> None:
    """`automatic` is no licence; and `test_optimization: dynamic` is no ceiling for skipping tests."""
    policy = parse(WHOLE.replace("- risk_based_selection", "- risk_based_selection: autonomous"), "p.yaml")

    assert effective(policy, "deploy_risk", "hold_change").ceiling is Level.ASSISTED
    assert effective(policy, "test_selection", "skip_tests").ceiling is Level.AUTONOMOUS


def test_a_pipeline_without_thresholds_has_the_shipped_ones() -> None:
    rule = effective(parse(WHOLE, "p.yaml"), "deploy_risk", "hold_change")

    assert (rule.review_at, rule.deny_at) == (0.35, 0.70)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("stages:\n  - name: biuld\n", 2, "Did you mean 'build'"),
        ("stages:\n  - optimization: {}\n", 2, "name is missing"),
        ("stages: [build]\nbuild: {}\n", 2, "given twice"),
        ("build:\n  optimisation: {}\n", 2, "Did you mean 'optimization'"),
        ("build:\n  mutation_testing: true\n", 2, "It belongs in test.intelligent_testing"),
        ("build:\n  validation:\n    - mutation_testing\n", 3, "It belongs in test.intelligent_testing"),
        ("test:\n  intelligent_testing: [mutation_testing, mutation_testing]\n", 2, "given twice"),
        ("trigger_intelligence:\n  risk_assessment:\n    ceilling: assisted\n", 3, "Did you mean 'ceiling'"),
        ("trigger_intelligence:\n  risk_assessment:\n    deny_at: 2\n", 3, "from 0 to 1"),
        ("trigger_intelligence:\n  risk_assessment:\n    review_at: 0.9\n    deny_at: 0.5\n", 3, "above its deny_at"),
        ("trigger_intelligence:\n  risk_assessment:\n    deny_at: from_costs\n", 3, "costs do not give"),
        ("trigger_intelligence: true\n", 1, "must be a list"),
        ("pipeline: {}\nstages: []\n", 2, "unknown key 'stages' beside pipeline"),
        ("triger_intelligence: {}\n", 1, "Did you mean 'trigger_intelligence'"),
        ("trigger_intelligence: {}\nstagez: []\n", 2, "Did you mean 'stages'"),
        (
            "trigger_intelligence:\n  risk_assessment: supervised\ndecisions:\n  deploy_risk: {}\n",
            4,
            "said in decisions and by a key of the pipeline",
        ),
    ],
)
def test_a_wrong_pipeline_names_file_line_and_remedy(text: str, line: int, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(text, "ci/pipeline.yaml")

    assert caught.value.where == f"ci/pipeline.yaml, line {line}"
    assert says in str(caught.value)


def test_costs_and_scopes_of_policy_yaml_may_stand_beside() -> None:
    text = (
        "trigger_intelligence:\n  risk_assessment: {deny_at: from_costs, ceiling: supervised}\n"
        "costs: {currency: EUR, escape: 300, delayed_change: 100}\n"
        "scopes:\n  deployment: {on_unknown: fail_closed}\n"
    )

    rule = effective(parse(text, "pipeline.yaml"), "deploy_risk", "hold_change")

    assert (rule.deny_at, str(rule.on_unknown)) == (0.25, "fail_closed")
