"""XML test reports read element by element: each wanted element as a small tree, as soon as it has ended.

For the formats of .NET, whose results are trees. A DTD is refused, and a file that breaks off keeps what was complete.
JUnit XML has a reader of its own (``junit_report``): there are many more of them, and larger ones.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from weaver_forge.decode.faults import in_words, kept_before
from weaver_forge.decode.report import Report, escaped

_MOST_DEPTH = 500


@dataclass(slots=True)
class Node:
    """An element without its namespace. ``above`` leads to the root; ``children`` are kept of wanted elements alone."""

    tag: str
    attributes: dict[str, str]
    above: "Node | None" = None
    children: list["Node"] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its own text."""
        return "".join(self.pieces).strip()

    def get(self, name: str) -> str:
        """An attribute; empty where it is absent."""
        return self.attributes.get(name, "")

    def find(self, path: str) -> "Node | None":
        """The first element at a path of tags below this one."""
        node: Node | None = self
        for tag in path.split("/"):
            node = next((child for child in node.children if child.tag == tag), None) if node else None
        return node

    def text_at(self, path: str) -> str:
        """The text at a path of tags; empty where there is none."""
        node = self.find(path)
        return node.text if node else ""

    def all_above(self) -> Iterator["Node"]:
        """The elements around this one, the nearest first."""
        node = self.above
        while node is not None:
            yield node
            node = node.above


class _Refused(Exception):  # noqa: N818 - carries a reason out of expat's callbacks
    """The file as a whole is refused."""


def read_nodes(data: bytes, report: Report, wanted: Mapping[str, Callable[[Node], None]]) -> None:
    """Hand every wanted element over when it ends; what is damaged goes to the report's rejected pieces."""
    reader = _Reader(wanted)
    try:
        reader.parser.Parse(data.lstrip(), True)
    except _Refused as refusal:
        report.rejected.append(("root element", str(refusal), escaped(data)))
    except (expat.ExpatError, ValueError, LookupError) as error:
        report.is_partial = True
        what = f"not well-formed XML ({in_words(error)}); {kept_before(len(report.cases))}"
        position = reader.parser.ErrorByteIndex
        report.rejected.append((f"byte {position}", what, escaped(data.lstrip()[max(0, position) :])))


class _Reader:
    """Expat's callbacks; one instance a file."""

    def __init__(self, wanted: Mapping[str, Callable[[Node], None]]) -> None:
        self._wanted = wanted
        self._at: Node | None = None
        self._keeping, self._depth = 0, 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype

    def _refuse_doctype(self, *_: object) -> None:
        raise _Refused("the file declares a DTD, which test reports never need: write it without one")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise _Refused(f"elements are nested more than {_MOST_DEPTH} deep, which no test report is")
        node = Node(tag.rpartition(":")[2], attributes, self._at)
        if self._keeping and self._at is not None:
            self._at.children.append(node)
        self._keeping += node.tag in self._wanted
        self._at = node

    def _text(self, text: str) -> None:
        if self._keeping and self._at is not None:
            self._at.pieces.append(text)

    def _end(self, _tag: str) -> None:
        self._depth -= 1
        node = self._at
        assert node is not None
        self._at = node.above
        if node.tag in self._wanted:
            self._keeping -= 1
            self._wanted[node.tag](node)
