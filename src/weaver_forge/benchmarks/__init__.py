"""Public data formats -> the tables and frames that a decision works on. Pure: bytes in, frames out.

Put one module a family of formats. A format is recognised by its columns, never by a data set's name, so that
other data of the same format can be measured. Protocols are in ``models/<decision>/evaluation.py``; finding files
and printing is the assets' business.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl


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
    tables: "Mapping[str, pl.DataFrame]" = field(default_factory=dict)
    frames: "Mapping[str, pl.DataFrame]" = field(default_factory=dict)
    protocols: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
