"""Log lines -> templates: which lines are the same statement with other values in it.

Drain (He, Zhu, Zheng, Lyu: Drain: An Online Log Parsing Approach with Fixed Depth Tree, ICWS 2017), with the
obvious values masked first, so that a chunk of lines has few distinct ones and only these are looked at one by one.
Templates are the whole state: a miner that is made from stored templates goes on exactly as one that never
stopped, because where a template stands in the tree follows from its text.

Put here what a template is. Counting them by the minute is in ``warehouse.log_marts``.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    """

    template_id: str
    tokens: list[str]
    n: int = 0

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
        self._leaves: dict[tuple[object, ...], list[Template]] = {}
        self._size = 0
        self._ids: set[str] = set()
        for template in templates:
            self._add(template)

    @property
    def templates(self) -> list[Template]:
        """All that are held."""
        return [template for leaf in self._leaves.values() for template in leaf]

    def assign(self, lines: pl.Series, counts: pl.Series | None = None) -> pl.Series:
        """The template of each line; null where the line is null or blank.

        What is found depends on the lines' order only through which distinct one comes first.

        Args:
            lines: Text.
            counts: How often each was written; once where not given.
        """
        read = pl.DataFrame(
            {"line": masked(lines), "n": counts if counts is not None else pl.repeat(1, len(lines), eager=True)}
        )
        said = read.filter(pl.col("line").str.len_bytes() > 0)
        distinct = said.group_by("line", maintain_order=True).agg(pl.col("n").sum())
        found = [self._match(line, n).template_id for line, n in distinct.iter_rows()]
        ids = distinct.select("line").with_columns(pl.Series("template_id", found, dtype=pl.String))
        return read.select("line").join(ids, on="line", how="left", maintain_order="left")["template_id"]

    def _match(self, line: str, n: int) -> Template:
        tokens = line.split(" ")
        if len(tokens) > _MAX_TOKENS:
            tokens = [*tokens[:_MAX_TOKENS], WILDCARD]
        best, score = None, (0.0, 0)
        leaf = self._leaves.get(_path(tokens), ())
        for template in leaf:
            own = _score(template.tokens, tokens)
            if own > score:
                best, score = template, own
        if best is None or score[0] < (SIMILARITY if len(leaf) < CROWDED else CROWDED_SIMILARITY):
            self._make_room()
            best = Template(self._new_id(line), tokens)
            self._add(best)
        else:
            best.tokens = [a if a == b else WILDCARD for a, b in zip(best.tokens, tokens, strict=True)]
        best.n += n
        return best

    def _add(self, template: Template) -> None:
        self._leaves.setdefault(_path(template.tokens), []).append(template)
        self._size += 1
        self._ids.add(template.template_id)

    def _new_id(self, line: str) -> str:
        """Hash of the line; of the line and a number where its own template has grown away from it."""
        text = line.encode()
        while (template_id := hashlib.blake2b(text, digest_size=16).hexdigest()) in self._ids:
            text += b"\0"
        return template_id

    def _make_room(self) -> None:
        """Give up the tenth of the templates that the fewest lines have, oldest of these first."""
        if self._size < self.max_templates:
            return
        given_up = {id(t) for t in sorted(self.templates, key=_count)[: max(1, self.max_templates // 10)]}
        for path, leaf in list(self._leaves.items()):
            kept = [template for template in leaf if id(template) not in given_up]
            if kept:
                self._leaves[path] = kept
            else:
                del self._leaves[path]
        self._size -= len(given_up)
        self._ids = {template.template_id for template in self.templates}


def _count(template: Template) -> int:
    return template.n


def _path(tokens: Sequence[str]) -> tuple[object, ...]:
    """The leaf of a line: number of tokens, its first word as far as that is no value, and the class that logs."""
    first = next((WILDCARD if _is_value(token) else token for token in tokens if _is_word(token)), None)
    logger = next(filter(None, map(_CLASS.match, tokens)), None)
    return (len(tokens), first, logger and logger[1])


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
