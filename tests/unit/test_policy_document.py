"""Reading policy.yaml: what is accepted, and that every refusal names the line."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


PIECES = st.sampled_from(
    ["{", "}", "[", "]", ":", "-", " ", "\n", "  ", "\t", "#", "&a ", "*a", "!!int ", "'", '"', "|", "null", "~", "0",
     "-1", "1e9", ".nan", "2026-13-45", "from_costs", "version", "freeze", "costs", "d:", "? ", "<<: ", "\x00",
     "\ud7ff", "%YAML", "---", "..."]
)  # fmt: skip


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_policy_is_refused_with_its_place_and_never_breaks_the_reader(data: st.DataObject) -> None:
    """Whatever is typed into a policy: it is read, or a PolicyError names the file."""
    text = (ROOT / "policy.yaml").read_text(encoding="utf-8").replace("# ", "")
    text = data.draw(st.sampled_from([text, RICH]))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text = text[:place] + data.draw(PIECES) + text[place + cut :]

    refused: PolicyError | None = None
    try:
        for name in parse(text, "policy.yaml").decisions:
            effective(parse(text, "policy.yaml"), name)
    except PolicyError as error:
        refused = error

    assert refused is None or (refused.where.startswith("policy.yaml") and refused.do)


RICH = """\
version: 1
costs: {currency: EUR, escape: 400, review: 25.5 EUR, delayed_change: 60}
scopes:
  all:
    freeze:
      - {from: 2026-12-23T18:00, until: 2027-01-02, time_zone: Europe/Berlin, reason: r, except: [hotfix]}
      - {days: [fri], hours: 16:00-08:00, environments: [prod*], reason: r}
decisions:
  d:
    review_at: from_costs
    deny_at: 0.5
    rate_limit: {max: 3, per_hours: 1, then: supervised}
    blast_radius: {max_share: 0.5, max_units: 3}
    protected_paths: [a/, "**/*.sql", "!b"]
    evidence: {half_life_days: 10}
    actions: {hold_change: {bar: 0.9}}
"""


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        ("    rate_limit: {max: 3}", 4, "per_hours is missing in decisions.d.rate_limit"),
        ("    rate_limit:\n      max: 3\n      per_hours: 1\n      then: autonomous", 7, "it limits nothing"),
        ("    rate_limit: 3", 4, "not valid"),
        ("    blast_radius:\n      per_hours: 3", 5, "blast_radius has no limit"),
        ("    freeze:\n      - reason: r", 5, "the freeze has no time"),
        ("    freeze:\n      - reason: r\n        days: [fry]", 6, "Did you mean 'fri'"),
        ("    freeze:\n      - reason: r\n        untill: 2026-01-01", 6, "Did you mean 'until'"),
        ("    freeze:\n      - reason: r\n        from: yesterday", 6, "no instant"),
        ("    freeze:\n      - reason: r\n        from: 2026-02-30", 6, "no instant"),
        ("    freeze:\n      - {reason: r, from: 2026-03-01,\n         until: 2026-02-01}", 6, "before it begins"),
        ("    freeze:\n      - reason: r\n        hours: 9-17", 6, "HH:MM-HH:MM"),
        ("    freeze:\n      - reason: r\n        hours: 20:00-24:30", 6, "ends after midnight"),
        ("    freeze:\n      - {reason: r, days: [fri],\n         time_zone: Europe/Berlyn}", 6, "no time zone"),
        ("    freeze: {reason: r}", 4, "must be a list"),
        ("    protected_paths:\n      - a/\n      - 'a\\b'", 6, "no separator"),
        ("    holdout: 0.5", 4, "a share from 0.02 to 0.05"),
        ("    evidence:\n      half_live_days: 3", 5, "Did you mean 'half_life_days'"),
        ("    actions:\n      a:\n        ceiling: godlike", 6, "Known: assisted, supervised, autonomous"),
        ("    actions:\n      a:\n        scope: deployment", 6, "unknown key 'scope' in decisions.d.actions.a"),
        ("    review_at: 0.9\n    actions:\n      a:\n        deny_at: 0.5", 4, "above its deny_at"),
        ("    level: assisted\n    ceiling: assisted", 5, "given twice"),
        ("    bar: 0.8\n    supervised_bar: 0.9", 5, "above bar"),
        ("    bar: 1", 4, "a precision above 0 and below 1"),
    ],
)
def test_a_wrong_nested_key_or_value_names_its_own_line(body: str, line: int, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(f"version: 1\ndecisions:\n  d:\n{body}\n", "policy.yaml")

    assert says in str(caught.value)
    assert caught.value.where == f"policy.yaml, line {line}"


def test_a_number_may_be_written_with_an_exponent() -> None:
    policy = parse("version: 1\ndecisions: {d: {skip_below: 1e-3, deny_at: 5.0E-1}}", "p")

    assert (policy.decisions["d"].skip_below, policy.decisions["d"].deny_at) == (0.001, 0.5)
