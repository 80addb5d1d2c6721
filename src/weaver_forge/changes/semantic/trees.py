"""Languages other than Python: the class of a changed file by its tokens and the shape of its tree, without comments.

Tokens alone would not do: `return` and what follows it are the same tokens on one line and on two. So a token comes
with its depth and kind in the tree, and where a line's end may end a statement, with the ends of lines. Strings,
templates, patterns and markup are compared as they are written, and so is what a grammar says nothing of.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias

from weaver_forge.changes.semantic.classes import ChangeClass, Finding, behaviour
from weaver_forge.changes.semantic.docstrings import PHP_READERS, RUST_EXAMPLE, RUST_READERS
from weaver_forge.changes.semantic.grammars import GRAMMARS, Grammar, parser_of
from weaver_forge.changes.semantic.pragmas import Comment, changed_read

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

Token: TypeAlias = tuple[int, int, bytes]
"""Depth, kind as the grammar numbers it, and text; the text of a node with children is empty."""

_VERBATIM = re.compile(
    r".*(?:string|str_(?:text|part|escaped)|heredoc|regex|jsx_(?:element|fragment|self_closing|text)|char|rune|xml"
    r"|quoted|uninterpreted|text_inter|template_literal|preproc_arg|symbol_array|delimited_symbol|subshell|expansion"
    r"|raw_|doc_comment|playground|shebang|hash_bang)|(?:text|word)$"
)
"""Kinds of nodes whose text counts as it is written, white space and all."""
# Kinds of tokens that no grammar has.
_HIDDEN, _INDENT, _LINE, _JOINED = -1, -2, -3, -4

_COMMENTS = frozenset({"comment", "line_comment", "block_comment", "multiline_comment", "html_comment"})
_LEVELLED = frozenset("([{,;=.+-*/%&|<>?:!^~")
_CONTINUED = re.compile(rb"\\\r?\n")
_MACRO = re.compile(rb"[A-Z_][A-Z0-9_]*|assert|static_assert")
_BEFORE_PHP = re.compile(rb"(?:#![^\n]*\n)?<\?php\b", re.IGNORECASE)


@dataclass(slots=True)
class _Text:
    """One text as it is read: comments are gathered while its tokens are given."""

    source: bytes
    tree: "Tree"
    language: str
    comments: list[Comment] = field(default_factory=list)

    def tokens(self) -> Iterator[Token]:
        """The tokens, in order."""
        grammar, source = GRAMMARS[self.language], self.source
        at, n, last = 0, 0, b""
        for node, depth, whole in _leaves(self.tree, self.language):
            if not whole:
                n += 1
                yield depth, node.kind_id, b""
                continue
            start, end = node.start_byte, node.end_byte
            between = source[at:start] if start > at else b""
            at = max(at, end)
            if between and (hidden := _CONTINUED.sub(b"", between).strip()):
                n += 1
                yield depth, _HIDDEN, hidden
            if node.type in _COMMENTS:
                self.comments.append(Comment(source[start:end].rstrip(), n, start))
                continue
            text = source[start:end]
            if not text.strip() and not node.is_named:
                continue  # an end of line that a grammar has as a token: seen by what stands around it
            n += 1
            yield depth, node.kind_id, text
            if grammar.spaced and not between:
                yield depth, _JOINED, b""
            if grammar.line_ends:
                yield from self._line(grammar, depth, start, last, text)
                last = text
        rest = source[at:].strip()
        if rest:
            yield 0, _HIDDEN, rest

    def _line(self, grammar: Grammar, depth: int, start: int, last: bytes, text: bytes) -> Iterator[Token]:
        """That a token begins a line, where that may matter; and how far in."""
        begin = self.source.rfind(b"\n", 0, start) + 1
        lead = self.source[begin:start]
        if not lead.strip():
            if grammar.indented:
                yield depth, _INDENT, lead
            opens = last[-1:].decode("latin-1") in _LEVELLED and last not in {b"++", b"--", b"!", b"?"}
            if not opens and text[:1] not in {b")", b"]", b"}"}:
                yield depth, _LINE, b""


def compare_trees(old: bytes, new: bytes, language: str) -> Finding:
    """The class of a change of a source file, from both whole texts."""
    parser = parser_of(language)
    if parser is None:
        return behaviour(f"no grammar of {language} is installed (the extra `code` brings it)")
    before, after = _text(parser, old, language), _text(parser, new, language)
    if before is None or after is None:
        return behaviour(f"it does not parse as {language}")
    if any(a != b for a, b in zip_longest(before.tokens(), after.tokens())):
        return behaviour("the tokens of the code changed")
    return _beside(old, new, language) or _comments(before, after)


def tokens_of(source: bytes, language: str) -> list[Token] | None:
    """The tokens of a text without its comments; None where it does not parse or there is no grammar."""
    parser = parser_of(language)
    text = None if parser is None else _text(parser, source, language)
    return None if text is None else list(text.tokens())


def _text(parser: "Parser", source: bytes, language: str) -> _Text | None:
    tree = parser.parse(source)
    return None if tree.root_node.has_error else _Text(source, tree, language)


def _leaves(tree: "Tree", language: str) -> Iterator[tuple["Node", int, bool]]:
    """Every node in order, with its depth, and whether it counts as a whole; below such a one nothing is given."""
    cursor = tree.walk()
    depth = 0
    while True:
        node = cursor.node
        assert node is not None
        whole = node.child_count == 0 or _is_whole(node, language)
        yield node, depth, whole
        if not whole and cursor.goto_first_child():
            depth += 1
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
            depth -= 1


def _is_whole(node: "Node", language: str) -> bool:
    kind = node.type
    if kind in _COMMENTS:
        return True
    if language in {"c", "cpp"} and kind == "call_expression":  # a macro may make a string of its arguments
        called = node.child_by_field_name("function")
        return called is not None and called.text is not None and bool(_MACRO.fullmatch(called.text))
    return node.is_named and _is_verbatim(kind)


@cache
def _is_verbatim(kind: str) -> bool:
    return bool(_VERBATIM.match(kind)) and kind != "subshell"


def _beside(old: bytes, new: bytes, language: str) -> Finding | None:
    grammar = GRAMMARS[language]
    first, after = old.split(b"\n", 1)[0], new.split(b"\n", 1)[0]
    if first != after and b"#!" in first + after:
        return behaviour("the shebang line changed")
    if language == "bash" and old.count(b"\r") != new.count(b"\r"):
        return behaviour("line ends changed, which a shell reads")
    if language == "php" and not (_is_all_php(old) and _is_all_php(new)):
        return behaviour("text outside of PHP is printed as it stands")
    for text in (old, new):
        reads = grammar.own_lines.search(text) if grammar.own_lines else None
        if reads:
            return behaviour(f"the file reads its own lines ({reads[0].decode('utf-8', 'replace').strip()[:40]})")
    return None


def _is_all_php(text: bytes) -> bool:
    return bool(_BEFORE_PHP.match(text)) and b"?>" not in text


def _comments(old: _Text, new: _Text) -> Finding:
    grammar = GRAMMARS[old.language]
    read = changed_read((old.source, old.comments), (new.source, new.comments), old.language)
    if read is not None:
        return behaviour(f"a comment that tools read changed or moved: {read.decode('utf-8', 'replace')[:60]}")
    before, after = ([c.said() for c in text.comments] for text in (old, new))
    every = grammar.every_comment
    if every and before != after and (every.search(old.source) or every.search(new.source)):
        return behaviour("comments changed in a file whose comments are read")
    if grammar.documents is not None:
        found = _documents(old, new, grammar.documents)
        if found is not None:
            return found
    if before == after:
        return Finding(ChangeClass.FORMAT, "the tokens and the comments are the same")
    return Finding(ChangeClass.COMMENT, "only comments changed: the tokens of the code are the same")


def _documents(old: _Text, new: _Text, documents: re.Pattern[bytes]) -> Finding | None:
    """What a change of documentation in comments means; None where none of it changed."""
    before, after = ([(c.said(), c.place) for c in t.comments if documents.match(c.text)] for t in (old, new))
    if before == after:
        return None
    if len({place for _, place in after}) < len({place for _, place in before}):
        return behaviour("documentation is gone, which a compiler may ask for")
    language = old.language
    texts = (old.source, new.source)
    readers = {"rust": RUST_READERS, "php": PHP_READERS}.get(language)
    if readers is not None and any(readers.search(text) for text in texts):
        return behaviour("documentation changed, and the file may use it")
    said = b"\n".join(text for text, _ in {*before} ^ {*after})
    fences = any(RUST_EXAMPLE.search(text) for text in texts) and _fenced(texts[0]) != _fenced(texts[1])
    if language == "rust" and (RUST_EXAMPLE.search(said) or fences):
        return behaviour("documentation changed that has code in it, which is run as a test")
    return Finding(ChangeClass.DOCSTRING, "only documentation changed: the tokens of the code are the same")


def _fenced(text: bytes) -> list[bytes]:
    """Lines of documentation that are code: between fences, or indented."""
    found: list[bytes] = []
    within = False
    for line in text.splitlines():
        said = line.strip()
        if not said.startswith((b"//", b"/*", b"*")):
            within = False
            continue
        fence = b"```" in said or b"~~~" in said
        if fence or within or RUST_EXAMPLE.search(line):
            found.append(said)
        within ^= fence
    return found
