"""How the state of the data is put into words: the same in what ``ingest``, ``doctor`` and ``links`` say.

Counting it belongs in ``warehouse.overview``, laying it out in the command.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

FLAG_HINT = "a file whose source you know is read once it is named after its flag, as --tests FILE"
_WAYS = {
    "github_actions": "weaver-forge import github, or ingest --runs FILE",
    "gitlab": "weaver-forge import gitlab, or ingest --gitlab FILE",
}


def share(n: int, of: int) -> str:
    """A part with what it is a part of; per cent are rounded down, so that only all of it is 100 %."""
    return f"{n:,} of {of:,} ({n * 100 // of} %)" if of else "none there"


def link_in_words(row: Mapping[str, Any]) -> str:
    """A pair of kinds, the one that is looked at first: "build to its change"."""
    later, earlier = (str(row[name]).replace("_", " ") for name in ("to_kind", "from_kind"))
    return f"{later} to its {earlier}"


def methods_in_words(methods: str | None) -> str | None:
    """How links of a pair were found, the most frequent method first; from JSON, None where there is none."""
    counted = Counter(json.loads(methods or "{}"))
    return ", ".join(f"{method} {n:,}" for method, n in counted.most_common()) or None


def unfinished_in_words(row: Mapping[str, Any]) -> str:
    """What is said of a file that ends inside a message: a row of ``warehouse.overview.unfinished``."""
    said = f"{row['name']}: its last {row['tail_bytes']:,} bytes end inside a message"
    if not row.get("is_there", True):
        return f"{said}, and the file is gone: they were not taken in"
    if row.get("is_compressed"):
        return f"{said} (unpacked): unless it is still being written, it is cut off: write it again as a whole"
    return f"{said}; taken in by the next ingest that finds the rest"


def unused_results(results: Mapping[str, int], hosts: Collection[str]) -> list[str]:
    """Why test results are not used and what to do; nothing where all are.

    Args:
        results: n, n_linked and n_waiting, as ``warehouse.overview.results`` counts them.
        hosts: Sources of CI runs that the deployment uses; where it uses none, all are named.
    """
    n, linked, waiting = (results.get(name, 0) for name in ("n", "n_linked", "n_waiting"))
    runs = "; ".join([way for host, way in _WAYS.items() if host in hosts] or _WAYS.values())
    told = []
    if waiting:
        told.append(
            f"{waiting:,} of {n:,} test results are of CI runs that were not taken in yet, and are used once they are: "
            f"{runs}"
        )
    if untold := n - linked - waiting:
        told.append(
            f"{untold:,} of {n:,} test results have no revision and are not used: take the reports in again with "
            f"--revision SHA, or with --run ID and the CI runs that they are of ({runs})"
        )
    return told


def next_for_results(results: Mapping[str, int]) -> str:
    """The command that makes test results usable; empty where none is without a revision that nothing will give."""
    untold = results.get("n", 0) - results.get("n_linked", 0) - results.get("n_waiting", 0)
    return "weaver-forge ingest --tests REPORTS --revision SHA" if untold else ""


def unread_in_words(unread: Iterable[Mapping[str, str]]) -> list[str]:
    """Files that no source reads, a line a reason with the flag to try, the most frequent first."""
    rows = list(unread)
    counted = Counter((row["reason"], row["try"]) for row in rows).most_common()
    first = {(row["reason"], row["try"]): row["file"] for row in reversed(rows)}
    return [
        f"{n:,} x {reason}{f' (try {flag})' if flag else ''}: {first[reason, flag]}{', ...' if n > 1 else ''}"
        for (reason, flag), n in counted
    ]
