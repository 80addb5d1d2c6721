"""What telemetry says about files: which endpoints ran their code, in which services, and who calls these.

Put links from files to services and endpoints here. A span says where its code is by ``code.file.path``, or by
``code.function.name`` (fully qualified), their names before they were stable included. Paths on the machines that
ran it are matched by their end: the longest common end of at least the file's name counts, a tie between files
counts for none.
"""

from collections.abc import Mapping, Sequence

import polars as pl

FILE_KEYS = ("code.file.path", "code.filepath")
FUNCTION_KEYS = ("code.function.name", "code.function")
NAMESPACE_KEY = "code.namespace"
"""Joined before ``code.function``, as its successor has it."""

SPANS = ("service_key", "trace_id", "span_id", "parent_span_id", "name", "is_entry", "code_file", "code_function")
"""Columns of the spans that are looked at; the two of code are null where a span does not say."""


MOST_STEPS = 32
"""Spans between one and the entry or the test above it, at most."""


def touched_code(spans: pl.DataFrame, paths: Sequence[str]) -> pl.DataFrame:
    """Endpoints whose traces ran code of the files: path, service_key, endpoint, n_spans, signal.

    Args:
        spans: With :data:`SPANS`.
        paths: Files of the change, relative to the repository.
    """
    said = spans.filter(pl.col("code_file").is_not_null() | pl.col("code_function").is_not_null())
    of_place = files_of_places(said.select("code_file", "code_function"), paths)
    running = said.join(of_place, on=["code_file", "code_function"], nulls_equal=True)
    return (
        _endpoints(running, spans)
        .group_by("path", "service_key", "endpoint", "signal")
        .agg(n_spans=pl.len())
        .sort("n_spans", "path", "endpoint", descending=[True, False, False])
    )


