"""Identifiers that mean the same everywhere: repositories and services."""

import hashlib
import re

_SCP = re.compile(r"^(?:[^@/]+@)?(?P<host>[^:/]+):(?!//)(?P<path>.+)$")
_URL = re.compile(r"^[a-z][a-z0-9+.-]*://(?:[^@/]*@)?(?P<host>[^:/]+)(?::\d+)?/(?P<path>.+)$", re.IGNORECASE)


def repo_id_from_remote(url: str) -> str | None:
    """Normalise a remote URL to ``host/owner/name`` (lower-case host, no user, port, or ``.git``).

    Returns None for a remote that names no host (a local path), which has no identity elsewhere.
    """
    match = _URL.match(url.strip()) or _SCP.match(url.strip())
    if match is None or url.startswith("file:"):
        return None
    path = match["path"].strip("/").removesuffix(".git").strip("/")
    return f"{match['host'].lower()}/{path}" if path else None


def local_repo_id(path: str) -> str:
    """Name a repository without a remote by a hash of its absolute path."""
    return f"local/{hashlib.sha256(path.encode()).hexdigest()[:16]}"


def service_key(namespace: str | None, name: str | None, environment: str | None) -> str:
    """Join the three parts of a service's identity; an absent part stays empty."""
    return f"{namespace or ''}/{name or 'unknown_service'}/{environment or ''}"


def pipeline_trace_id(run_id: str, run_attempt: int) -> str:
    """The trace in which the OpenTelemetry Collector's GitHub receiver tells a run attempt: 32 hex digits.

    It follows from the run alone, so that spans of tests can be put into the trace while the run goes on.
    """
    return hashlib.sha256(f"{run_id}{run_attempt}t".encode()).hexdigest()[:32]


def pipeline_root_span_id(run_id: str, run_attempt: int) -> str:
    """The span of the whole run attempt in that trace: 16 hex digits."""
    return hashlib.sha256(f"{run_id}{run_attempt}s".encode()).hexdigest()[16:32]
