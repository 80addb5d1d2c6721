"""What `ingest` was given without a source: sorted by what it is, and told."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from assets.raw.guessing import Guessed, guess
from assets.resources import Emit
from weaver_forge.decode.recognise import FLAGS
from weaver_forge.errors import UsageError
from weaver_forge.settings import SOURCES, Settings

UNSAID = "unsaid"
"""Key of the paths that were given without a source."""

_REPORTS = ("tests", "coverage")
"""Sources that a revision and a run are said of."""
_SHOWN = 5


def named_inputs(arguments: Mapping[str, Any], settings: Settings, emit: Emit) -> dict[str, dict[str, Any]]:
    """The inputs by source, with those of no named source put to the one that they are of.

    Raises:
        UsageError: If paths were given without a source and none of them can be told.
        MissingInput: If such a path is not there.
    """
    inputs = {name: dict(value) for name, value in arguments.items() if name != UNSAID}
    unsaid = dict(arguments.get(UNSAID, {}))
    paths = unsaid.pop("paths", [])
    if not paths:
        return inputs
    found = guess(paths, settings.root)
    if not found.of and not inputs:
        raise UsageError(
            f"what this is cannot be told: {_unknown(found)}",
            where=", ".join(paths),
            do=f"Say it by a flag: {', '.join(f'{FLAGS[name]} PATH' for name in SOURCES)}",
        )
    for source, files in found.of.items():
        said = inputs.setdefault(source, {"paths": [], **(unsaid if source in _REPORTS else {})})
        said["paths"] = [*said["paths"], *files]
    taken = ", ".join(f"{len(files):,} as {FLAGS[source]}" for source, files in found.of.items())
    emit({"event": "line", "text": f"told by what they begin with: {taken or 'none'}", "style": "dim"})
    if found.unknown:
        text = f"{len(found.unknown):,} files were not read, for what they are cannot be told: {_unknown(found)}. "
        emit({"event": "line", "text": f"{text}Name them after a flag, as --tests", "style": "warn"})
    return inputs


def _unknown(found: Guessed) -> str:
    """A few of the files by what they look like, rarest kinds as well."""
    kinds = Counter(found.unknown.values())
    first = {what: path for path, what in reversed(found.unknown.items())}
    told = [
        f"{first[what]}" + (f" and {n - 1:,} more" if n > 1 else "") + f": {what}"
        for what, n in kinds.most_common(_SHOWN)
    ]
    return "; ".join(told) + (f"; {len(kinds) - _SHOWN} other kinds" if len(kinds) > _SHOWN else "")
