"""Reading a published snapshot: what a gate, a hook, a page or a notebook knows.

DuckDB and the standard library only, so that a verdict is there in a fraction of a second where polars and
Dagster are not installed. Writing a snapshot, and its layout, stand in ``warehouse.publish``.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from weaver_forge.errors import NothingPublished, SourceError, UsageError

CURRENT = "CURRENT"
FORMAT = 1
"""The newest layout this reader understands."""

_SHOWN = 5
_PUBLISH = "Publish one with `weaver-forge run`, or name a folder that has one"


def open_snapshot(where: Path) -> "Snapshot":
    """Open the current snapshot of a deployment or of its published folder, or one ``serving-*.duckdb`` file.

    Raises:
        NothingPublished: If there is none.
        SourceError: If it cannot be read, or a newer release wrote it.
    """
    if where.is_file():
        return Snapshot(where)
    folder = next((f for f in (where, where / "data" / "published") if (f / CURRENT).is_file()), None)
    if folder is None:
        raise NothingPublished("there is no published snapshot", where=str(where), do=_PUBLISH)
    path = _pointed_to(folder)
    if not path.is_file():  # dropped between the two looks: the pointer has moved on by now
        path = _pointed_to(folder)
    if not path.is_file():
        raise NothingPublished(f"CURRENT names {path.name}, which is not there", where=str(folder), do=_PUBLISH)
    return Snapshot(path)


class Snapshot:
    """One published snapshot, read-only; any number of processes may have it open.

    It stays whole while it is open, even when newer ones replace it and its file is removed.

    Attributes:
        path: The file.
        version: Counts up from 1 with every publication.
        published_at: When it was published, naive UTC.
        data_as_of: Newest arrival of the data behind it, naive UTC; None when there was no data.
        specs: Decision name -> its spec as data.
        policy_text: policy.yaml as it held then.
        meta: Everything the snapshot says about itself, as text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._con = duckdb.connect(str(path), read_only=True)
            self.meta: dict[str, str | None] = dict(self._con.execute("select key, value from meta").fetchall())
        except duckdb.Error as error:
            raise SourceError(
                f"not a readable snapshot: {str(error).splitlines()[0]}", where=str(path), do=_PUBLISH
            ) from error
        names = (row["table_name"] for row in self._fetched("select table_name from duckdb_tables()"))
        self._tables = sorted(name for name in names if name != "meta")
        if int(self.meta.get("format") or 0) > FORMAT:
            self.close()
            raise SourceError(
                f"a newer release wrote it (layout {self.meta['format']}, this one reads up to {FORMAT})",
                where=str(path),
                do="Update weaver-forge here",
            )
        self.version = int(self.meta["version"] or 0)
        self.published_at = _instant(self.meta["published_at"] or "")
        as_of = self.meta["data_as_of"]
        self.data_as_of = _instant(as_of) if as_of else None
        self.specs: dict[str, dict[str, Any]] = {spec["name"]: spec for spec in json.loads(self.meta["specs"] or "[]")}
        self.policy_text = self.meta["policy_text"] or ""

    def __enter__(self) -> Self:
        """Give itself; leaving closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._con.close()

    def tables(self) -> list[str]:
        """Names of the tables in it, sorted; ``meta`` is not one of them."""
        return list(self._tables)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query, column name -> value; instants are naive UTC.

        Args:
            sql: One statement, a ``?`` for each parameter.
            parameters: Text, numbers, booleans, instants or None.

        Raises:
            TypeError: If a parameter is anything else.
        """
        if not parameters:
            return self._fetched(sql)
        # Not DuckDB's own binding: to look at one Python string it imports pandas, numpy and pyarrow where they
        # are installed, 0.8 s (1.5.5), more than a gate may take in all.
        self._con.execute(f"prepare asked as {sql}")
        try:
            return self._fetched(f"execute asked({', '.join(map(_literal, parameters))})")
        finally:
            self._con.execute("deallocate asked")

    def _fetched(self, sql: str) -> list[dict[str, Any]]:
        cursor = self._con.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def predictions(self, decision: str, entity: str, match: Mapping[str, str]) -> list[dict[str, Any]]:
        """The newest prediction of each subject that matches, all columns; none is an empty list.

        Args:
            decision: Its name.
            entity: The kind of subject.
            match: Key column -> value. ``revision`` may be the beginning of a commit id if only one fits.

        Raises:
            UsageError: If decision, entity or column are unknown, or several revisions begin so.
        """
        table, key, wanted = self._subject(decision, entity, match)
        if table not in self._tables:
            return []
        return self.rows(f"{_newest(table, key, wanted)} order by {_listed(key)}", list(wanted.values()))

    def candidates(self, decision: str, entity: str, match: Mapping[str, str]) -> list[dict[str, Any]]:
        """The ranked candidates of each matching subject's newest prediction, by subject and rank.

        Raises:
            UsageError: As for :meth:`predictions`.
        """
        table, key, wanted = self._subject(decision, entity, match)
        ranked = f"{table}_candidates"
        if not {table, ranked} <= set(self._tables):
            return []
        # Of the newest prediction only: an older one's causes would explain what nobody says any more.
        subject = _listed([*key, "predicted_at"])
        sql = f"""
            with newest as ({_newest(table, key, wanted)})
            select candidate.* from {_quoted(ranked)} as candidate semi join newest using ({subject})
            order by {subject}, rank
        """  # noqa: S608 - names are checked against the spec
        return self.rows(sql, list(wanted.values()))

    def artifact(self, decision: str, entity: str) -> bytes:
        """The champion's exported artifact.

        Raises:
            NothingPublished: If none was published with this snapshot.
        """
        number = self.path.stem.removeprefix("serving-")
        path = self.path.parent / f"artifacts-{number}" / f"{decision}__{entity}.json"
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise NothingPublished(f"no artifact of {decision} for {entity}", where=str(path), do=_PUBLISH) from error

    def _subject(self, decision: str, entity: str, match: Mapping[str, str]) -> tuple[str, list[str], dict[str, str]]:
        """The prediction table, its key columns, and the match with a whole revision."""
        kind = self._kind(decision, entity)
        table, key = str(kind["table"]), list(kind["key"])
        if unknown := [name for name in match if name not in key]:
            raise UsageError(
                f"{decision} knows no {', '.join(unknown)}", where=f"{decision} {entity}", do=f"Use {', '.join(key)}"
            )
        return table, key, self._whole_revision(table, match)

    def _kind(self, decision: str, entity: str) -> dict[str, Any]:
        if decision not in self.specs:
            known = ", ".join(sorted(self.specs)) or "none"
            raise UsageError(f"unknown decision {decision!r}", where=str(self.path), do=f"This snapshot has: {known}")
        kinds: list[dict[str, Any]] = self.specs[decision]["kinds"]
        for kind in kinds:
            if kind["entity"] == entity:
                return kind
        known = ", ".join(kind["entity"] for kind in kinds)
        raise UsageError(f"{decision} has no {entity!r}", where=str(self.path), do=f"It has: {known}")

    def _whole_revision(self, table: str, match: Mapping[str, str]) -> dict[str, str]:
        """The match with the one commit id that begins like the given one; a whole id is taken as it is."""
        prefix = match.get("revision")
        if prefix is None or table not in self._tables or re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", prefix):
            return dict(match)
        rest = {name: value for name, value in match.items() if name != "revision"}
        conditions = "".join(f" and {_quoted(name)} = ?" for name in rest)
        sql = f"select distinct revision from {_quoted(table)} where starts_with(revision, ?){conditions} order by 1"  # noqa: S608 - names are checked
        found = [row["revision"] for row in self.rows(sql, [prefix, *rest.values()])]
        if len(found) > 1 and prefix not in found:
            shown = ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
            raise UsageError(f"revision {prefix!r} is not unique: {shown}", where=table, do="Give more digits")
        return {**match, "revision": found[0]} if len(found) == 1 else dict(match)


def _pointed_to(folder: Path) -> Path:
    pointer = folder / CURRENT
    try:
        return folder / str(json.loads(pointer.read_text(encoding="utf-8"))["file"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"not a pointer to a snapshot: {error}", where=str(pointer), do=_PUBLISH) from error


def _newest(table: str, key: Sequence[str], wanted: Mapping[str, str]) -> str:
    """The query of the newest row of each matching subject; its parameters are the values of ``wanted``."""
    conditions = " and ".join(f"{_quoted(name)} = ?" for name in wanted) or "true"
    return (
        f"select * from {_quoted(table)} where {conditions} qualify"  # noqa: S608 - names are checked against the spec
        f" row_number() over (partition by {_listed(key)} order by predicted_at desc, made_at desc) = 1"
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z"))


def _literal(value: object) -> str:
    """A value as an SQL literal; in a text only the quote has a meaning, and it is doubled."""
    if value is None or isinstance(value, bool | int | float):
        return "null" if value is None else repr(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        return f"timestamp '{value.isoformat(sep=' ')}'"
    if isinstance(value, str) and "\0" not in value:
        return "'" + value.replace("'", "''") + "'"
    raise TypeError(f"{value!r} cannot be a parameter: give text, a number, a boolean, a naive instant or None")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
