"""The deployment's settings, and the only place that reads the environment and the clock.

Precedence: flag > environment (``WEAVER_FORGE_...``) > ``weaver-forge.toml`` > default. A flag is an argument
of the caller; this module merges the rest. Every instant is a naive ``datetime`` in UTC, as in every table.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from weaver_forge.errors import ConfigurationError, NotADeployment

MARKER = "weaver-forge.toml"
SOURCES = ("git", "tests", "github_actions", "gitlab", "coverage", "otlp", "focus", "deployments", "incidents")
FORMER_SOURCES = {"junit": "tests"}
"""Former name of a source -> its name now; a configuration that was written for it stays valid."""

_CODE_HOST = frozenset({"repositories", "api", "token_env", "token_file", "since"})
_SECTIONS: dict[str, frozenset[str] | None] = {
    "pipeline": frozenset({"python", "ingest_processes", "ptars"}),
    "decisions": None,
    "options": None,
    "sources": frozenset(SOURCES) | frozenset(FORMER_SOURCES),
    "ledger": frozenset({"url"}),
    "clock": frozenset({"now"}),
    "partitions": frozenset({"start"}),
    "semconv": frozenset({"registries"}),
    "github": _CODE_HOST,
    "gitlab": _CODE_HOST,
    "links": None,
    "webhooks": None,
    "receiver": frozenset(
        {
            "host",
            "http_port",
            "grpc_port",
            "tokens",
            "token_file",
            "max_request_mib",
            "max_queued_mib",
            "min_free_mib",
            "max_file_mib",
            "max_file_age_s",
        }
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A deployment directory and what holds in it. All paths are absolute.

    Args:
        root: The directory that holds weaver-forge.toml.
        python: Interpreter with the [pipeline] extra.
        decisions: Decision name -> package; the registry.
        options: Decision name -> keyword arguments of its package's ``configure``.
        sources: Source name -> patterns relative to ``root`` that ``run`` takes in every time.
        ledger_url: SQLAlchemy URL of the ledger; where none is said, that of a SQLite file among the data.
        fixed_now: A simulated clock (the demo's); None for the real one.
        partitions_start: First daily partition, ``YYYY-MM-DD``.
        registries: Convention registries of one's own, put over OpenTelemetry's.
        ingest_processes: Processes that decode traces, metrics and logs; 1 is the ingesting one itself.
        ptars: Whether traces are parsed by ptars where it is installed; the rows are the same without it.
        code_hosts: github, gitlab -> what is fetched from there; ``sources.hosts`` says what is meant.
        links: What ``links.graph.LinkRule`` says otherwise than by default.
        webhooks: Sender -> where its secret is; read by the receiver alone.
        receiver: Where it listens, who may send, how much; ``receivers.configuration`` says what is meant.
    """

    root: Path
    python: Path
    decisions: Mapping[str, str]
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ledger_url: str = ""
    fixed_now: datetime | None = None
    partitions_start: str = "2015-01-01"
    registries: tuple[Path, ...] = ()
    ingest_processes: int = 1
    ptars: bool = True
    code_hosts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    links: Mapping[str, Any] = field(default_factory=dict)
    webhooks: Mapping[str, Any] = field(default_factory=dict)
    receiver: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep the ledger among the data where nothing else is said."""
        if not self.ledger_url:
            object.__setattr__(self, "ledger_url", f"sqlite:///{self.data / 'ledger.sqlite'}")

    @property
    def data(self) -> Path:
        """Everything the deployment stores."""
        return self.root / "data"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that only Dagster runs write."""
        return self.data / "warehouse.duckdb"

    @property
    def lake(self) -> Path:
        """The Delta tables."""
        return self.data / "lake"

    @property
    def published(self) -> Path:
        """Versioned snapshots for readers."""
        return self.data / "published"

    @property
    def overview(self) -> Path:
        """What the last ingest counted, for ``doctor``."""
        return self.published / "overview.json"

    @property
    def unread(self) -> Path:
        """Files that no source could read, for ``doctor``."""
        return self.published / "unread.json"

    @property
    def inbox(self) -> Path:
        """New input, one folder a source, watched by the sensor."""
        return self.data / "inbox"

    @property
    def spool(self) -> Path:
        """Decisions that hooks wrote where no ledger was in reach."""
        return self.inbox / "decisions"

    @property
    def policy(self) -> Path:
        """The reviewed policy file; the blueprint's ``pipeline.yaml`` where there is no ``policy.yaml``."""
        own, blueprint = self.root / "policy.yaml", self.root / "pipeline.yaml"
        return blueprint if blueprint.is_file() and not own.is_file() else own

    @property
    def dagster_home(self) -> Path:
        """DAGSTER_HOME; must be absolute."""
        return self.root / "dagster_home"

    @property
    def mlflow_uri(self) -> str:
        """MLflow's tracking and registry store."""
        return f"sqlite:///{self.data / 'mlflow.db'}"

    def now(self) -> datetime:
        """The current instant, naive UTC: the simulated clock where one is set, else the real one."""
        return self.fixed_now or datetime.now(UTC).replace(tzinfo=None)  # noqa: TID251 - this is the one place


