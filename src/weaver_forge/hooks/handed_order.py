"""An order of tests that somebody hands to a test runner: a ranking that was written, or what is published.

Put here how it is found and read, and what makes it unfit to be used. What a runner does with it is the runner's own
hook; how an order comes about is ``rank_tests``'s. A written ranking is read with the standard library alone.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from weaver_forge.errors import SourceError, UsageError

DECISION = "test_selection"
_AGAIN = "Write it anew: weaver-forge rank-tests --json > ranking.json"
_SNAPSHOT = ("weaver-forge.toml", "CURRENT", "data/published/CURRENT")

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """Tests by their id, in order.

    Args:
        order: All tests that are named, those to run first first.
        rest: Those of them that may run later; None where what was handed says nothing about it.
        revision: What it was made for; empty where that is not said.
        expires_at: Until when it holds, naive UTC; None where that is not said.
        scope: Which kill switch it is under; empty where that is not said.
        published: Folder of the snapshot that it was read from.
        quarantined: Test -> until when its failures stop nobody, naive UTC.
        warning: What must be said where it is used: that all tests run, in the order of another revision.
    """

    order: tuple[str, ...]
    rest: tuple[str, ...] | None = None
    revision: str = ""
    expires_at: datetime | None = None
    scope: str = ""
    published: Path | None = None
    quarantined: Mapping[str, datetime] = field(default_factory=dict)
    warning: str = ""

    def outdated(self, checked_out: Sequence[str], now: datetime) -> str:
        """Why it is too old to be used; empty where it is not.

        Args:
            checked_out: Commit ids that count as what is tested; empty: nobody knows.
            now: Naive UTC.
        """
        if self.expires_at is not None and self.expires_at <= now:
            return f"it has expired ({self.expires_at.isoformat()}Z)"
        if self.revision and checked_out and not any(known.startswith(self.revision) for known in checked_out):
            return f"it is for revision {self.revision[:12]}, and {checked_out[0][:12]} is checked out"
        return ""


def read_handed(where: Path, checked_out: Callable[[], Sequence[str]]) -> Handed:
    """Read an order.

    Args:
        where: What ``rank-tests`` wrote (``--json``, or a run or rest file), a folder with ``ranking.json`` or with
            ``run`` and ``rest`` as ``.json`` or ``.txt``, a published folder, or a deployment.
        checked_out: Commit ids to look for in a snapshot; asked only there.

    Raises:
        SourceError: If it is missing, cannot be read, names no test, or says that everything must run and has no order.
        UsageError: If it is no file and no folder, but an address.
    """
    if "://" in str(where) or str(where).startswith(("http:/", "https:/")):
        raise UsageError("an address is not read here", where=str(where), do="Hand over a file or a folder")
    if where.is_dir():
        handed = _of_folder(where, checked_out)
    elif where.suffix == ".duckdb":
        handed = _published(where, checked_out())
    else:
        handed = _of_file(where)
    if not handed.order:
        raise SourceError("it names no test", where=str(where), do=_AGAIN)
    return handed


def _of_folder(folder: Path, checked_out: Callable[[], Sequence[str]]) -> Handed:
    ranking = folder / "ranking.json"
    if ranking.is_file():
        return _of_file(ranking)
    run, rest = (
        next((path for path in (folder / f"{name}.json", folder / f"{name}.txt") if path.is_file()), None)
        for name in ("run", "rest")
    )
    if run is not None or rest is not None:
        now = _of_file(run).order if run is not None else ()
        later = _of_file(rest).order if rest is not None else None
        return Handed(order=(*now, *(later or ())), rest=later)
    if any((folder / name).is_file() for name in _SNAPSHOT):
        return _published(folder, checked_out())
    raise SourceError("there is no ranking and no published snapshot in it", where=str(folder), do=_AGAIN)


def _of_file(path: Path) -> Handed:
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text) if text.lstrip()[:1] in {"{", "["} else None
    except FileNotFoundError as error:
        raise SourceError("there is no such file", where=str(path), do=_AGAIN) from error
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"it cannot be read: {error}", where=str(path), do=_AGAIN) from error
    try:
        if isinstance(document, dict):
            return _of_ranking(document)
        if isinstance(document, list):
            return _of_list(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"it is no ranking: {error!r}", where=str(path), do=_AGAIN) from error
    except SourceError as error:
        raise SourceError(error.what, where=str(path), do=error.do) from error
    return Handed(order=tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip())))


def _of_ranking(document: Mapping[str, Any]) -> Handed:
    """The whole answer of ``rank-tests --json``."""
    run, rest = document["run"], document["rest"]
    warning = ""
    if document["run_everything"]:
        warning = "; ".join(map(str, document.get("ranking_reasons", ()))) or "no order is known"
        if not document.get("order_of"):
            raise SourceError(warning, do="The whole suite runs")
    expires = document.get("expires_at")
    return Handed(
        order=tuple(_ids(sorted((*run, *rest), key=itemgetter("rank")))),
        rest=() if warning else tuple(_ids(rest)),
        warning=warning,
        revision=str((document.get("subject") or {}).get("revision") or ""),
        expires_at=datetime.fromisoformat(expires.removesuffix("Z")) if expires else None,
        scope=str(document.get("scope") or ""),
        quarantined={
            str(row["test_id"]): datetime.fromisoformat(str(row["expires_at"]).removesuffix("Z"))
            for row in document.get("quarantined") or ()
        },
    )


def _of_list(rows: Rows) -> Handed:
    """A run file, or a rest file: there every row says why it waits."""
    names = tuple(_ids(rows))
    return Handed(order=names, rest=names if names and all("why" in row for row in rows) else None)


def _ids(rows: Rows) -> list[str]:
    return [str(row["test_id"]) for row in rows]


def _published(where: Path, checked_out: Sequence[str]) -> Handed:
    """The newest predictions for what is checked out; policy is not asked, so nothing is said about a rest."""
    from weaver_forge.hooks.rank_tests import ordered
    from weaver_forge.snapshot import open_snapshot

    if not checked_out:
        raise SourceError("git does not say which revision this is", where=str(where), do=_AGAIN)
    with open_snapshot(where) as snapshot:
        kinds = snapshot.specs.get(DECISION, {}).get("kinds", ())
        kind = next((kind for kind in kinds if {"test_id", "revision"} <= set(kind["key"])), None)
        if kind is None:
            raise SourceError(f"it predicts nothing for {DECISION}", where=str(snapshot.path), do=_AGAIN)
        for revision in checked_out:
            rows = snapshot.predictions(DECISION, kind["entity"], {"revision": revision})
            if rows:
                order = tuple(test.test_id for test in ordered(rows, {}))
                return Handed(order=order, revision=revision, published=snapshot.path.parent)
    raise SourceError(f"nothing is published for {checked_out[0][:12]}", where=str(where), do=_AGAIN)
