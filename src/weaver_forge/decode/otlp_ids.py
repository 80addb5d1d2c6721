"""Trace and span ids: fixed-size bytes to hexadecimal text, a whole column at once.

Put here what an id is. That a span with a wrong one is refused, and how that is said, is in ``otlp_columns``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

_PAIRS = np.frombuffer("".join(f"{n:02x}" for n in range(256)).encode(), dtype=np.uint16)
"""The two digits of every byte."""


@dataclass(frozen=True, slots=True)
class Ids:
    """A column of ids.

    Args:
        octets: One row an id; zeros where the id is absent or has another size.
        sizes: Bytes that each id really has; -1 where it is not hexadecimal.
    """

    octets: npt.NDArray[np.uint8]
    sizes: npt.NDArray[Any]

    @property
    def is_zero(self) -> npt.NDArray[np.bool_]:
        """Whether no byte is set: OTLP's invalid id."""
        zero: npt.NDArray[np.bool_] = ~(self.octets.view(np.uint64) != 0).any(axis=1)
        return zero

    @property
    def is_wrong(self) -> npt.NDArray[np.bool_]:
        """Whether the id has not the size it must have."""
        wrong: npt.NDArray[np.bool_] = self.sizes != self.octets.shape[1]
        return wrong

    def text(self) -> pl.Series:
        """Lower-case hexadecimal text."""
        n, size = self.octets.shape
        if n == 0:
            return pl.Series(dtype=pl.String)
        digits = pa.py_buffer(_PAIRS[self.octets.reshape(-1)])
        offsets = pa.py_buffer(np.arange(0, (n + 1) * 2 * size, 2 * size, dtype=np.int64))
        text = pl.from_arrow(pa.Array.from_buffers(pa.large_string(), n, [None, offsets, digits]))
        assert isinstance(text, pl.Series)
        return text


def from_flat(data: bytes | npt.NDArray[np.uint8], sizes: npt.NDArray[Any], size: int) -> Ids:
    """Ids that lie end to end.

    Args:
        data: All bytes.
        sizes: How many of them each id has.
        size: How many it should have.
    """
    flat = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    if len(flat) == size * len(sizes) and (sizes == size).all():
        return Ids(flat.reshape(-1, size), sizes)
    octets = np.zeros((len(sizes), size), dtype=np.uint8)
    fits = np.flatnonzero(sizes == size)
    ends = np.cumsum(sizes)
    octets[fits] = flat[(ends[fits] - size)[:, None] + np.arange(size)]
    return Ids(octets, sizes)


def from_list(values: Sequence[bytes], size: int) -> Ids:
    """Ids given one by one."""
    return from_flat(b"".join(values), np.fromiter(map(len, values), np.int64, len(values)), size)


def from_hex(values: Sequence[str], size: int) -> Ids:
    """Ids given as hexadecimal text of either case; all at once first, because nearly always all are right."""
    joined = "".join(values)
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    try:
        octets = bytes.fromhex(joined)
    except ValueError:
        octets = b""
    if 2 * len(octets) == len(joined) and not (lengths % 2).any():  # fromhex passes over blanks
        return from_flat(octets, lengths // 2, size)
    found = [_octets(value) for value in values]
    sizes = np.array([-1 if octets is None else len(octets) for octets in found], dtype=np.int64)
    fitting = from_list([octets or b"" for octets in found], size)
    return Ids(fitting.octets, sizes)


def _octets(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if text.isalnum() else (None if text else b"")
    except ValueError:
        return None