def find(start: Path | None = None) -> Settings:
    """Load the deployment at or above ``start`` (default: WEAVER_FORGE_HOME, else the working directory).

    Raises:
        NotADeployment: If no weaver-forge.toml is there or above.
        ConfigurationError: If the file is malformed.
    """
    home = os.environ.get("WEAVER_FORGE_HOME")  # noqa: TID251
    origin = (start or Path(home or ".")).resolve()
    for folder in (origin, *origin.parents):
        if (folder / MARKER).is_file():
            return load(folder)
    raise NotADeployment(
        f"no {MARKER} here or above",
        where=str(origin),
        do="Make a deployment with `weaver-forge init DIR`, or name one with WEAVER_FORGE_HOME",
    )


def load(root: Path) -> Settings:
    """Read ``root/weaver-forge.toml`` and merge the environment over it.

    Raises:
        ConfigurationError: If the file is malformed or has an unknown section or key.
    """
    import tomllib  # its patterns take 5 ms to compile, which a hook without a deployment need not spend

    path = root / MARKER
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"not valid TOML: {error}", where=str(path), do="Mend the line it names") from error
    _refuse_unknown(document, path)
    environment = os.environ  # noqa: TID251
    python = environment.get("WEAVER_FORGE_PYTHON") or document.get("pipeline", {}).get("python") or sys.executable
    now = environment.get("WEAVER_FORGE_NOW") or document.get("clock", {}).get("now")
    return Settings(
        root=root.resolve(),
        # Not resolved: a virtual environment's python is a link, and following it would leave the environment.
        python=root.resolve() / python,
        decisions=document.get("decisions", {}),
        options=document.get("options", {}),
        sources=_sources(document.get("sources", {})),
        ledger_url=environment.get("WEAVER_FORGE_LEDGER_URL") or document.get("ledger", {}).get("url") or "",
        fixed_now=_instant(now, path) if now else None,
        partitions_start=document.get("partitions", {}).get("start", "2015-01-01"),
        registries=tuple(root.resolve() / name for name in _texts(document, "semconv", "registries", path)),
        ingest_processes=_count(
            environment.get("WEAVER_FORGE_INGEST_PROCESSES") or document.get("pipeline", {}).get("ingest_processes", 1),
            path,
        ),
        ptars=_flag(document, "pipeline", "ptars", path),
        code_hosts={kind: document[kind] for kind in ("github", "gitlab") if kind in document},
        links=document.get("links", {}),
        webhooks=document.get("webhooks", {}),
        receiver=document.get("receiver", {}),
    )


