"""What is published about policy is what the code does: schema, page, templates, command line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from models import anomaly, deploy_risk, load_forecast, test_selection
from weaver_forge import __main__ as entry
from weaver_forge.contracts.values import Level
from weaver_forge.errors import PolicyError
from weaver_forge.policy import json_schema, parse, read
from weaver_forge.policy.blueprint import KEYS
from weaver_forge.policy.effective import EvidenceRule, effective
from weaver_forge.policy.judging import never_taken
from weaver_forge.policy.table import as_markdown

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
TEMPLATE = (ROOT / "policy.yaml").read_text(encoding="utf-8")
GOOD = [
    TEMPLATE,
    "version: 1\n",
    "version: 1\ndecisions: {d: {level: assisted}}\n",
    "version: 1\ndecisions: {d: {deny_at: null, rate_limit: null, freeze: [{from: '2026-01-01', reason: r}]}}\n",
    "version: 1\ncosts: {currency: EUR, escape: 1.5, review: 3 EUR}\nscopes: {all: {holdout: 0.02}}\n",
    "version: 1\ndecisions: {d: {blast_radius: {max_share: 0.5, then: supervised}, evidence: {stale_days: 3}}}\n",
]
BAD = [
    "decisions: {}\n",
    "version: 2\n",
    "version: 1\nrules: {}\n",
    "version: 1\ndecisions: {d: {ceilling: assisted}}\n",
    "version: 1\ndecisions: {d: {ceiling: godlike}}\n",
    "version: 1\ndecisions: {d: {deny_at: 1.5}}\n",
    "version: 1\ndecisions: {d: {deny_at: sometimes}}\n",
    "version: 1\ndecisions: {d: {holdout: 0.5}}\n",
    "version: 1\ndecisions: {d: {holdout: 0}}\n",
    "version: 1\ndecisions: {d: {rate_limit: {max: 0, per_hours: 1}}}\n",
    "version: 1\ndecisions: {d: {rate_limit: {max: 1}}}\n",
    "version: 1\ndecisions: {d: {freeze: [{days: [friday], reason: r}]}}\n",
    "version: 1\ndecisions: {d: {freeze: [{days: [fri]}]}}\n",
    "version: 1\ndecisions: {d: {freeze: [{hours: 9-17, reason: r}]}}\n",
    "version: 1\ndecisions: {d: {protected_paths: x}}\n",
    "version: 1\ncosts: {currency: euros}\n",
    "version: 1\ncosts: {currency: EUR, escape: -1}\n",
    "version: 1\ncosts: {currency: EUR, escape: lots}\n",
    "version: 1\nscopes: {everywhere: {}}\n",
    "version: 1\ndecisions: {d: {actions: {a: {actions: {}}}}}\n",
    "version: 1\ndecisions: {d: {actions: {a: {scope: deployment}}}}\n",
    "version: 1\ndecisions: {d: {evidence: {half_life_days: 0}}}\n",
]


ACTIONS = [
    (spec.name, action.name, action.on)
    for spec in (anomaly.SPEC, deploy_risk.SPEC, load_forecast.SPEC, test_selection.SPEC)
    for kind in spec.kinds
    for action in kind.actions
]


def _valid(text: str) -> bool:
    validator = jsonschema.Draft202012Validator(json_schema())
    return bool(validator.is_valid(json.loads(json.dumps(yaml.safe_load(text), default=str))))


@pytest.mark.parametrize("text", GOOD)
def test_the_schema_and_the_reader_take_the_same_documents(text: str) -> None:
    parse(text, "policy.yaml")

    assert _valid(text)


@pytest.mark.parametrize("text", BAD)
def test_the_schema_and_the_reader_refuse_the_same_documents(text: str) -> None:
    with pytest.raises(PolicyError):
        parse(text, "policy.yaml")

    assert not _valid(text)


def test_the_schema_is_itself_valid_and_says_what_every_key_means() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    for name in ("Costs", "Rules", "Freeze", "Evidence"):
        for key, said in schema["$defs"][name]["properties"].items():
            assert said.get("description") or said.get("$ref"), f"{name}.{key}"


def test_the_page_shows_the_table_that_the_code_uses() -> None:
    assert as_markdown() in PAGE


def _blocks() -> Iterator[str]:
    yield from re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_pages_examples_are_valid() -> None:
    for block in _blocks():
        text = block if "version:" in block or "costs:" in block else f"decisions:\n  d:\n{_indented(block)}"
        parse(text if "version:" in text else f"version: 1\n{text}", "docs/policy.md")


def test_the_pages_key_tables_name_every_key_and_every_default() -> None:
    keys = json_schema()["$defs"]
    for name in ("Rules", "Evidence", "Costs"):
        for key in keys[name]["properties"]:
            assert f"`{key}`" in PAGE or f"{key}:" in PAGE, key
    for name in EvidenceRule.__slots__:
        assert re.search(rf"`{name}`.*{getattr(EvidenceRule(), name):g}", PAGE), name
    for key in KEYS:
        assert not key.decision or f"`{key.path}`" in PAGE


def test_the_template_with_its_examples_uncommented_is_valid_and_in_shadow() -> None:
    """A newcomer who takes away a # must not meet an error."""
    lines = TEMPLATE.splitlines()
    is_example = re.compile(r"^( *)# (?=(costs|scopes|protected_paths|rate_limit):|  all:|    freeze:|      - \{)")
    text = "\n".join(is_example.sub(r"\1", line) for line in lines)

    policy = parse(text, "policy.yaml")

    assert "# rate_limit" not in text
    assert set(policy.scopes) == {"all"}
    assert effective(policy, "deploy_risk").rate_limit is not None
    assert {effective(policy, name).ceiling for name in policy.decisions} == {Level.ASSISTED}


