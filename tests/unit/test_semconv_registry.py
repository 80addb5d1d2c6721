"""Convention registries in both YAML formats, the table that ships, and what is said of YAML that is wrong."""

import random
import re
from pathlib import Path

import pytest

import weaver_forge.semconv.registry as registry_module
from weaver_forge.errors import ConfigurationError, WeaverForgeError
from weaver_forge.semconv.classes import CLASSES, KINDS
from weaver_forge.semconv.compile import compiled, documents
from weaver_forge.semconv.compile import main as compile_main
from weaver_forge.semconv.reader import read
from weaver_forge.semconv.registry import Reference, shipped
from weaver_forge.semconv.schema_files import read_schema
from weaver_forge.settings import test_data as outside_data

OLD = """
groups:
  - id: registry.cart
    type: attribute_group
    brief: Cart.
    attributes:
      - id: cart.size
        type: int
        stability: stable
        brief: Items.
      - id: cart.kind
        type:
          members:
            - {id: guest, value: guest, stability: stable}
            - {id: anon, value: anon, deprecated: {reason: renamed, renamed_to: guest}}
        stability: development
      - id: cart.header
        type: template[string[]]
        stability: stable
      - id: basket.size
        type: int
        deprecated: {reason: renamed, renamed_to: cart.size}
  - id: cart.common
    type: attribute_group
    attributes:
      - ref: cart.size
        requirement_level: required
      - ref: cart.kind
  - id: metric.cart.items
    type: metric
    metric_name: cart.items
    extends: cart.common
    instrument: counter
    unit: "{item}"
    stability: stable
    attributes:
      - ref: cart.kind
        requirement_level: {conditionally_required: if known}
"""
NEW = """
file_format: definition/2
attributes:
  - {key: cart.size, type: int, stability: stable, brief: Items.}
  - key: cart.kind
    type:
      members:
        - {id: guest, value: guest}
        - {id: anon, value: anon, deprecated: {reason: renamed, renamed_to: guest}}
    stability: development
  - {key: cart.header, type: "template[string[]]", stability: stable}
  - {key: basket.size, type: int, deprecated: {reason: renamed, renamed_to: cart.size}}
attribute_groups:
  - id: cart.common
    visibility: internal
    attributes:
      - {ref: cart.size, requirement_level: required}
      - {ref: cart.kind}
metrics:
  - name: cart.items
    instrument: counter
    unit: "{item}"
    stability: stable
    attributes:
      - ref_group: cart.common
      - ref: cart.kind
        requirement_level: {conditionally_required: if known}
"""


def test_both_formats_say_the_same() -> None:
    old, new = read([("old.yaml", OLD)]), read([("new.yaml", NEW)])

    assert old == new
    assert old.metrics["cart.items"].attributes == (
        Reference("cart.size", "required"),
        Reference("cart.kind", "conditionally_required"),
    )
    assert old.attributes["basket.size"].deprecated is not None
    assert [m.renamed_to for m in old.attributes["cart.kind"].members] == ["", "guest"]


def test_a_template_defines_the_attributes_below_its_name() -> None:
    registry = read([("old.yaml", OLD)])

    found = registry.find("cart.header.content-type")

    assert found is not None
    assert (found.name, found.value_type) == ("cart.header", "string[]")
    assert registry.find("cart.headers") is None


