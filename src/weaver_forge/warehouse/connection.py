"""Connections to the warehouse file, with a bounded wait on DuckDB's own lock.

DuckDB lets one process write, or several read. That lock is the one that counts: a scheduler's slot can be
left taken by a killed run, this one cannot.
"""

import logging
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from weaver_forge.errors import SourceError, StoreBusy

_LOG = logging.getLogger(__name__)
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.02, 0.5
_HOLDER = re.compile(r"PID (\d+)")


@contextmanager
def opened(path: Path, *, read_only: bool, wait_s: float) -> Generator[duckdb.DuckDBPyConnection]:
    """Open the file, waiting up to ``wait_s`` seconds for whoever holds it; session time zone UTC.

    Raises:
        StoreBusy: If it is still held then; ``where`` names the process.
        SourceError: If it is not a DuckDB file or of a release this DuckDB cannot read.
    """
    con = _wait(path, read_only=read_only, wait_s=wait_s)
    try:
        con.execute("set TimeZone = 'UTC'")
        yield con
    finally:
        con.close()


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Generator[None]:
    """All that happens inside becomes visible at the end, or nothing of it."""
    con.execute("begin transaction")
    try:
        yield
    except BaseException:
        con.execute("rollback")
        raise
    con.execute("commit")


def _wait(path: Path, *, read_only: bool, wait_s: float) -> duckdb.DuckDBPyConnection:
    waited, delay = 0.0, _FIRST_DELAY_S
    while True:
        try:
            return _connect(path, read_only=read_only)
        except duckdb.Error as error:
            if not _is_held(error):
                raise SourceError(
                    f"the warehouse cannot be opened: {_first_line(error)}",
                    where=str(path),
                    do="If it is not a DuckDB file, move it away; if a newer DuckDB wrote it, install that one",
                ) from error
            if waited >= wait_s:
                raise _busy(path, error, waited) from error
        _LOG.debug("%s is held, waited %.2f s", path, waited)
        time.sleep(delay)
        waited, delay = waited + delay, min(2 * delay, _LONGEST_DELAY_S)


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(path), read_only=read_only)
    except duckdb.ConnectionException as error:
        # This process writes already: DuckDB has one instance a file and process, which a reader may join.
        if read_only and "different configuration" in str(error):
            return duckdb.connect(str(path))
        raise


def _is_held(error: duckdb.Error) -> bool:
    return "Could not set lock" in str(error) or "different configuration" in str(error)


def _busy(path: Path, error: duckdb.Error, waited: float) -> StoreBusy:
    holder = _HOLDER.search(str(error))
    return StoreBusy(
        f"another process holds the warehouse; waited {waited:.1f} s",
        where=f"{path}, held by process {holder[1]}" if holder else f"{path}, held by this process",
        do="Let the other run finish, or end that process, and try again",
    )


def _first_line(error: duckdb.Error) -> str:
    return str(error).strip().splitlines()[0]
