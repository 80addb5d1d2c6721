"""Lists of JSON attributes are cut by text; what has another look is read element by element and says the same."""

import json
from typing import Any

import pytest

from weaver_forge.decode.otlp_json_attributes import read_lists


def pair(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}


def found(raw: bytes) -> list[tuple[str | None, str | None]]:
    unreadable: dict[int, str] = {}
    pairs = read_lists([raw], unreadable)
    assert not unreadable
    assert not pairs.attributes.reasons
    return [(pairs.attributes.keys[int(code)], pairs.attributes.texts[int(code)]) for code in pairs.codes]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize(
    ("pairs", "texts"),
    [
        ([], []),
        ([pair("a", stringValue="x"), pair("b", intValue="-7"), pair("c", intValue=7)], ["x", "-7", "7"]),
        ([pair("a", stringValue='},{"key":'), pair("b", stringValue="\u00e9\n")], ['},{"key":', "é\n"]),
        ([pair("a", kvlistValue={"values": [pair("x", intValue="1"), pair("y", intValue="2")]})], ['{"x":1,"y":2}']),
        ([{"value": {"doubleValue": 266.0}, "key": "a"}, {"key": "b"}], ["266.0", None]),
    ],
)  # fmt: skip
def test_a_list_says_the_same_however_it_is_written(pairs: list, texts: list, separators: tuple[str, str]) -> None:
    raw = json.dumps(pairs, separators=separators).encode()

    assert found(raw) == [(p["key"], text) for p, text in zip(pairs, texts, strict=True)]


@pytest.mark.parametrize(
    "raw", [b"5", b"[5]", b"[null]", b'["GET"]', b'[{"key":"\xff","value":{}}]', b'[{"key":"a"},5]']
)
def test_what_is_no_list_of_attributes_costs_its_span_only(raw: bytes) -> None:
    good = b'[{"key":"a","value":{"stringValue":"x"}}]'
    unreadable: dict[int, str] = {}

    pairs = read_lists([good, raw, good], unreadable)

    bad = {int(code) for code in pairs.codes} & set(pairs.attributes.reasons)
    assert bool(bad) != (1 in unreadable)
    assert pairs.attributes.texts[int(pairs.codes[0])] == pairs.attributes.texts[int(pairs.codes[-1])] == "x"
