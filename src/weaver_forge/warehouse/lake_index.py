"""The index beside a lake: hashes of the keys in its files, so that a key is found whatever its row's time.

Derived, and right whenever it is lost: it names the files that it covers, and a file that it does not name is read.
It may know hashes of rows that are gone; who asks proves by the keys themselves. Layout of ``_keys`` in the lake's
folder, which Delta ignores: runs of sorted hashes, merged so that there are few of them, and ``index.json``, which
is replaced as a whole and says which runs and files there are. Put what changes these here.
"""

import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import polars as pl

from weaver_forge.warehouse import lake_runs
from weaver_forge.warehouse.lake_files import LakeFile
from weaver_forge.warehouse.lake_keys import Hashes, Hashing, merged
from weaver_forge.warehouse.room import make_folder, room_for, settle

FOLDER = "_keys"
"""In the lake's folder; readers and a vacuum pass by names that begin so."""

RUN_ROWS = 2_000_000
"""Hashes of files that are gathered before they are written: 16 MB."""

SLACK_ROWS = 1_000_000
"""An index with so many hashes more than twice the lake's rows is mostly of files that are gone: made anew."""

_MERGED_UP_TO = 2  # times as large as what comes after it
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class _State:
    """What ``index.json`` says.

    Args:
        runs: Name and number of hashes, the large ones first.
        files: Names of the data files whose keys are in the runs.
    """

    made_by: str
    runs: tuple[tuple[str, int], ...] = ()
    files: frozenset[str] = frozenset()

    @property
    def n_hashes(self) -> int:
        return sum(n for _, n in self.runs)


class KeyIndex:
    """The index of the lake at ``lake``; one process at a time looks or changes, the others wait.

    Args:
        lake: The lake's folder.
        key: Names of the key columns.
        hashing: How keys are hashed; hashes stored by another function, or another release of Polars, are not used.
        hashes_of: The hashes of a committed file.
    """

    def __init__(
        self, lake: Path, key: Sequence[str], hashing: Hashing, hashes_of: Callable[[LakeFile], Hashes]
    ) -> None:
        self._folder, self._hashes_of = lake / FOLDER, hashes_of
        self._made_by = _fingerprint(key, hashing)

    def met(self, asked: Hashes, files: Sequence[LakeFile]) -> Hashes:
        """Those of sorted hashes that a row of the files may have; files that are not covered are from now on.

        Raises:
            StoreFull: If there is no room to cover them.
        """
        if not files:
            return asked[:0]
        with self._alone():
            state = self._covering(files)
            return merged(lake_runs.met(self._folder / name, asked) for name, _ in state.runs)

    def joined(self, group: Collection[Path], made: Collection[Path]) -> None:
        """Files have taken the place of others: they have the same rows, and need not be read."""
        if not self._folder.is_dir():
            return
        with self._alone():
            state = self._state()
            if state.files.issuperset(path.name for path in group):
                self._put(replace(state, files=state.files.union(path.name for path in made)))

    @contextmanager
    def _alone(self) -> Generator[None]:
        with room_for(str(self._folder)):
            make_folder(self._folder)
            handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _covering(self, files: Sequence[LakeFile]) -> _State:
        """The state after every file is covered."""
        stored = self._state()
        if stored.n_hashes > 2 * sum(file.n_rows for file in files) + SLACK_ROWS:
            stored = _State(self._made_by)
        names = frozenset(file.path.name for file in files)
        missing = [file for file in files if file.path.name not in stored.files]
        if not missing:
            return stored
        state = replace(stored, files=names)
        some: list[Hashes] = []
        for file in missing:
            some.append(self._hashes_of(file))
            if sum(map(len, some)) >= RUN_ROWS:
                state, some = self._with_run(state, merged(some)), []
        state = self._with_run(state, merged(some)) if some else state
        self._put(state)
        return state

    def _with_run(self, state: _State, hashes: Hashes) -> _State:
        """A run more, merged with those before it that are not much larger."""
        runs, tail, n = list(state.runs), [], len(hashes)
        while runs and runs[-1][1] <= _MERGED_UP_TO * n:
            name, more = runs.pop()
            tail.append(self._folder / name)
            n += more
        name = f"{uuid.uuid4().hex}.run"
        n = lake_runs.write(self._folder / name, hashes, tail)
        return replace(state, runs=(*runs, (name, n)))

    def _state(self) -> _State:
        """What is stored, or an empty index where that is torn or of another making."""
        try:
            said = json.loads((self._folder / "index.json").read_bytes())
            runs = tuple((str(name), int(n)) for name, n in said["runs"])
            state = _State(str(said["made_by"]), runs, frozenset(map(str, said["files"])))
            whole = all((self._folder / name).stat().st_size == n * lake_runs.WIDTH for name, n in runs)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return _State(self._made_by)
        return state if whole and state.made_by == self._made_by else _State(self._made_by)

    def _put(self, state: _State) -> None:
        """Replace ``index.json``, then delete runs that it does not name, also those of a process that was killed."""
        path = self._folder / "index.json"
        draft = path.with_suffix(".new")
        with room_for(str(path)):
            draft.write_text(json.dumps(asdict(state) | {"files": sorted(state.files)}), encoding="utf-8")
            settle(draft)
            draft.replace(path)
        named = {name for name, _ in state.runs}
        for run in self._folder.glob("*.run"):
            if run.name not in named:
                run.unlink()


def _fingerprint(key: Sequence[str], hashing: Hashing) -> str:
    """What hashes are comparable with: the release of Polars, and the hashes of a few fixed texts."""
    texts = ["", "0" * 16, "0123456789abcdef" * 2]
    sample = hashing(pl.DataFrame(dict.fromkeys(key, texts)), key)
    return f"{_FORMAT} polars {pl.__version__} {hashlib.sha256(sample.tobytes()).hexdigest()[:16]}"
