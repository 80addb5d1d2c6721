"""What `ingest` was given without a source: sorted by what it is, and told."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from assets.raw.guessing import Unread, guess
from assets.resources import Emit
from assets.unread import remember
from weaver_forge.decode.recognise import FLAGS
from weaver_forge.errors import UsageError
from weaver_forge.hooks.wording import FLAG_HINT
from weaver_forge.settings import SOURCES, Settings

UNSAID = "unsaid"
"""Key of the paths that were given without a source."""

_REPORTS = ("tests", "coverage")
"""Sources that a revision and a run are said of."""
_KINDS = 12
_NAMED = 3


def named_inputs(
    arguments: Mapping[str, Any], settings: Settings, emit: Emit
) -> tuple[dict[str, dict[str, Any]], list[dict[str, str]]]:
    """The inputs by source, with those of no named source put to the one that they are of, and the files of none.

    Returns:
        The inputs by source; of each file that is not read its ``file``, ``reason`` and the flag to ``try``.

    Raises:
        UsageError: If paths were given without a source and none of them can be told.
        MissingInput: If such a path is not there.
    """
    inputs = {name: dict(value) for name, value in arguments.items() if name != UNSAID}
    unsaid = dict(arguments.get(UNSAID, {}))
    paths = unsaid.pop("paths", [])
    if not paths:
        return inputs, []
    found = guess(paths, settings.root)
    unread = [{"file": one.file, "reason": one.reason, "try": one.flag} for one in found.unread]
    remember(settings, unread)
    if not found.of and not inputs:
        if len(unread) > 1:
            _report(found.unread, emit)
        emit({"event": "result", "data": {"intake": [], "problems": [], "unread": unread}})
        raise UsageError(
            f"what this is cannot be told: {_in_short(found.unread)}",
            where=", ".join(paths),
            do=f"Say it by a flag: {', '.join(f'{FLAGS[name]} PATH' for name in SOURCES)}",
        )
    for source, files in found.of.items():
        said = inputs.setdefault(source, {"paths": [], **(unsaid if source in _REPORTS else {})})
        said["paths"] = [*said["paths"], *files]
    taken = ", ".join(f"{len(files):,} as {FLAGS[source]}" for source, files in found.of.items())
    emit({"event": "line", "text": f"told by what they begin with: {taken or 'none'}", "style": "dim"})
    _report(found.unread, emit)
    return inputs, unread


def _report(unread: Sequence[Unread], emit: Emit) -> None:
    """A table with a row for each reason, the most frequent first."""
    if not unread:
        return
    kinds = Counter((one.reason, one.flag) for one in unread).most_common()
    first = {(one.reason, one.flag): one.file for one in reversed(unread)}
    emit({
        "event": "table",
        "title": f"Not read: {len(unread):,} file{'s' if len(unread) > 1 else ''}",
        "columns": ["files", "why", "try", "first file"],
        "rows": [[n, kind[0], kind[1] or None, first[kind]] for kind, n in kinds[:_KINDS]],
    })  # fmt: skip
    if len(kinds) > _KINDS:
        n_more = sum(n for _, n in kinds[_KINDS:])
        text = f"and {n_more:,} more for {len(kinds) - _KINDS:,} other reasons: --json lists every file"
        emit({"event": "line", "text": text, "style": "dim"})
    emit({"event": "line", "text": FLAG_HINT, "style": "dim"})


def _in_short(unread: Sequence[Unread]) -> str:
    """A few of the files, by what they look like."""
    kinds = Counter(one.reason for one in unread).most_common()
    first = {one.reason: one.file for one in reversed(unread)}
    told = [first[reason] + (f" and {n - 1:,} more" if n > 1 else "") + f": {reason}" for reason, n in kinds[:_NAMED]]
    return "; ".join(told) + (f"; {len(kinds) - _NAMED} other kinds, above" if len(kinds) > _NAMED else "")
