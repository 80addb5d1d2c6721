"""A file of the wrong format is refused once, with what it looks like; reasons are in plain words."""

import json
from datetime import datetime

import msgspec
import pytest

from weaver_forge.contracts.batch import Frame, Rejected
from weaver_forge.decode import deployments, focus
from weaver_forge.decode.envelope import envelopes
from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_framing import split
from weaver_forge.decode.recognise import FLAGS, recognise
from weaver_forge.settings import SOURCES

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\n\x00\n\xff\n"
XML = b'<?xml version="1.0"?>\n<testsuites>\n <testsuite name="s" tests="1">\n </testsuite>\n</testsuites>\n'
CSV = b"name,cost\n" + b"".join(b"service-%d,%d\n" % (n, n) for n in range(1, 400))
GOOD = b'{"deployment_id": "d", "service_key": "s/c/p", "version": "1", "started_at": "2026-03-01T12:00:00Z"}'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PNG, ("looks like a PNG picture",)),
        (XML, ("looks like a test report in XML", "Did you mean --tests?")),
        (CSV, ("looks like CSV", "FOCUS cost exports are given by --focus")),
        (b"BilledCost,EffectiveCost\n1,2\n3,4\n", ("a FOCUS cost export in CSV", "Did you mean --focus?")),
        (b"SQLite format 3\x00\n\x00\n", ("a SQLite database", "--coverage")),
        (b"once upon a time\nthere was a log\n", ("not JSON at all: plain text",)),
    ],
)
def test_a_file_that_is_no_json_is_refused_once_with_what_it_looks_like(data: bytes, words: tuple[str, ...]) -> None:
    batch = deployments.decode([Frame("f", data)])

    (refused,) = batch.rejected
    assert (refused.position, refused.data) == ("whole file", data)
    assert all(word in refused.reason for word in words)


@pytest.mark.parametrize("data", [PNG, XML])
def test_telemetry_of_the_wrong_format_is_refused_with_what_it_looks_like(data: bytes) -> None:
    (refused,) = split(Frame("f", data))

    assert isinstance(refused, Rejected)
    assert refused.reason.startswith("not OTLP: looks like a")


@pytest.mark.parametrize("data", [PNG, XML])
def test_costs_of_the_wrong_format_are_refused_with_what_they_look_like(data: bytes) -> None:
    batch = focus.decode([Frame("f", data)], received_at=datetime(2026, 3, 1))

    (refused,) = batch.rejected
    assert refused.reason.startswith("neither Parquet nor CSV: looks like a")


def test_a_document_over_many_lines_that_is_cut_off_is_refused_once() -> None:
    data = json.dumps([json.loads(GOOD)] * 50, indent=2).encode()[:-40]

    (refused,) = deployments.decode([Frame("f", data)]).rejected

    assert "one document" in refused.reason
    assert "it ends in the middle" in refused.reason


def test_a_file_with_some_good_lines_is_refused_line_by_line() -> None:
    batch = deployments.decode([Frame("f", b"a,b\n" + GOOD + b"\nc,d\n{half")])

    assert [refused.position for refused in batch.rejected] == ["line 1", "line 3", "line 4"]
    assert next(iter(batch.tables.values())).height == 1


def test_lines_that_are_all_damaged_are_refused_line_by_line() -> None:
    found = list(envelopes([Frame("f", b'{"a": \n{"b": \n')]))

    assert [piece.position for piece in found if isinstance(piece, Rejected)] == ["line 1", "line 2"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"{a: 1}", "a key is not in quotes at byte 1"),
        (b'{"a": 1', "it ends in the middle of a value"),
        (b'{"a": 1}, {}', "something follows the JSON value at byte 9"),
        (b"name,cost", "no JSON value begins like this at byte"),
        (b'{"a": "\xfc"}', "bytes that are not UTF-8: write the file in UTF-8"),
        (b'{"a": "x"}', "a: a whole number is needed, not a text"),
        (b'{"a": 1, "b": [{}]}', "b[0]: the field at is missing"),
        (b'{"b": [{"at": "x"}]}', "b[0].at: this is no time in ISO 8601, as 2026-03-01T12:00:00Z"),
        (b"[]", "an object is needed, not a list"),
    ],
)
def test_what_parsers_complain_about_is_said_in_plain_words(document: bytes, words: str) -> None:
    at = msgspec.defstruct("At", [("at", datetime)])
    shape = msgspec.defstruct("Shape", [("a", int | str if b"\xfc" in document else int, 0), ("b", list[at], [])])  # type: ignore[valid-type] # made here

    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as raised:
        msgspec.json.decode(document, type=shape)

    assert in_words(raised.value).startswith(words)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("unclosed token: line 6, column 0", "a tag that does not end at line 6, column 1"),
        ("straddling object straddles two block boundaries (try to increase block size?)", "a quote is not closed"),
        ("Error parsing message with type 'weaver_forge.otlp_pruned.Request'", "its bytes are damaged"),
        ("failed to decode Protobuf message: unexpected EOF in varint", "its bytes are damaged"),
        ("something that nobody has seen", "something that nobody has seen"),
    ],
)
def test_messages_of_other_parsers_are_translated_and_unknown_ones_stay(message: str, words: str) -> None:
    assert words in in_words(message)


def test_every_source_has_its_flag() -> None:
    assert set(FLAGS) == set(SOURCES)


@pytest.mark.parametrize(
    ("head", "source"),
    [
        (b'{"resourceSpans":[]}', "otlp"),
        (b'{"meta": {"format": 3, "show_contexts": true}, "files": {}}', "coverage"),
        (b'{"results": {"tool": {"name": "x"}, "tests": []}}', "tests"),
        (b'{"Time":"2026-03-01T12:00:00Z","Action":"run","Package":"p"}\n', "tests"),
        (b'{"object_kind": "pipeline"}', "gitlab"),
        (b'{"workflow_runs": [{"id": 1, "head_sha": "a"}]}', "github_actions"),
        (GOOD, "deployments"),
        (b'{"incident_id": "i"}', "incidents"),
        (b'{"groupKey": "g", "alerts": []}', "incidents"),
        (b'{"something": "else"}', None),
        (b"", None),
    ],
)
def test_a_source_is_recognised_by_the_beginning_of_its_files(head: bytes, source: str | None) -> None:
    likely = recognise(head)

    assert (likely.source if likely else None) == source
