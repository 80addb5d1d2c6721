"""``semconv check``: telemetry files against the semantic conventions, without a deployment."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.errors import UsageError

if TYPE_CHECKING:
    from weaver_forge.contracts.batch import Rejected
    from weaver_forge.semconv.judging import Judging
    from weaver_forge.semconv.registry import Registry

_LEVELS = ("violation", "improvement", "information")
_MOST = 10
"""Attributes shown of one kind of finding, and services shown of the worst."""
_CHUNK_BYTES = 24 * 1024 * 1024


def check(
    *paths: Path,
    registry: tuple[Path, ...] = (),
    level: str = "information",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say what telemetry does otherwise than the semantic conventions say. Exit code 0 whatever is found.

    Shown is one line an attribute and finding, over all services; `--json` has every service's.

    Args:
        paths: OTLP files of any framing and signal, or samples as Weaver's live check reads them; folders too.
        registry: A convention registry of one's own, put over OpenTelemetry's; may be given several times.
        level: Least level shown: violation, improvement or information. All are counted.
        json: Print as JSON.
    """
    if not paths or level not in _LEVELS:
        what = "nothing to check" if not paths else f"--level {level} is none of {', '.join(_LEVELS)}"
        raise UsageError(what, do="Name files: `weaver-forge semconv check traces.json`")
    from weaver_forge.semconv.judging import Judging
    from weaver_forge.semconv.renaming import Renaming
    from weaver_forge.sources.files import expand
    from weaver_forge.sources.registries import registry_with

    held = registry_with(registry)
    judging = Judging(held, Renaming(held))
    rows: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    for path in expand([str(path) for path in paths], Path.cwd()):
        if _is_samples(path):
            rows += _samples(path, held)
        else:
            rejected += _otlp(path, judging)
    rows += judging.findings().drop("day_at").iter_rows(named=True)
    from weaver_forge.semconv.digest import by_service

    quality = by_service(judging.quality().iter_rows(named=True))
    _say(_summed(rows), quality, [(str(each.reason), str(each.name)) for each in rejected], level, as_json=json)
    return 0


def _is_samples(path: Path) -> bool:
    """Whether a file has samples: lines of attributes, or a JSON array (no framing of OTLP begins with one)."""
    if path.suffix == ".txt":
        return True
    with path.open("rb") as file:
        return file.read(256).lstrip().startswith(b"[")


def _samples(path: Path, registry: "Registry") -> list[dict[str, Any]]:
    from weaver_forge.semconv.samples import check_samples, read_samples

    return [
        {
            "service_key": "",
            "signal": sample.kind,
            "finding_id": finding.id,
            "level": finding.level,
            "attribute": finding.context.get("attribute_key", finding.signal_name),
            "n": 1,
            "message": finding.message,
            "example": sample.name,
        }
        for sample in check_samples(read_samples(str(path), path.read_bytes()), registry)
        for finding in sample.findings
    ]


def _otlp(path: Path, judging: "Judging") -> "list[Rejected]":
    from weaver_forge.contracts.batch import Rejected
    from weaver_forge.decode.otlp_framing import Message
    from weaver_forge.sources.streams import read_messages

    rejected: list[Rejected] = []
    waiting: list[Message] = []
    size = 0
    for piece in read_messages(path):
        if isinstance(piece, Message):
            waiting.append(piece)
            size += len(piece.data)
        elif isinstance(piece, Rejected):
            rejected.append(piece)
        else:
            rejected.append(
                Rejected(str(path), f"byte {piece.offset}", f"the file ends within a message: {piece.reason}")
            )
        if size >= _CHUNK_BYTES:
            rejected += _judge(waiting, str(path), judging)
            waiting, size = [], 0
    return rejected + _judge(waiting, str(path), judging)


def _judge(messages: "list[Any]", name: str, judging: "Judging") -> "list[Rejected]":
    from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
    from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
    from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
    from weaver_forge.decode.otlp import decode_messages
    from weaver_forge.decode.otlp_logs import decode_log_messages
    from weaver_forge.decode.otlp_metrics import decode_metric_messages

    rejected: list[Rejected] = []
    for signal, decode, table, add in (
        ("traces", decode_messages, RAW_OTLP_SPANS, judging.add_spans),
        ("metrics", decode_metric_messages, RAW_OTLP_METRIC_POINTS, judging.add_points),
        ("logs", decode_log_messages, RAW_OTLP_LOG_RECORDS, judging.add_logs),
    ):
        mine = [message for message in messages if message.signal == signal]
        if mine:
            batch = decode(mine, name)
            add(batch.tables[table.name])
            rejected += batch.rejected
    return rejected


def _summed(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a finding of a service, over all days and files; the worst and most frequent first."""
    by = ("service_key", "signal", "finding_id", "level", "attribute", "message")
    counts: Counter[tuple[str, ...]] = Counter()
    examples: dict[tuple[str, ...], str] = {}
    for row in rows:
        key = tuple(row[name] for name in by)
        counts[key] += row["n"]
        examples.setdefault(key, row["example"])
    found = [{**dict(zip(by, key, strict=True)), "n": n, "example": examples[key]} for key, n in counts.items()]
    return sorted(found, key=lambda r: (_LEVELS.index(r["level"]), -r["n"], r["attribute"], r["finding_id"]))


def _say(
    rows: list[dict[str, Any]],
    quality: list[dict[str, Any]],
    refused: list[tuple[str, str]],
    level: str,
    *,
    as_json: bool,
) -> None:
    counts = {name: sum(row["n"] for row in rows if row["level"] == name) for name in _LEVELS}
    shown = [row for row in rows if _LEVELS.index(row["level"]) <= _LEVELS.index(level)]
    if as_json:
        text.as_json(
            {"counts": counts, "findings": shown, "quality": quality, "refused": [reason for reason, _ in refused]}
        )
        return
    _findings(shown)
    _quality(quality)
    _refused(refused)
    text.out("\n" + _summary(rows, quality, counts))


def _findings(rows: list[dict[str, Any]]) -> None:
    from weaver_forge.semconv.digest import digests, folded

    cells = [
        [each.level, each.n, each.finding_id, ", ".join(each.signals), _services(each.services), each.message]
        for each in folded(digests(rows), _MOST)
    ]
    text.group("Findings", text.table(("level", "times", "finding", "in", "services", "what"), cells))


def _refused(refused: list[tuple[str, str]]) -> None:
    first = dict(reversed(refused))  # of each reason the first file: what is written last stays
    counts = Counter(reason for reason, _ in refused).most_common(_MOST)
    text.group("Refused", [f"{n} x {reason} (first in {first[reason]})" for reason, n in counts])


def _services(names: tuple[str, ...]) -> str:
    """How many, and which as far as two tell it; samples have none."""
    known = [name for name in names if name]
    if not known:
        return "-"
    return f"{len(known)}: " + ", ".join(known[:2]) + (", ..." if len(known) > 2 else "")


def _quality(services: list[dict[str, Any]]) -> None:
    if not services:
        return
    cells = [
        [q["service_key"], q["n_samples"], q["n_undefined"], q["n_violations"], q["score"]] for q in services[:_MOST]
    ]
    lines = text.table(("service", "attributes", "undefined", "defined but wrong", "score"), cells)
    if len(services) > _MOST:
        lines.append(f"... and {len(services) - _MOST} services with a score as good or better")
    lines.append("Score: the share that is defined, times the share that is not wrong. Names and units of metrics,")
    lines.append("events, and attributes that are absent are findings, and no part of it.")
    text.group("Quality of the attributes that services send, worst first", lines)


def _summary(rows: list[dict[str, Any]], services: list[dict[str, Any]], counts: Mapping[str, int]) -> str:
    kinds = {name: len({(r["finding_id"], r["attribute"]) for r in rows if r["level"] == name}) for name in counts}
    said = ", ".join(f"{kinds[name]} {name}{'s' * (kinds[name] != 1)} ({n} times)" for name, n in counts.items())
    n = sum(service["n_samples"] for service in services)
    where = f"{len(services)} service{'s' * (len(services) != 1)} with {n} attributes: " if services else ""
    return where + said