def files_of_places(places: pl.DataFrame, paths: Sequence[str]) -> pl.DataFrame:
    """Which of the files each place of code is in: code_file, code_function, path, signal; without those in none.

    Args:
        places: code_file and code_function, as spans say them.
        paths: Files, relative to the repository.
    """
    by_name: dict[str, list[str]] = {}
    by_module: dict[str, list[str]] = {}
    for path in paths:
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
        by_module.setdefault(_module(path)[-1], []).append(path)
    least = min(2, max((len(_module(path)) for path in paths), default=1))
    rows = []
    for file, function in places.select("code_file", "code_function").unique().iter_rows():
        if file:
            near = by_name.get(file.replace("\\", "/").rpartition("/")[2], [])
        else:
            near = [path for name in {*_names(function)[:-1]} for path in by_module.get(name, ())]
        path, signal = _file_of(file, function, near, least) if near else ("", "")
        if path:
            rows.append((file, function, path, signal))
    schema = {"code_file": pl.String, "code_function": pl.String, "path": pl.String, "signal": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def code_of_tests(spans: pl.DataFrame) -> pl.DataFrame:
    """Which code ran below the span of which test: test_id, code_file, code_function (empty where unsaid), end_unix_ns.

    A test's own span says where the test is, which is no news, so that it is left out.

    Args:
        spans: trace_id, span_id, parent_span_id, end_unix_ns, test_id, code_file, code_function.
    """
    above = spans.select("trace_id", at="span_id", up="parent_span_id", test="test_id", end="end_unix_ns")
    says = pl.col("code_file").is_not_null() | pl.col("code_function").is_not_null()
    walking = spans.filter(says, pl.col("test_id").is_null()).select(
        "trace_id", "code_file", "code_function", at="parent_span_id"
    )
    found = []
    for _ in range(MOST_STEPS):
        walking = walking.unique().join(above, on=["trace_id", "at"])
        found.append(walking.filter(pl.col("test").is_not_null()))
        walking = walking.filter(pl.col("test").is_null()).drop("at", "test", "end").rename({"up": "at"})
        if walking.is_empty():
            break
    code = [pl.col(name).fill_null("") for name in ("code_file", "code_function")]
    rows = pl.concat(found).select(*code, test_id="test", end_unix_ns="end")
    return rows.group_by("test_id", "code_file", "code_function").agg(pl.col("end_unix_ns").min())


def _endpoints(running: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Each running span with the entry span above it in its service; itself where it is one; its own name else."""
    key = ["trace_id", "span_id"]
    above = spans.select(*key, "parent_span_id", "name", "is_entry", "service_key")
    walking = running.select("path", "signal", "service_key", "name", *key).with_columns(at=pl.col("span_id"))
    found = []
    for _ in range(MOST_STEPS):
        step = walking.join(
            above.select(
                "trace_id", at="span_id", up="parent_span_id", above="name", entry="is_entry", of="service_key"
            ),
            on=["trace_id", "at"],
            how="left",
        )
        arrived = step["entry"].fill_null(value=False) & (step["of"] == step["service_key"])
        found.append(step.filter(arrived).select("path", "signal", "service_key", endpoint="above"))
        lost = (
            step["entry"].is_null() | step["up"].is_null() | (step["of"] != step["service_key"]).fill_null(value=True)
        )
        found.append(step.filter(~arrived & lost).select("path", "signal", "service_key", endpoint="name"))
        walking = step.filter(~arrived & ~lost).with_columns(at="up").select(walking.columns)
        if walking.is_empty():
            break
    return pl.concat(found)


def _file_of(file: str | None, function: str | None, paths: Sequence[str], least: int) -> tuple[str, str]:
    """The one of the paths that a span's place means, and by which attribute; empty where none or several."""
    if file:
        parts = file.replace("\\", "/").split("/")
        best = _longest({path: _common_end(parts, path.split("/")) for path in paths}, least=1)
        return (best, "code.file.path") if best else ("", "")
    names = _names(function)
    ends = {
        path: max((_common_end(names[:n], _module(path)) for n in range(1, len(names))), default=0) for path in paths
    }
    best = _longest(ends, least=least)
    return (best, "code.function.name") if best else ("", "")


def _names(function: str | None) -> list[str]:
    """Modules, classes and the function's own name."""
    return (function or "").replace("::", ".").replace("/", ".").split(".")


def _module(path: str) -> list[str]:
    """The parts of a path as a module's name has them."""
    return path.rsplit(".", 1)[0].removesuffix("/__init__").split("/")


def _common_end(some: Sequence[str], others: Sequence[str]) -> int:
    n = 0
    for mine, other in zip(reversed(some), reversed(others), strict=False):
        if mine != other:
            break
        n += 1
    return n


def _longest(ends: Mapping[str, int], *, least: int) -> str:
    most = max(ends.values(), default=0)
    best = [path for path, n in ends.items() if n == most]
    return best[0] if most >= least and len(best) == 1 else ""


def callers(edges: pl.DataFrame, services: Sequence[str], most: int = 3) -> list[tuple[str, str, int, int]]:
    """Services that call the given ones, directly or through others: (service, whom it calls, distance, calls).

    Args:
        edges: caller_key, callee_key, n_calls; any number of rows a pair.
        services: Service keys.
        most: Largest distance.
    """
    calls = edges.group_by("caller_key", "callee_key").agg(pl.col("n_calls").sum())
    by_callee: dict[str, list[tuple[str, int]]] = {}
    for caller, callee, n in calls.sort("n_calls", "caller_key", descending=[True, False]).iter_rows():
        by_callee.setdefault(callee, []).append((caller, n))
    seen, edge, found = set(services), list(services), list[tuple[str, str, int, int]]()
    for distance in range(1, most + 1):
        following = []
        for callee in edge:
            for caller, n in by_callee.get(callee, ()):
                if caller not in seen:
                    seen.add(caller)
                    following.append(caller)
                elif distance > 1 or caller == callee:  # of those that are asked about only their own calls
                    continue
                found.append((caller, callee, distance, n))
        edge = following
    return found
