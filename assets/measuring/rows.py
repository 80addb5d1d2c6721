"""The figures of ``benchmark ingest`` and the bars that they are held against.

A figure is a ratio within one run wherever it can be one; absolute ones are of an idle machine. A bar that was not
measured is not met.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assets.measuring.bench import Bench

FREE_CORES = 1.8
"""Two processes must get so much of two cores before and after, or scaling cannot be judged."""

OFFERED_PER_SECOND = 42_000
"""Spans that the receiver is sent: somewhat more than it must sustain."""


_NOT_RED = ("core_trace__edges", "core_trace__version_days", "core_service__points")
"""Marts that are settled with those of rates, errors and durations by service and operation, and are none of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure.

    Args:
        measured: The number that is held against the bar; None where it was not measured.
        most: The bar, where less is better.
        least: The bar, where more is better.
        value: The figure in words.
        ratio: What it is compared with, in words.
        note: Why it was not measured, or cannot be judged.
        failed: Why it could not be measured although it should have been.
    """

    figure: str
    value: str
    measured: float | None = None
    ratio: str = ""
    most: float | None = None
    least: float | None = None
    note: str = ""
    failed: str = ""

    @property
    def bar(self) -> str:
        """The bar in words; empty for what is only compared with."""
        if self.most is not None:
            return f"<= {self.most:,g}"
        return "" if self.least is None else f">= {self.least:,g}"

    @property
    def outcome(self) -> str:
        """``met``, ``missed``, ``not measured``, ``unclear``, ``failed``; empty without a bar."""
        if self.failed:
            return f"failed: {self.failed}"
        if not self.bar:
            return ""
        if self.measured is None:
            return f"not measured: {self.note}"
        if self.note:
            return f"unclear: {self.note}"
        good = self.measured <= self.most if self.most is not None else self.measured >= (self.least or 0.0)
        return "met" if good else "missed"


def protobuf(bench: Bench) -> list[Row]:
    """Both bounds, and the whole way with ptars."""
    upb, whole = bench.pair
    dropped = bench.run("upb", path=str(bench.corpora.protobuf), hold=False)
    return [
        Row(figure="upb parses, and holds what it made", value=_per_cpu(upb), ratio="1 x"),
        Row(
            figure="upb parses, and drops it at once", value=_per_cpu(dropped),
            ratio=f"{_ratio(dropped, upb):.2f} x upb",
        ),
        _times("protobuf to queryable spans, ptars", whole, upb, 3.3),
    ]  # fmt: skip


def without_ptars(bench: Bench) -> list[Row]:
    """The whole way where ptars is not installed."""
    return [_times("the same without ptars", bench.ingest(bench.corpora.protobuf, ptars=False), bench.pair[0], 10)]


def json_lines(bench: Bench) -> list[Row]:
    """The whole way from JSON."""
    return [_times("JSON lines to queryable spans", bench.json, bench.pair[0], 10)]


def memory(bench: Bench) -> list[Row]:
    """Peaks of whole processes, and whether they grow with the input."""
    small, large = bench.pair[1]["peak_mb"], bench.more[1]["peak_mb"]
    json_peak = bench.json["peak_mb"]
    times = bench.corpora.sizes.n_more / bench.corpora.sizes.n_spans
    return [
        Row(figure="peak memory, protobuf", value=f"{small:.0f} MB", measured=small, most=650),
        Row(figure="peak memory, JSON lines", value=f"{json_peak:.0f} MB", measured=json_peak, most=650),
        Row(
            figure=f"peak memory, {times:g} x the input", value=f"{large:.0f} MB", measured=large, most=650,
            ratio=f"{large / small:.2f} x the smaller input's",
        ),
    ]  # fmt: skip


def clickhouse(bench: Bench) -> list[Row]:
    """The peer."""
    figure = "speed against ClickHouse (chDB)"
    if bench.peer is None:
        note = "pip install chdb in an environment of its own and name its python with --chdb"
        return [Row(figure=figure, value="-", least=1, note=note)]
    peer = bench.clickhouse()
    whole = bench.pair[1]
    ratio = _ratio(peer, whole)
    words = f"{_per_cpu(peer)}, {peer['peak_mb']:.0f} MB"
    return [Row(figure=figure, value=f"{ratio:.2f}", measured=ratio, least=1, ratio=f"ClickHouse: {words}")]


def linear(bench: Bench) -> list[Row]:
    """The price of a span in a larger corpus."""
    sizes, whole, more = bench.corpora.sizes, bench.pair[1], bench.more[1]
    ratio = _ratio(more, whole)
    figure = f"CPU a span, {_millions(sizes.n_more)} spans : {_millions(sizes.n_spans)}"
    return [Row(figure=figure, value=f"{ratio:.2f}", measured=ratio, most=1.15, ratio=f"{_per_cpu(more)} there")]


def marts(bench: Bench) -> list[Row]:
    """All marts of one more hour, after those of all before are made."""
    sizes, folder = bench.corpora.sizes, bench.more[0]
    before = bench.run("settle", folder=str(folder))
    bench.run("ingest", path=str(bench.corpora.hour), folder=str(folder))
    hour = bench.run("settle", folder=str(folder))
    among = f"of {_millions(sizes.n_hour)} new spans among {_millions(sizes.n_more)}"
    red = hour["cpu_s"] - sum(hour["cpu_of"].get(name, 0.0) for name in _NOT_RED)
    return [
        Row(figure=f"RED marts {among}", value=f"{red:.2f} s CPU", measured=red, most=1),
        Row(
            figure=f"all marts {among}", value=f"{hour['cpu_s']:.2f} s CPU",
            ratio=f"{hour['cpu_s'] / before['cpu_s']:.2f} x all before",
        ),
    ]  # fmt: skip


def workers(bench: Bench) -> list[Row]:
    """Two processes against one, by the clock on the wall; of the larger corpus, beside which their start is little."""
    free = bench.run("free_cores")["cores"]
    one = bench.more[1]
    two = bench.ingest(bench.corpora.more, processes=2)
    free = min(free, bench.run("free_cores")["cores"])
    ratio = one["wall_s"] / two["wall_s"]
    note = "" if free >= FREE_CORES else f"{free:.1f} of 2 cores were free"
    return [
        Row(
            figure=f"two processes against one, {_millions(bench.corpora.sizes.n_more)} spans, wall",
            value=f"{ratio:.2f}", measured=ratio, least=1.6, ratio=f"CPU {_ratio(two, one):.2f} x", note=note,
        )
    ]  # fmt: skip


def receiver(bench: Bench) -> list[Row]:
    """Requests over HTTP."""
    seconds, folder = bench.corpora.sizes.seconds, bench.folder()
    found = bench.run("receiver", folder=str(folder), seconds=seconds, spans_per_second=OFFERED_PER_SECOND)
    rate = found["n"] / found["wall_s"]
    note = f"{found['refused']} requests were refused" if found["refused"] else ""
    return [
        Row(
            figure="receiver, HTTP", value=f"{rate:,.0f} spans/s", measured=rate, least=40_000, note=note,
            ratio=f"{rate / OFFERED_PER_SECOND:.2f} x what was sent",
        ),
        Row(figure="receiver, p99", value=f"{found['p99_ms']:.0f} ms", measured=found["p99_ms"], most=250),
    ]  # fmt: skip


def tests(bench: Bench) -> list[Row]:
    """JUnit reports to stored results."""
    paths = [str(path) for path in bench.corpora.reports]
    found = bench.run("tests", paths=paths, folder=str(bench.folder()))
    rate = found["n"] / found["cpu_s"]
    return [Row(figure="JUnit", value=f"{rate:,.0f} cases/CPU-s", measured=rate, least=40_000)]


def git(bench: Bench) -> list[Row]:
    """A git history to stored commits; of a shorter one, in proportion."""
    path, n_commits = bench.corpora.history, bench.corpora.sizes.n_commits
    found = bench.run("git", path=str(path), folder=str(bench.folder()))
    seconds = found["cpu_s"] * 100_000 / n_commits
    ratio = "" if n_commits == 100_000 else f"in proportion, from {n_commits:,}"
    return [Row(figure="100k commits of git", value=f"{seconds:.1f} s CPU", measured=seconds, most=60, ratio=ratio)]


GROUPS: Mapping[str, Callable[[Bench], list[Row]]] = {
    "protobuf": protobuf,
    "without-ptars": without_ptars,
    "json": json_lines,
    "memory": memory,
    "clickhouse": clickhouse,
    "linear": linear,
    "marts": marts,
    "workers": workers,
    "receiver": receiver,
    "junit": tests,
    "git": git,
}
"""Names for --only."""


def _per_cpu(figures: Mapping[str, Any]) -> str:
    return f"{figures['n'] / figures['cpu_s'] / 1000:,.0f}k spans/CPU-s"


def _ratio(some: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How much more CPU one of these costs than one of the others."""
    return float(some["cpu_s"] / some["n"] / (other["cpu_s"] / other["n"]))


def _times(figure: str, found: Mapping[str, Any], upb: Mapping[str, Any], most: float) -> Row:
    ratio = _ratio(found, upb)
    return Row(figure=figure, value=_per_cpu(found), measured=ratio, most=most, ratio=f"{ratio:.2f} x upb")


def _millions(n: int) -> str:
    return f"{n / 1e6:g}M" if n >= 1_000_000 else f"{n / 1000:.0f}k"
