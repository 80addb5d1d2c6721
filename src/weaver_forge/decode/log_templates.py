"""Log lines -> templates: which lines are the same statement with other values in it.

Drain (He, Zhu, Zheng, Lyu: Drain: An Online Log Parsing Approach with Fixed Depth Tree, ICWS 2017), with the
obvious values masked first, so that a chunk of lines has few distinct ones and only these are looked at one by one.

Which template a line gets depends on the lines before it, since templates grow: the order is part of the result.
Lines are taken one after the other, so the same lines in the same order give the same templates and ids however they
are cut into calls, and a miner that is made from stored templates goes on exactly as one that never stopped (as long
as none had to be given up). An id, once given, stays. Lines in another order may be grouped and worded otherwise.

Put here what a template is. Counting them by the minute is in ``warehouse.log_marts``.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

import polars as pl

WILDCARD = "<*>"
MAX_TEMPLATES = 10_000
SIMILARITY = 0.7
"""Share of equal words from which on a line belongs to a template. The paper took 0.3 to 0.6 of all tokens; where
values are masked and punctuation is not counted, 0.7 separates best (train-ticket's logs, 203 statements)."""
CROWDED = 200
CROWDED_SIMILARITY = 0.5
"""Where so many templates begin alike, a word that looked constant is a value after all (names of people)."""

_CLASS = re.compile(r"((?:\w+\.)+[A-Z]\w*)(?:\W|$)")
"""A logger's name where it stands in the text (o.s.OrderServiceImpl). With it in the tree grouping accuracy on
train-ticket's logs is 0.80, with the paper's leading tokens 0.80 too but split by people's names, without 0.65."""
_MAX_TOKENS = 48
"""What follows is one wildcard: beyond it lines are dumps of values."""
_MAX_CHARACTERS = 600

_TIME = (
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?"
    r"|\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?"
)
_UUID = r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
_ADDRESS = r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"
_HEX = r"\b0[xX][0-9a-fA-F]+\b|\b[0-9a-fA-F]{16,}\b|\b[0-9a-f]*\d[0-9a-f]*[a-f][0-9a-f]{4,}\b"
_NUMBER = r"[-+]?\b\d+(?:[.,]\d+)*(?:[a-zA-Z\u00b5]{1,3}\b|%)?"
_VALUES = f"{_TIME}|{_UUID}|{_ADDRESS}|{_HEX}|{_NUMBER}"
_SPLIT = r"([\[\](){}=:,;|\"'])"
_RUNS = r"<\*>(?:[\s,;]*<\*>)+"


@dataclass(slots=True)
class Template:
    """A statement in the code, as far as its lines tell.

    Args:
        template_id: 32 hex digits; given when the template is first seen, and kept when it grows more general.
        tokens: Its words; a wildcard where its lines differ.
        n: Lines seen.
        leaf: Where it stands in the tree: where its first line did, for a template that has grown may no longer show
            it. Empty: where its own words put it.
    """

    template_id: str
    tokens: list[str]
    n: int = 0
    leaf: str = ""

    @property
    def text(self) -> str:
        """The tokens joined by blanks."""
        return " ".join(self.tokens)


def masked(lines: pl.Series) -> pl.Series:
    """The first line of each text, cut to a bounded length, with times, ids, addresses and numbers as wildcards."""
    return (
        lines.str.slice(0, 2 * _MAX_CHARACTERS)
        .str.strip_chars()
        .str.extract(r"^([^\r\n]*)", 1)
        .str.slice(0, _MAX_CHARACTERS)
        .str.replace_all(_VALUES, WILDCARD)
        .str.replace_all(_RUNS, WILDCARD)
        .str.replace_all(_SPLIT, " $1 ")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )


class Miner:
    """Finds or makes the template of each line.

    Args:
        templates: Of earlier lines, oldest first.
        max_templates: How many are held; of more, those of the fewest lines are given up.
    """

    def __init__(self, templates: Iterable[Template] = (), *, max_templates: int = MAX_TEMPLATES) -> None:
        self.max_templates = max_templates
        self._templates: dict[str, Template] = {}
        self._leaves: dict[str, list[Template]] = {}
        self._known: dict[str, tuple[Template, int]] = {}
        self._changed: dict[str, int] = {}
        self._serial = count()
        for template in templates:
            self._add(template)

    @property
    def templates(self) -> list[Template]:
        """All that are held, oldest first."""
        return list(self._templates.values())

    def assign(self, lines: pl.Series, counts: pl.Series | None = None) -> pl.Series:
        """The template of each line, one after the other; null where the line is null or blank.

        Args:
            lines: Text.
            counts: How often each was written; once where not given.
        """
        times = counts if counts is not None else pl.repeat(1, len(lines), eager=True)
        found = [
            self._match(line, n).template_id if line else None for line, n in zip(masked(lines), times, strict=True)
        ]
        return pl.Series("template_id", found, dtype=pl.String)

    def _match(self, line: str, n: int) -> Template:
        """The line's template; a line that was read before is read again only where its leaf has changed since."""
        template, changed = self._known.get(line, (None, -1))
        if template is None or self._changed.get(template.leaf) != changed:
            template = self._find(line)
            if len(self._known) > 10 * self.max_templates:
                self._known.clear()
            self._known[line] = (template, self._changed[template.leaf])
        template.n += n
        return template

    def _find(self, line: str) -> Template:
        tokens = line.split(" ")
        if len(tokens) > _MAX_TOKENS:
            tokens = [*tokens[:_MAX_TOKENS], WILDCARD]
        best, score = None, (0.0, 0)
        path = _path(tokens)
        leaf = self._leaves.get(path, ())
        for template in leaf:
            own = _score(template.tokens, tokens)
            if own > score:
                best, score = template, own
        if best is None or score[0] < (SIMILARITY if len(leaf) < CROWDED else CROWDED_SIMILARITY):
            self._make_room()
            best = Template(self._new_id(line), tokens, leaf=path)
            self._add(best)
        elif (grown := [a if a == b else WILDCARD for a, b in zip(best.tokens, tokens, strict=True)]) != best.tokens:
            best.tokens = grown
            self._changed[path] = next(self._serial)
        return best

    def _add(self, template: Template) -> None:
        template.leaf = template.leaf or _path(template.tokens)
        self._templates[template.template_id] = template
        self._leaves.setdefault(template.leaf, []).append(template)
        self._changed[template.leaf] = next(self._serial)

    def _new_id(self, line: str) -> str:
        """Hash of the line; of the line and a number where its own template has grown away from it."""
        text = line.encode()
        while (template_id := hashlib.blake2b(text, digest_size=16).hexdigest()) in self._templates:
            text += b"\0"
        return template_id

    def _make_room(self) -> None:
        """Give up the tenth of the templates that the fewest lines have, oldest of these first."""
        if len(self._templates) < self.max_templates:
            return
        for template in sorted(self.templates, key=_count)[: max(1, self.max_templates // 10)]:
            del self._templates[template.template_id]
            leaf = self._leaves[template.leaf]
            leaf.remove(template)
            self._changed[template.leaf] = next(self._serial)
            if not leaf:
                del self._leaves[template.leaf], self._changed[template.leaf]


def _count(template: Template) -> int:
    return template.n


def _path(tokens: Sequence[str]) -> str:
    """The leaf of a line: number of tokens, its first word as far as that is no value, and the class that logs."""
    first = next((WILDCARD if _is_value(token) else token for token in tokens if _is_word(token)), None)
    logger = next(filter(None, map(_CLASS.match, tokens)), None)
    return " ".join((str(len(tokens)), first or "", logger[1] if logger else ""))


def _is_word(token: str) -> bool:
    return token != WILDCARD and any(map(str.isalnum, token))


def _is_value(token: str) -> bool:
    return WILDCARD in token or any(map(str.isdigit, token))


def _score(template: Sequence[str], tokens: Sequence[str]) -> tuple[float, int]:
    """Share of the line's words that stand in the template, and for equal shares the more general template.

    Punctuation and masked values are not counted: lines of one layout share them all.
    """
    words = equal = 0
    for own, token in zip(template, tokens, strict=True):
        if _is_word(token) or _is_word(own):
            words += 1
            equal += own == token
    return (equal / words if words else 1.0), template.count(WILDCARD)
