"""Reading policy.yaml: what is accepted, and that every refusal names the line."""

import json
from pathlib import Path

import pytest

from weaver_forge.contracts.values import Level
from weaver_forge.errors import PolicyError
from weaver_forge.policy import OnUnknown, Rule, effective, json_schema, parse

ROOT = Path(__file__).parents[2]


def test_a_policy_is_read_with_defaults_for_what_it_leaves_out() -> None:
    policy = parse("version: 1\ndecisions:\n  d:\n    level: supervised\n    deny_at: 1\n", "policy.yaml")

    rule = effective(policy, "d")

    assert rule.is_named
    assert (rule.ceiling, rule.deny_at, rule.on_unknown) == (Level.SUPERVISED, 1.0, OnUnknown.FAIL_OPEN)


def test_a_decision_that_the_policy_does_not_name_is_assisted() -> None:
    rule = effective(parse("version: 1\n", "policy.yaml"), "anything")

    assert rule == Rule(decision="anything")
    assert rule.ceiling is Level.ASSISTED


def test_the_shipped_policy_is_valid_and_in_shadow() -> None:
    """A new deployment stops nothing."""
    policy = parse((ROOT / "policy.yaml").read_text(encoding="utf-8"), "policy.yaml")

    assert {effective(policy, name).ceiling for name in policy.decisions} == {Level.ASSISTED}


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        ("    levle: assisted", 4, "Did you mean 'ceiling'"),
        ("    level: autonomus", 4, "Did you mean 'autonomous'"),
        ("    level: [assisted]", 4, "single value"),
        ("    deny_at: 1.5", 4, "from 0 to 1"),
        ("    deny_at: .nan", 4, "from 0 to 1"),
        ("    deny_at: high", 4, "'high' is not valid. Expected a probability from 0 to 1"),
        ("    deny_at: true", 4, "got bool"),
        ("    max_age_hours: 0", 4, "hours above 0"),
        ("    deny_at: 0.5\n    review_at: 0.6", 5, "above its deny_at"),
        ("    level: assisted\n    deny_at: 0.5\n    level: autonomous", 6, "given twice"),
        ("    level: !!python/name:os.system x", 4, "cannot be read"),
        ("    <<: {level: autonomous}", 4, "unknown key '<<'"),
        ("  d:\n    level: assisted", 4, "given twice in decisions (first in line 3)"),
        ("  - list", 4, "must be a mapping"),
    ],
)
def test_a_wrong_policy_names_file_line_and_remedy(body: str, line: int, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(f"version: 1\ndecisions:\n  d:\n{body}\n", "team/policy.yaml")

    assert caught.value.where == f"team/policy.yaml, line {line}"
    assert says in str(caught.value)
    assert caught.value.do
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("decisions: {}", "version is missing"),
        ("version: 2", "version"),
        ("- a", "must be a mapping"),
        ("version: 1\ndecisions: 3", "decisions must be a mapping"),
        ("version: 1\nrules: {}", "unknown key 'rules'"),
        ("version: 1\n---\nversion: 1", "not valid YAML"),
    ],
)
def test_a_document_that_is_no_policy_is_refused(text: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        parse(text, "policy.yaml")


def test_the_published_schema_is_the_one_the_code_reads() -> None:
    """docs/policy.schema.json is made by json_schema(); editors validate against it."""
    published = json.loads((ROOT / "docs" / "policy.schema.json").read_text(encoding="utf-8"))

    assert published == json_schema(), "run `make docs`"
