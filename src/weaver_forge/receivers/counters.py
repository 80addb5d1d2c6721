"""What the receiver counts, and its exposition for Prometheus. Put here nothing that decides anything."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX = "weaver_forge_receiver_"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the exposition.

    Args:
        name: Without the project's prefix; a counter's ends in ``_total``.
        about: Its help text, one line.
        labels: Names of its labels, in order.
    """

    name: str
    about: str
    labels: tuple[str, ...]

    @property
    def kind(self) -> str:
        """As Prometheus calls it."""
        return "counter" if self.name.endswith("_total") else "gauge"


REQUESTS = Metric("requests_total", "Requests by protocol, signal and outcome.", ("protocol", "signal", "outcome"))
ITEMS = Metric("items_total", "Spans, data points and log records by outcome.", ("signal", "outcome"))
BYTES = Metric("bytes_total", "Bytes of accepted messages, decompressed.", ("signal",))
WEBHOOKS = Metric("webhooks_total", "Webhook deliveries and refused requests, by outcome.", ("sender", "outcome"))
QUEUED_RECORDS = Metric("queue_records", "Messages that wait for the disk.", ("signal",))
QUEUED_BYTES = Metric("queue_bytes", "Bytes of the messages that wait for the disk.", ("signal",))
WEBHOOKS_WRITABLE = Metric("webhook_inbox_writable", "1 while the inbox takes deliveries.", ("source",))
WRITABLE = Metric("inbox_writable", "1 while the inbox takes what it is given.", ("signal",))


class Counters:
    """Counts that several threads add to.

    Args:
        metrics: What is counted; shown also while nothing has been.
    """

    def __init__(self, *metrics: Metric) -> None:
        self._counts: dict[Metric, Counter[tuple[str, ...]]] = {metric: Counter() for metric in metrics}
        self._lock = threading.Lock()

    def add(self, metric: Metric, labels: tuple[str, ...], by: int = 1) -> None:
        """Count."""
        with self._lock:
            self._counts[metric][labels] += by

    def snapshot(self) -> dict[Metric, dict[tuple[str, ...], int]]:
        """A copy of all counts."""
        with self._lock:
            return {metric: dict(counts) for metric, counts in self._counts.items()}


def exposition(values: Mapping[Metric, Mapping[tuple[str, ...], int]]) -> bytes:
    """Prometheus's text format."""
    lines: list[str] = []
    for metric, samples in values.items():
        lines += [f"# HELP {_PREFIX}{metric.name} {metric.about}", f"# TYPE {_PREFIX}{metric.name} {metric.kind}"]
        lines += [f"{_PREFIX}{metric.name}{{{_labels(metric, at)}}} {value}" for at, value in sorted(samples.items())]
    return ("\n".join(lines) + "\n").encode()


def _labels(metric: Metric, values: Iterable[str]) -> str:
    # Every value is a word of ours; none needs escaping.
    return ",".join(f'{name}="{value}"' for name, value in zip(metric.labels, values, strict=True))
