"""Test reports of the simulated runs, as pytest (with pytest-rerunfailures) and Maven surefire write them.

Three ways in which reports are linked to a commit occur, because all three occur outside: suite properties name
commit and run, properties name the run only (the runs file has its commit), and nothing but the folder does.
"""

from xml.sax.saxutils import quoteattr

from weaver_forge.testing.ci import Result, Run
from weaver_forge.testing.plan import REMOTE, REPO_ID
from weaver_forge.testing.topology import Service

_BARE = "notification"
"""The one service whose reports name neither commit nor run; only their folder is called after the run."""


def report(run: Run, service: Service, revision: str) -> str:
    """The report of a service in a run, as XML text."""
    results = [result for result in run.results if result.case.service == service.name]
    return _surefire(run, service, results) if service.language == "java" else _pytest(run, service, results, revision)


def _pytest(run: Run, service: Service, results: list[Result], revision: str) -> str:
    properties = {} if service.name == _BARE else {"run_id": run.run_id, "revision": revision, "repository": REMOTE}
    failed = sum(not result.ends_passed for result in results)
    seconds = sum(sum(result.durations_ms) for result in results) / 1000
    # What pytest-rerunfailures does: `tests` counts cases, but every attempt is an element of its own, and only
    # the last one says how it ended; the failed attempts before it look as if they had passed.
    parts = [
        (
            '<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">'
            f'<testsuite name="pytest" errors="0" failures="{failed}" skipped="0" tests="{len(results)}" '
            f'time="{seconds:.3f}" timestamp="{run.started_at:%Y-%m-%dT%H:%M:%S}.000000+00:00" hostname="runner-1">'
        ),
        _properties(properties),
    ]
    for result in results:
        case = result.case
        for attempt, duration in enumerate(result.durations_ms, 1):
            head = f'<testcase classname="{case.classname}" name="{case.name}" time="{duration / 1000:.3f}"'
            if attempt == len(result.passed) and not result.ends_passed:
                text = f"assert {attempt} == 0"
                body = f"def {case.name}():\n&gt;       {text}\nE       {text}\n\n{case.path}:12: AssertionError"
                parts.append(f'{head}><failure message="{text}">{body}</failure></testcase>')
            else:
                parts.append(f"{head} />")
    return "".join((*parts, "</testsuite></testsuites>"))


def _surefire(run: Run, service: Service, results: list[Result]) -> str:
    properties = {"java.version": "21.0.4", "GITHUB_RUN_ID": run.run_id, "GITHUB_REPOSITORY": REPO_ID.partition("/")[2]}
    attempts = sum(len(result.passed) for result in results)
    failures = sum(result.passed.count(False) for result in results)
    seconds = sum(sum(result.durations_ms) for result in results) / 1000
    schema = "https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd"
    # What surefire does with reruns: the counts are of attempts, the cases are listed once.
    parts = [
        (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'xsi:noNamespaceSchemaLocation="{schema}" name="shop.{service.name}" time="{seconds:.3f}" '
            f'tests="{attempts}" errors="0" skipped="0" failures="{failures}">\n  {_properties(properties)}\n'
        ),
        *(_surefire_case(result) for result in results),
        "</testsuite>\n",
    ]
    return "".join(parts)


def _surefire_case(result: Result) -> str:
    case, last = result.case, result.durations_ms[-1] / 1000
    head = f'  <testcase name="{case.name}" classname="{case.classname}" time="{last:.3f}"'
    message = 'message="expected: &lt;0&gt; but was: &lt;1&gt;" type="java.lang.AssertionError"'
    trace = f"java.lang.AssertionError: expected: &lt;0&gt; but was: &lt;1&gt;\n\tat {case.classname}.{case.name}\n"
    stack = f"\n      <stackTrace>{trace}</stackTrace>\n    "
    if result.ends_passed:
        flaky = f"    <flakyFailure {message}>{stack}</flakyFailure>\n" * result.passed.count(False)
        return f"{head}>\n{flaky}  </testcase>\n" if flaky else f"{head}/>\n"
    rerun = f"    <rerunFailure {message}>{stack}</rerunFailure>\n" * (len(result.passed) - 1)
    return f"{head}>\n    <failure {message}>{trace}</failure>\n{rerun}  </testcase>\n"


def _properties(properties: dict[str, str]) -> str:
    if not properties:
        return ""
    each = "".join(f"<property name={quoteattr(k)} value={quoteattr(v)} />" for k, v in properties.items())
    return f"<properties>{each}</properties>"
