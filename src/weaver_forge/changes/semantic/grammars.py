"""The grammars of languages other than Python, loaded when one is first needed, and what is particular to each.

Put a language here, with what makes white space or comments matter in it. Without the wheels of the extra ``code``
there is no grammar, and every change is behaviour.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Parser


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """How a language is read.

    Args:
        module: The wheel's module.
        function: Of it, what gives the language.
        line_ends: A line's end may end a statement.
        indented: The indentation of a line may matter.
        spaced: Whether there is white space between two tokens may matter.
        documents: Comments that are part of the program as its documentation.
        every_comment: What makes every comment of a file matter.
        own_lines: What makes the place of every line matter.
    """

    module: str
    function: str = "language"
    line_ends: bool = False
    indented: bool = False
    spaced: bool = False
    documents: re.Pattern[bytes] | None = None
    every_comment: re.Pattern[bytes] | None = None
    own_lines: re.Pattern[bytes] | None = None


_C_LINES = re.compile(rb"__LINE__|__COUNTER__|__builtin_LINE|source_location|^\s*#\s*line\b", re.MULTILINE)
_JS_LINES = re.compile(rb"\.toString\(\)\s*\.(?:match|split|replace)|\.stack\b|toMatchInlineSnapshot|__filename\)")

GRAMMARS: dict[str, Grammar] = {
    "bash": Grammar(
        module="tree_sitter_bash",
        line_ends=True,
        spaced=True,
        # A usage text that a script takes out of its own comments.
        every_comment=re.compile(rb"\b(?:sed|grep|awk|head|tail|cat|perl|cut)\b[^\n]*(?:\$\{?0|BASH_SOURCE)"),
        own_lines=re.compile(rb"\bLINENO\b|\bcaller\b|(?:sed|head|tail|awk)[^\n]*(?:\$\{?0|BASH_SOURCE)"),
    ),
    "c": Grammar(module="tree_sitter_c", own_lines=_C_LINES),
    "cpp": Grammar(module="tree_sitter_cpp", own_lines=_C_LINES),
    "c_sharp": Grammar(
        module="tree_sitter_c_sharp",
        documents=re.compile(rb"///|/\*\*"),
        own_lines=re.compile(rb"CallerLineNumber|CallerArgumentExpression|^\s*#line\b", re.MULTILINE),
    ),
    "go": Grammar(
        module="tree_sitter_go",
        line_ends=True,
        # C in the comment above `import "C"`; what an example is expected to print.
        every_comment=re.compile(rb'^\s*(?:import\s+)?"C"|^func Example', re.MULTILINE),
        own_lines=re.compile(rb"runtime\.Callers?\b"),
    ),
    "java": Grammar(module="tree_sitter_java", own_lines=re.compile(rb"getLineNumber|StackWalker")),
    "javascript": Grammar(module="tree_sitter_javascript", line_ends=True, own_lines=_JS_LINES),
    "typescript": Grammar(
        module="tree_sitter_typescript", function="language_typescript", line_ends=True, own_lines=_JS_LINES
    ),
    "tsx": Grammar(module="tree_sitter_typescript", function="language_tsx", line_ends=True, own_lines=_JS_LINES),
    "kotlin": Grammar(module="tree_sitter_kotlin", line_ends=True, own_lines=re.compile(rb"lineNumber|StackWalker")),
    "php": Grammar(
        module="tree_sitter_php",
        function="language_php",
        documents=re.compile(rb"/\*\*"),
        own_lines=re.compile(
            rb"__LINE__|__COMPILER_HALT_OFFSET__|__halt_compiler|getStartLine|getLine\(", re.IGNORECASE
        ),
    ),
    "ruby": Grammar(
        module="tree_sitter_ruby",
        line_ends=True,
        spaced=True,
        own_lines=re.compile(rb"__LINE__|\bcaller(?:_locations)?\b|source_location|\bDATA\b"),
    ),
    "rust": Grammar(
        module="tree_sitter_rust",
        documents=re.compile(rb"//[/!]|/\*[*!]"),
        own_lines=re.compile(
            rb"\b(?:line|column|stringify|expect|include|assert_snapshot)!|Location::caller|track_caller"
        ),
    ),
    "scala": Grammar(
        module="tree_sitter_scala", line_ends=True, indented=True, own_lines=re.compile(rb"sourcecode\.|lineNumber")
    ),
    "swift": Grammar(
        module="tree_sitter_swift",
        line_ends=True,
        spaced=True,
        own_lines=re.compile(rb"#line\b|#sourceLocation|#column"),
    ),
}
"""Language, as ``paths`` names it -> its grammar."""


@cache
def parser_of(language: str) -> "Parser | None":
    """A parser; None where the grammar or tree-sitter itself is not installed, or where it is too old or new."""
    grammar = GRAMMARS[language]
    try:
        from tree_sitter import Language, Parser

        module = import_module(grammar.module)
        return Parser(Language(getattr(module, grammar.function)()))
    except (ImportError, AttributeError, ValueError):
        return None