def test_a_registry_of_ones_own_lies_over_the_shipped_one() -> None:
    registry = read([("new.yaml", NEW)]).over(shipped())

    assert registry.find("cart.size") is not None
    assert registry.find("http.route") is not None


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("groups:\n  - id: a\n    type: [", 4, "not valid YAML"),
        ("groups:\n  - type: span\n", 2, "'id' is missing"),
        ("groups:\n  - id: a\n    type: spam\n", 2, "'spam' is not known"),
        ("groups:\n  - id: a\n    attributes:\n      - id: a.b\n        type: number\n", 4, "'number'"),
        ("groups:\n  - id: a\n    attributes:\n      - {ref: a.b, requirement_level: must}\n", 4, "'must'"),
        ("file_format: definition/3\n", 1, "definition/3"),
        ("metrics: []\n", 1, "defines nothing"),
        ("groups: 3\n", 1, "not a list"),
        ("file_format: definition/2\nattributes:\n  - key: a.b\n    type: {members: []}\n", 3, "no members"),
        (
            "groups:\n  - {id: a, extends: b}\n  - {id: b, extends: a}\n  - {id: s, type: span, extends: a}\n",
            2,
            "a -> b",
        ),
    ],
)
def test_what_is_wrong_with_a_registry_is_said_with_file_and_line(text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read([("ours.yaml", text)])

    assert f"ours.yaml, line {line}" in error.value.where
    assert said in str(error.value)
    assert error.value.do


def test_two_different_definitions_of_one_attribute_are_refused() -> None:
    other = NEW.replace("key: cart.size, type: int", "key: cart.size, type: string")

    with pytest.raises(ConfigurationError, match=re.escape("'cart.size' is defined differently at a.yaml, line 4")):
        read([("a.yaml", NEW), ("b.yaml", other)])


def test_mutated_registries_give_an_error_or_a_registry_and_never_a_crash() -> None:
    chance = random.Random(7)  # noqa: S311 - repeatable damage
    refused = []
    for _ in range(400):
        text = chance.choice([OLD, NEW])
        at = chance.randrange(len(text))
        piece = chance.choice(
            ["", "\t", ": ", "- ", "[", "}", "*x", "&x ", "!!set ", "2001-99-99", "\x00", "null", "~"]
        )
        mutated = text[:at] + piece + text[at + chance.randrange(6) :]
        try:
            read([("m.yaml", mutated)])
        except ConfigurationError as error:
            refused.append(error)

    assert len(refused) > 50
    assert all("m.yaml" in error.where and error.do for error in refused)


def test_names_are_followed_through_all_versions_of_a_schema_file() -> None:
    text = """
file_format: 1.1.0
schema_url: https://example.org/schemas/1.10.0
versions:
  1.10.0:
    all: {changes: [{rename_attributes: {attribute_map: {b.name: c.name}}}]}
  1.9.0:
    spans: {changes: [{rename_attributes: {attribute_map: {a.name: b.name}}}]}
    metrics:
      changes:
        - rename_metrics: {m.old: m.new}
        - rename_attributes: {attribute_map: {state: m.state}, apply_to_metrics: [m.old]}
  1.8.0:
"""

    renames = read_schema("1.10.0", text)

    assert renames.attributes == {"a.name": "c.name", "b.name": "c.name"}
    assert renames.metrics == {"m.old": "m.new"}
    assert renames.in_metrics == {"state": {"m.state": ("m.new", "m.old")}}


def test_the_shipped_table_names_its_origin_and_resolves_every_reference() -> None:
    registry = shipped()

    text = Path(registry_module.__file__).with_name(registry_module.SHIPPED).read_text(encoding="utf-8")
    assert "Apache-2.0" in text[:300]
    signals = [*registry.spans.values(), *registry.metrics.values(), *registry.events.values()]
    unknown = {r.name for signal in signals for r in signal.attributes if r.name not in registry.attributes}
    assert not unknown


def test_span_classes_stand_on_the_registrys_definitions() -> None:
    registry = shipped()
    number = {number: word for word, number in KINDS.items()}

    for each in CLASSES:
        assert all(registry.find(mark) is not None for mark in each.marks), each
        if each.definition:
            defined = registry.spans[each.definition]
            assert {*each.marks} <= {reference.name for reference in defined.attributes}, each
            assert {number[kind] for kind in each.kinds} <= {defined.kind}, each


def test_compiling_a_folder_without_yaml_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = compile_main([str(tmp_path)])

    assert code == 5
    assert "no YAML files" in capsys.readouterr().err


def _outside() -> Path:
    folder = outside_data()
    if folder is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA names no folder")
    return folder / "semconv"


@pytest.mark.outside
@pytest.mark.parametrize(("folder", "n_attributes"), [("registry-v1.44.0", 940), ("registry-main", 943)])
def test_opentelemetrys_registry_is_read_whole(folder: str, n_attributes: int) -> None:
    registry = read(documents(_outside() / folder / "model"))

    assert len(registry.attributes) == n_attributes
    assert sum(a.type == "enum" for a in registry.attributes.values()) == 171
    counts = [len(part) for part in (registry.metrics, registry.spans, registry.entities, registry.events)]
    assert counts == [541, 78, 64, 32]


@pytest.mark.outside
def test_stability_and_deprecation_of_the_release_are_as_counted() -> None:
    attributes = read(documents(_outside() / "registry-v1.44.0" / "model")).attributes.values()

    assert sum(a.stability == "stable" and a.deprecated is None for a in attributes) == 121
    assert sum(a.deprecated is not None for a in attributes) == 206
    assert sum(a.deprecated is not None and a.deprecated.reason == "renamed" for a in attributes) == 97


@pytest.mark.outside
def test_the_shipped_table_is_what_the_release_compiles_to() -> None:
    made = compiled(_outside() / "registry-v1.44.0")

    assert made == Path(registry_module.__file__).with_name(registry_module.SHIPPED).read_bytes()


@pytest.mark.outside
def test_mutated_files_of_the_real_registry_never_crash() -> None:
    chance = random.Random(11)  # noqa: S311 - repeatable damage
    refused = []
    texts = [text for _, text in documents(_outside() / "registry-v1.44.0" / "model") if len(text) < 20_000]
    for _ in range(150):
        text = chance.choice(texts)
        at = chance.randrange(len(text))
        mutated = text[:at] + chance.choice(["", "\n", ":", "- ", "[", "{", "'"]) + text[at + chance.randrange(20) :]
        try:
            read([("m.yaml", mutated)])
        except WeaverForgeError as error:
            refused.append(error)

    assert refused
    assert all("m.yaml" in error.where for error in refused)