def _sources(named: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Patterns by source; a source that is named by its former name too has the patterns of both."""
    patterns: dict[str, tuple[str, ...]] = {}
    for name, given in named.items():
        current = FORMER_SOURCES.get(name, name)
        patterns[current] = (*patterns.get(current, ()), *given)
    return patterns


def test_data() -> Path | None:
    """The folder of outside data for tests and benchmarks (WEAVER_FORGE_TEST_DATA), or None."""
    value = os.environ.get("WEAVER_FORGE_TEST_DATA")  # noqa: TID251
    return Path(value).resolve() if value and Path(value).is_dir() else None


def variable(name: str) -> str | None:
    """An environment variable of somebody else's contract (GITHUB_ACTIONS, GITHUB_STEP_SUMMARY, ...)."""
    return os.environ.get(name) or None  # noqa: TID251


PIPELINE_ENVIRONMENT = {
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:10000,muzzy_decay_ms:10000",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "OPENBLAS_NUM_THREADS": "1",
}
"""Environment of pipeline processes. Freed memory is kept for the next chunk of rows, by Polars for seconds and by
the C library (numpy, ptars, Arrow too) up to a limit, before it is given back.

Measured on an ingest: a third of its CPU went into asking the kernel for the same pages again. Without the limits
the C library finds its own, better or worse from run to run: two to four times as many page faults. Arrow's own
pools cost a tenth more CPU, for they know nothing of what the C library has free.

Threads of numpy's products wait for each other by spinning. Where the cores are shared, as on most runners, a fit took
twelve times as long with two of them as with one; on idle cores the tall, narrow products of the fits gain little."""


def environment_with(**changes: str) -> dict[str, str]:
    """The environment for a child process, with changes."""
    return {**os.environ, **changes}  # noqa: TID251


def _texts(document: Mapping[str, Any], section: str, key: str, path: Path) -> list[str]:
    """A list of texts; absent is empty."""
    value = document.get(section, {}).get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigurationError(
            f"{key} in [{section}] is not a list of texts", where=_line(path, key), do=f'Write {key} = ["..."]'
        )
    return value


def _flag(document: Mapping[str, Any], section: str, key: str, path: Path) -> bool:
    """True where nothing is said."""
    value = document.get(section, {}).get(key, True)
    if not isinstance(value, bool):
        raise ConfigurationError(
            f"{key} in [{section}] is {value!r}", where=_line(path, key), do="Write true or false, without quotes"
        )
    return value


def _count(value: Any, path: Path) -> int:
    """A number of processes."""
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or not 1 <= int(text) <= 64:
        raise ConfigurationError(
            f"ingest_processes in [pipeline] is {value!r}",
            where=_line(path, "ingest_processes"),
            do="Write a number from 1 to 64",
        )
    return int(text)


def _refuse_unknown(document: Mapping[str, Any], path: Path) -> None:
    for section, body in document.items():
        if section not in _SECTIONS:
            known = ", ".join(sorted(_SECTIONS))
            raise ConfigurationError(
                f"unknown section [{section}]", where=_line(path, f"[{section}"), do=f"Known: {known}"
            )
        keys = _SECTIONS[section]
        if not isinstance(body, dict):
            raise ConfigurationError(
                f"{section} must be a table", where=str(path), do=f"Write [{section}] above its keys"
            )
        for key in body:
            if keys is not None and key not in keys:
                raise ConfigurationError(
                    f"unknown key {key!r} in [{section}]",
                    where=_line(path, key),
                    do=f"Known: {', '.join(sorted(keys - FORMER_SOURCES.keys()))}",
                )


def _line(path: Path, text: str) -> str:
    pattern = re.compile(rf"^\s*{re.escape(text)}")
    lines = path.read_text(encoding="utf-8").splitlines()
    number = next((n for n, line in enumerate(lines, 1) if pattern.match(line)), 0)
    return f"{path}, line {number}" if number else str(path)


def _instant(value: Any, path: Path) -> datetime:
    """Parse an ISO 8601 instant; a zone is converted to UTC, none is read as UTC."""
    try:
        parsed = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ConfigurationError(
            f"clock {value!r} is not an ISO 8601 instant",
            where=str(path),
            do="Write it like 2026-03-01T12:00:00Z",
        ) from error
    return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed
