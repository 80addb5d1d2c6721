"""Path patterns with named parts: what a report's place in the file tree says about it.

``reports/{run_id}/**/*.xml`` finds the same files as ``reports/*/**/*.xml`` and tells the run of each.
Plain expansion of patterns is in :mod:`weaver_forge.sources.files`.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from weaver_forge.errors import UsageError
from weaver_forge.sources.files import expand

NAMES = ("run_id", "run_number", "revision")
_PLACE = re.compile(r"\{(\w+)\}")


def expand_named(patterns: Sequence[str], root: Path) -> list[tuple[Path, dict[str, str]]]:
    """Files that match, each with the named parts of its path; files of several patterns come once.

    Raises:
        UsageError: If a pattern names a part that is not one of :data:`NAMES`.
        MissingInput: If a pattern matches nothing.
    """
    found: dict[Path, dict[str, str]] = {}
    for pattern in patterns:
        for name in _PLACE.findall(pattern):
            if name not in NAMES:
                raise UsageError(f"unknown part {{{name}}} in {pattern!r}", do=f"Known: {', '.join(NAMES)}")
        matcher = re.compile(_expression(str(root / pattern)))
        for path in expand([_PLACE.sub("*", pattern)], root):
            match = matcher.fullmatch(str(path))
            found.setdefault(path, match.groupdict() if match else {})
    return sorted(found.items())


def _expression(pattern: str) -> str:
    """Translate a glob with named parts to a regular expression over whole paths."""
    pieces = re.split(r"(\{\w+\}|\*\*/|\*\*|\*|\?)", pattern)
    translated = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    seen: set[str] = set()

    def piece(text: str) -> str:
        place = _PLACE.fullmatch(text)
        if place is None:
            return translated.get(text, re.escape(text))
        if place[1] in seen:
            return f"(?P={place[1]})"
        seen.add(place[1])
        return f"(?P<{place[1]}>[^/]+)"

    return "".join(piece(text) for text in pieces)
