"""Public data formats -> the tables and frames that a decision works on. Pure: bytes in, frames out.

Put one module a family of formats. A format is recognised by its columns, never by a data set's name, so that
other data of the same format can be measured. Protocols are in ``models/<decision>/evaluation.py``; finding files
and printing is the assets' business.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from weaver_forge.errors import SourceError, WeaverForgeError


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkData:
    """One data set, ready to be measured.

    Args:
        decision: Which decision it measures.
        entity: Which subject kind of it.
        set: Name of the set: the path of its folder or file below the folder that was given.
        format: Name of the recognised format, in words.
        tables: Core tables by name, where the format is a history.
        frames: Ready-made frames by name ("features", "labels", "executions"), where the format has these instead.
        protocols: Protocols of evaluation that apply.
        notes: What a reader of the numbers should know ("12 rows without a verdict were left out").
    """

    decision: str
    entity: str
    set: str
    format: str
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    protocols: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def each(
    names: Iterable[str], read: Callable[[str], list[BenchmarkData]], problems: list[WeaverForgeError] | None
) -> list[BenchmarkData]:
    """The data sets of these files; one that cannot be read keeps no other from being measured.

    Args:
        names: Files of one format.
        read: Gives the sets of a file.
        problems: Where a file that cannot be read is told.

    Raises:
        SourceError: For the first such file, where nobody is told.
    """
    found: list[BenchmarkData] = []
    told: list[WeaverForgeError] = []
    for name in names:
        try:
            found += read(name)
        except SourceError as problem:
            told.append(problem)
        except pl.exceptions.PolarsError as error:
            told.append(SourceError(f"a value cannot be read: {error}", where=name, do="Mend it or remove the file"))
    if told and problems is None:
        raise told[0]
    (problems if problems is not None else []).extend(told)
    return found
