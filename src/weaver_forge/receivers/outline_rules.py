"""Why single metric points and log records will be refused, in the decoder's words; nothing where they will not.

Put here rules over plain values that both encodings share. They are the decoder's own, as far as they can be held
against a request for about the price of parsing it: what resources, attributes, bodies and exemplars must be is left
to the decoder. A test holds both together.
"""

from collections.abc import Sequence
from itertools import pairwise
from operator import lt

from weaver_forge.receivers.otlp_signals import MAX_TIME, is_utf8

NO_RECORDED_VALUE = 1
"""Flag of a point that says that its series has ended here: of its data nothing is asked."""

NO_DATA = "the metric has no data of a known type (gauge, sum, histogram, exponential histogram, summary)"
NO_VALUE = "the point has no value, and no flag that says so"

_NO_INTEGER = "a time is not an integer of nanoseconds"
_FAR = "a time is beyond the year 2262"


def of_metric(name: bytes, unit: bytes, description: bytes) -> str:
    """Names, which all points of a metric have in common."""
    if not (is_text(name) and is_text(unit)):
        return "the metric's name or unit is not UTF-8"
    if not name:
        return "the metric has no name"
    return "" if is_text(description) else "its description is not UTF-8"


def of_point_times(start: int | None, time: int | None) -> str:
    """Times of a point; None for what is no integer."""
    if start is None or time is None:
        return _NO_INTEGER
    if max(start, time) > MAX_TIME:
        return _FAR
    return "" if time else "the point has no time"


def of_count(count: int | None) -> str:
    """How many observations a point sums up."""
    return "" if count is not None and count <= MAX_TIME else "its count is not an integer of 63 bits"


def of_bounds(n_buckets: int, bounds: Sequence[float]) -> str:
    """Explicit bounds of a histogram: between each two buckets one, each larger than the one before."""
    n_bounds = len(bounds)
    if n_buckets != n_bounds + 1 and (n_buckets or n_bounds):
        return "it has not one bucket more than bounds"
    if all(map(lt, bounds, bounds[1:])):
        return ""
    # A bound that is not a number, and the difference of two infinite ones, compares with nothing.
    return "its bounds do not grow" if any(after - before <= 0 for before, after in pairwise(bounds)) else ""


def of_buckets(counts: Sequence[int | None]) -> str:
    """Counts of buckets."""
    is_good = all(count is not None and count <= MAX_TIME for count in counts)
    return "" if is_good else "a bucket's count is not an integer of 63 bits"


def of_record(time: int | None, observed: int | None, severity: bytes, event: bytes) -> str:
    """A log record's times and names."""
    if time is None or observed is None:
        return _NO_INTEGER
    if max(time, observed) > MAX_TIME:
        return _FAR
    if not (time or observed):
        return "the record says neither when it happened nor when it was observed"
    return "" if is_text(severity) and is_text(event) else "its severity or event name is not UTF-8"


def is_text(data: bytes) -> bool:
    """Whether it is UTF-8; nearly always it is ASCII, which is quicker to find out."""
    return data.isascii() or is_utf8(data)
