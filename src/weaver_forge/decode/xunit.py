"""xUnit.net XML, version 2 (``assemblies``) and 1 (``assembly``) -> a report.

A test is type and method with its arguments. Errors outside tests (a fixture or a collection that could not be cleaned
up, an assembly that could not be loaded) stand in ``errors``: those are the infrastructure's.
"""

from weaver_forge.decode.report import Attempt, Case, Report, Suite, cut
from weaver_forge.decode.xml_nodes import Node, read_nodes

_STATUS = {"pass": "passed", "fail": "failed", "skip": "skipped", "notrun": "skipped", "error": "error"}


def read_xunit(data: bytes) -> Report:
    """Read one file; never raises for what it holds."""
    report = Report("xunit")
    reader = _Xunit(report)
    read_nodes(data, report, {"test": reader.test, "error": reader.error})
    return report


class _Xunit:
    """The tests of a file, by assembly and collection."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._suites: dict[int, Suite] = {}
        self._held: list[Node] = []  # an element that is told by its identity must not be freed
        self._cases: dict[tuple[int, str, str], Case] = {}

    def test(self, node: Node) -> None:
        """A test; the same one again in its assembly is another attempt."""
        name, classname = node.get("name") or node.get("method"), node.get("type")
        if not name:
            self._report.rejected.append(("test", "a test without a name has no identity", ""))
            return
        if classname and name.startswith(f"{classname}."):
            name = name[len(classname) + 1 :] or name
        suite = self._suite(node)
        key = (suite.number, classname, name)
        case = self._cases.get(key)
        if case is not None:
            case.attempts.append(_attempt(node))
            return
        file = node.get("source-file") or None
        self._report.add(suite, classname, name, [_attempt(node)], file=file)
        self._cases[key] = self._report.cases[-1]

    def error(self, node: Node) -> None:
        """An error outside tests."""
        name = node.get("name") or node.get("type") or "[assembly]"
        message = cut(node.text_at("failure/message"))
        self._report.add(self._suite(node), "", name, [("collection_error", None, message)])

    def _suite(self, node: Node) -> Suite:
        above = list(node.all_above())
        assembly = next((one for one in above if one.tag == "assembly"), above[-1] if above else node)
        if id(assembly) not in self._suites:
            # A path, of the machine that built it: the file's own name is what stays the same.
            name = assembly.get("name").replace("\\", "/").rpartition("/")[2]
            started = assembly.get("start-rtf") or f"{assembly.get('run-date')}T{assembly.get('run-time')}".strip("T")
            root = above[-1] if above else node
            hostname = root.get("computer") or None
            self._suites[id(assembly)] = self._report.suite(
                name, timestamp=started or None, hostname=hostname, producer="xunit"
            )
            self._held.append(assembly)
        return self._suites[id(assembly)]


def _attempt(node: Node) -> Attempt:
    status = _STATUS.get(node.get("result").lower(), "error")
    message = node.text_at("failure/message") if status != "skipped" else node.text_at("reason") or node.text_at(
        "reason/message"
    )  # fmt: skip
    try:
        duration = float(node.get("time").replace(",", ".")) * 1000
    except ValueError:
        duration = -1.0
    return status, duration if 0 <= duration < 1e15 else None, cut(message) if status != "passed" else None
