"""What parsers say is wrong with a text, in words for whoever wrote the file.

Put here the translation of messages of msgspec, json, Unicode decoding, expat and Arrow. A message that is not known
stays as it is: it may be all that helps. Where something stands is kept as ``at byte 13`` or ``at line 3, column 1``.
"""

import json
import re
from collections.abc import Callable

_Made = str | Callable[["re.Match[str]"], str]

_KINDS = {
    "str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "an object", "null": "null", "datetime": "a time",
}  # fmt: skip


def _named(kinds: str) -> str:
    names = [_KINDS.get(kind.strip(), kind.strip()) for kind in kinds.split("|")]
    return " or ".join(name for name in names if name != "null" or len(names) == 1)


def _mismatch(found: "re.Match[str]") -> str:
    return f"{_named(found['want'])} is needed, not {_named(found['got'])}"


_RULES: tuple[tuple["re.Pattern[str]", _Made], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Input data was truncated", "it ends in the middle of a value"),
        (r"JSON is malformed: invalid character \(byte (\d+)\)", r"no JSON value begins like this at byte \1"),
        (r"JSON is malformed: trailing characters \(byte (\d+)\)", r"something follows the JSON value at byte \1"),
        (r"JSON is malformed: trailing comma in (\w+) \(byte (\d+)\)", r"a comma before the end of the \1 at byte \2"),
        (r"JSON is malformed: object keys must be strings \(byte (\d+)\)", r"a key is not in quotes at byte \1"),
        (r"JSON is malformed: expected (.+) \(byte (\d+)\)", r"\1 is missing at byte \2"),
        (r"JSON is malformed: (.+) \(byte (\d+)\)", r"\1 at byte \2"),
        (r"Expecting value: line (\d+) column (\d+) \(char \d+\)", r"no JSON value at line \1, column \2"),
        (r"Extra data: line (\d+) column (\d+) \(char \d+\)",
         r"something follows the JSON value at line \1, column \2"),
        (r"Expecting property name enclosed in double quotes: line (\d+) column (\d+) \(char \d+\)",
         r"a key is not in quotes at line \1, column \2"),
        (r"Expecting (.+): line (\d+) column (\d+) \(char \d+\)", r"\1 is missing at line \2, column \3"),
        (r"(.+?)(?: starting at)?: line (\d+) column (\d+) \(char \d+\)", r"\1 at line \2, column \3"),
        (r"Object missing required field `([^`]+)`", r"the field \1 is missing"),
        (r"Object contains unknown field `([^`]+)`", r"the field \1 is not known"),
        (r"Expected `(?P<want>[^`]+)`, got `(?P<got>[^`]+)`", _mismatch),
        (r"Invalid RFC3339 encoded (?:datetime|date)", "this is no time in ISO 8601, as 2026-03-01T12:00:00Z"),
        (r"Invalid enum value (.+)", r"\1 is none of the known values"),
        (r"Integer value out of range|Number out of range", "a number is too large"),
        (r"maximum recursion depth exceeded.*", "it is nested too deeply"),
        # Where msgspec says it is counts from the text that it is in, not from the line: left out.
        (r"(?s)'utf-8' codec can't decode .*", "bytes that are not UTF-8: write the file in UTF-8"),
        (r"(?s)'utf-8' codec can't encode .*", "a character is no valid Unicode: write the file in UTF-8"),
        (r"(?s).*straddling object straddles two block boundaries.*",
         "a row has no end within 4 MiB: most likely a quote is not closed"),
        (r"(?s)(?:CSV parse error: )?Empty CSV file.*", "the file is empty"),
        (r"(?s)CSV parse error: (.*)", r"\1"),
        (r"(?s)failed to decode Protobuf message: .*|Error parsing message.*",
         "its bytes are damaged, cut off, or of another format"),
        (r"(?s)Parquet magic bytes not found in footer.*|.*Couldn't deserialize thrift.*",
         "it is damaged or cut off"),
        (r"(?s)(?:Error|Error with status \S+): (.*)", r"\1"),
    )
)  # fmt: skip
_PLACE = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_EXPAT = {
    "no element found": "it ends early",
    "not well-formed (invalid token)": "a character that may not stand there",
    "syntax error": "no XML",
    "unclosed token": "a tag that does not end",
    "mismatched tag": "an end tag without its beginning",
    "junk after document element": "something after the end of the document",
}
_XML = re.compile(r"^(?P<what>[^:]+): line (?P<line>\d+), column (?P<column>\d+)$")


def kept_before(n: int) -> str:
    """What is kept of a report that breaks off after ``n`` complete test cases."""
    if not n:
        return "no complete test case before it"
    return "the one complete test case before it is kept" if n == 1 else f"{n:,} complete test cases before it are kept"


def in_words(error: Exception | str) -> str:
    """Say in plain words what a parser complains about; in one line, with the place that it names.

    Args:
        error: Of msgspec, json, a codec, expat, Arrow or protobuf, or its message.
    """
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        error = f"{error.msg}: line {error.lineno} column {error.colno} (char {error.pos})"
    text = str(error)
    place = _PLACE.search(text)
    body = text[: place.start()] if place else text
    for pattern, words in _RULES:
        if found := pattern.fullmatch(body):
            body = words(found) if callable(words) else found.expand(words)
            break
    if xml := _XML.match(body):
        body = f"{_EXPAT.get(xml['what'], xml['what'])} at line {xml['line']}, column {int(xml['column']) + 1}"
    named = place[1].replace("[...]", "[]") if place else ""
    return " ".join((f"{named}: {body}" if named else body).split())