def _indented(block: str) -> str:
    return "".join(f"    {line}\n" for line in block.splitlines())


def test_check_says_what_a_file_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "version: 1\ncosts: {currency: EUR, escape: 300, delayed_change: 100}\n"
        "decisions: {d: {level: supervised, deny_at: from_costs, freeze: [{days: [fri], reason: r}]}}\n"
    )

    code = entry.main(["policy", "check", str(path)])

    said = capsys.readouterr().out
    assert code == 0
    assert "delayed_change 100 EUR / (delayed_change 100 EUR + escape 300 EUR) = 0.25" in said
    assert re.search(r"d +\(all of it\) +deployment +supervised", said)
    assert "line 3: 'level' in decisions.d is read as 'ceiling'" in said
    assert "fri UTC: r (d)" in said


def test_check_as_json_has_rules_formulas_and_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text("trigger_intelligence: {risk_assessment: supervised, impact_analysis: on}\n")

    assert entry.main(["policy", "check", str(path), "--json"]) == 0

    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [(row["action"], row["ceiling"]) for row in data["rules"]] == [
        ("(all of it)", "assisted"),
        ("hold_change", "supervised"),
    ]
    assert len(data["notes"]) == 2


@pytest.mark.parametrize(
    ("text", "code"),
    [("version: 1\n", 0), ("version: 1\ndecisons: {}\n", 4), ("- 1\n", 4), (None, 5), (b"\xff\xfe\xff", 5)],
)
def test_check_exits_as_decided(tmp_path: Path, text: str | bytes | None, code: int) -> None:
    path = tmp_path / "policy.yaml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    assert entry.main(["policy", "check", str(path)]) == code


def test_show_finds_the_deployments_policy_or_its_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weaver-forge.toml").write_text("[decisions]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WEAVER_FORGE_HOME", raising=False)

    assert entry.main(["policy", "show"]) == 0
    assert "the defaults hold" in capsys.readouterr().out
    (tmp_path / "pipeline.yaml").write_text("deploy: {zero_touch_deployment: {rollback_automation: true}}\n")
    assert entry.main(["policy", "show"]) == 0
    assert "anomaly" in capsys.readouterr().out
    (tmp_path / "policy.yaml").write_text("version: 1\ndecisions: {d: {}}\n")
    assert entry.main(["policy", "show"]) == 0
    assert "anomaly" not in capsys.readouterr().out


def test_the_shipped_policy_has_nothing_to_note() -> None:
    assert read(TEMPLATE, "policy.yaml").notes == ()


def test_every_declared_action_can_have_a_trial_under_the_shipped_policy_and_under_a_pipeline() -> None:
    shipped = parse(TEMPLATE, "policy.yaml")
    keys = "\n".join(f"{stage}: {rest}" for stage, rest in (("trigger_intelligence", "{risk_assessment: assisted}"),
        ("test", "{intelligent_testing: {risk_based_selection: assisted}}")))  # fmt: skip
    pipeline = parse(keys, "pipeline.yaml")

    assert [(d, a) for d, a, on in ACTIONS if never_taken(effective(shipped, d, a), on)] == []
    assert (
        effective(pipeline, "test_selection", "skip_tests").skip_below
        == effective(shipped, "test_selection", "skip_tests").skip_below
    )
