"""Which rows of staged files a lake has already: exact, and reading as little as possible.

Put here what decides that. Where rows of one key have one time, files of other times are not asked. Where they need
not, an index of hashes says which keys may be stored at all; of those, the keys themselves are read.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import polars as pl

from weaver_forge.warehouse import lake_keys
from weaver_forge.warehouse.lake_files import HeldHashes, LakeFile, Staged
from weaver_forge.warehouse.lake_index import KeyIndex
from weaver_forge.warehouse.lake_keys import Hashes, Hashing

_Write = Callable[[pl.DataFrame], Staged]
"""Stages rows anew."""


class Known(Protocol):
    """What a lake asks before it commits."""

    def without(self, parts: Sequence[Staged], files: Sequence[LakeFile], write: _Write) -> list[Staged]:
        """Staged files without the rows whose key is in a committed file, or in a staged one before.

        Each stands for one that was given, in their order; some may have no rows left.
        """

    def joined(self, group: Sequence[LakeFile], made: Sequence[LakeFile]) -> None:
        """Files have taken the place of others, with the same rows."""


class KnownByTime:
    """Rows of equal keys have equal times: only files whose times meet a staged file's are asked."""

    def __init__(self, key: Sequence[str], held: HeldHashes) -> None:
        self._key, self._held = list(key), held

    def without(self, parts: Sequence[Staged], files: Sequence[LakeFile], write: _Write) -> list[Staged]:
        """As declared."""
        known, rest = list(files), list[Staged]()
        for part in parts:
            met = [f for f in known if lake_keys.meet(part.times, f.first_unix_ns, f.last_unix_ns)]
            suspects = [f.path for f in met if lake_keys.share_one(part.hashes, self._held.of(f))]
            rest.append(self._without(part, suspects, write) if suspects else part)
            known += [rest[-1].as_file] if rest[-1].n_rows else []
        return rest

    def joined(self, group: Sequence[LakeFile], made: Sequence[LakeFile]) -> None:
        """Nothing is kept of files."""

    def _without(self, part: Staged, suspects: Sequence[Path], write: _Write) -> Staged:
        rows = pl.read_parquet(part.path)
        names = rows.lazy().select(self._key)
        known = pl.scan_parquet(list(suspects)).select(self._key).join(names, on=self._key, how="semi").collect()
        rest = rows.join(known, on=self._key, how="anti", maintain_order="left")
        return _in_place(part, rest, write) if rest.height < rows.height else part  # else two keys of one hash


class KnownAnywhere:
    """Rows of equal keys may have any times: an index of the whole lake is asked.

    Args:
        index: Of the lake.
        key: Names of the key columns.
        time_column: Whose value tells a row that was sent again from one that only has its key.
        hashing: As in the index.
    """

    def __init__(self, index: KeyIndex, key: Sequence[str], time_column: str, hashing: Hashing) -> None:
        self._index, self._key, self._time, self._hashing = index, list(key), time_column, hashing

    def without(self, parts: Sequence[Staged], files: Sequence[LakeFile], write: _Write) -> list[Staged]:
        """As declared; rows left out that have another time than what is stored are counted."""
        batch = lake_keys.merged(part.hashes for part in parts)
        stored = self._index.met(batch, files)
        suspects = lake_keys.merged([batch[1:][batch[1:] == batch[:-1]], stored])
        if not len(suspects):
            return list(parts)
        asked = pl.concat(
            self._candidates(number, part, suspects, stored)
            for number, part in enumerate(parts)
            if lake_keys.share_one(part.hashes, suspects)
        )
        known = self._known(asked, files)
        dropped = {number: rows for (number,), rows in known.partition_by("part", as_dict=True).items()}
        return [self._rest(part, dropped[n], write) if n in dropped else part for n, part in enumerate(parts)]

    def joined(self, group: Sequence[LakeFile], made: Sequence[LakeFile]) -> None:
        """Tell the index."""
        self._index.joined([file.path for file in group], [file.path for file in made])

    def _candidates(self, number: int, part: Staged, suspects: Hashes, stored: Hashes) -> pl.DataFrame:
        """The rows of a staged file whose hash is suspect: part, row, key, time, and whether the lake has the hash."""
        rows = pl.read_parquet(part.path, columns=[*self._key, self._time]).with_row_index("row")
        hashes = self._hashing(rows, self._key)
        rows = rows.with_columns(part=pl.lit(number), in_lake=lake_keys.among(hashes, stored))
        return rows.filter(lake_keys.among(hashes, suspects))

    def _known(self, asked: pl.DataFrame, files: Sequence[LakeFile]) -> pl.DataFrame:
        """Of candidates those to leave out: part, row, and whether what holds their key has another time."""
        first = pl.struct(self._key).is_first_distinct()
        stored = self._stored(asked.filter(first & pl.col("in_lake")).select(*self._key, self._time), files)
        marked = asked.with_columns(first.alias("first"), pl.col(self._time).first().over(self._key).alias("held"))
        marked = marked.join(stored, on=self._key, how="left", maintain_order="left")
        known = marked.filter(pl.col("stored").is_not_null() | ~pl.col("first"))
        return known.select("part", "row", (pl.col(self._time) != pl.coalesce("stored", "held")).alias("differs"))

    def _stored(self, asked: pl.DataFrame, files: Sequence[LakeFile]) -> pl.DataFrame:
        """Keys of the lake among those asked for, with their times as ``stored``.

        What is sent again has its old time, so files of such times come first; mostly no other is read.
        """
        wanted, last = [*self._key, self._time], self._key[-1]
        found = [pl.DataFrame(schema=asked.schema).rename({self._time: "stored"})]
        for file in self._likely_first(asked, files):
            if asked.is_empty():
                break
            # The last column of the key alone is read first, and of the others the rows that it leaves.
            rows = pl.scan_parquet(file.path).filter(pl.col(last).is_in(asked[last].implode())).select(wanted).collect()
            hits = rows.rename({self._time: "stored"}).join(asked, on=self._key, how="inner")
            # Lakes of older releases may have a key twice: the row of the same time is the one sent again.
            hits = hits.sort(pl.col("stored") != pl.col(self._time), maintain_order=True)
            found.append(hits.unique(self._key, keep="first").select(found[0].columns))
            asked = asked.join(found[-1], on=self._key, how="anti") if hits.height else asked
        return pl.concat(found)

    def _likely_first(self, asked: pl.DataFrame, files: Sequence[LakeFile]) -> Iterable[LakeFile]:
        times = asked[self._time].sort().to_numpy()
        return sorted(files, key=lambda file: not lake_keys.meet(times, file.first_unix_ns, file.last_unix_ns))

    def _rest(self, part: Staged, dropped: pl.DataFrame, write: _Write) -> Staged:
        rows = pl.read_parquet(part.path)
        gone = pl.int_range(pl.len()).is_in(dropped["row"].implode())
        rest = _in_place(part, rows.filter(~gone), write)
        return replace(rest, n_differing=rest.n_differing + int(dropped["differs"].sum()))


def _in_place(part: Staged, rest: pl.DataFrame, write: _Write) -> Staged:
    part.path.unlink(missing_ok=True)
    return replace(write(rest), n_differing=part.n_differing)
