"""Comments that a compiler, a tool or a runner reads: which they are, and where they stand.

Put a tool's word here when a comment of its can change what a run does. A word too many only makes CI run once more;
a word too few skips it. Everything is judged by the comment's own text, marks included.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

_WORDS = rb"""(?ix)
    noqa | nolint | nosec\b | nosonar | noinspection | nopep8 | skipcq | pragma | no[-_ ]?cover | type:
    | pylint | \bpyright | pytype | mypy | flake8 | \bisort | \byapf | \bfmt: | \bruff\b | \bblack: | cython | distutils
    | coding[:=] | -\*- | \bvim?: | \bex: | ///\s*script | doctest | \bbats\b
    | eslint | tslint | jshint | jslint | stylelint | biome | oxlint | \bdeno- | prettier | istanbul | \b[cv]8\b
    | webpack | /\*\s*(globals?|exported)\b | sourcemappingurl | sourceurl | <reference | <amd- | __pure__
    | side_effects | rubocop | \breek | standardrb | frozen_string_literal | warn_indent | shareable_constant | typed:
    | :nodoc: | sorbet
    | shellcheck | \bsbatch | \bpbs\b | \#\$\ | \#\#\#\ (begin|end) | chkconfig | cloud-config
    | golangci | staticcheck | lint:ignore | \+build | \bgo: | //export\ | /[/*]line\ \S
    | ktlint | detekt | scalafmt | scalastyle | scalafix | //>\ | \$coverage | swiftlint | swiftformat | swift-tools
    | sourcery | clang-format | clang-tidy | cppcheck | cpplint | coverity | iwyu | lcov | gcov | \bnolint
    | checkstyle | formatter: | spotless | \bpmd | \bcpd- | errorprone | \$non-nls | resharper | stylecop
    | phpstan | psalm | phpcs | codingstandards | codecoverage | infection | rustfmt | clippy | tarpaulin | grcov
    | spdx | licenseheader | \bgenerated\b | do\ not\ edit | auto-generated | fall\w*[-_ ]?thr
    | codeql | lgtm | semgrep | snyk | checkov | trivy | sonar | cspell | codespell | spell-?checker | language=
    | \b(disable|enable|ignore|suppress|skip|expect|allow)[-:] | \\u | \\\s*$
    """
# //go:build, //nolint:x, #word:word - but no address and no "note:this".
_DIRECTIVE = re.compile(rb"^\W{0,4}(?!https?:|ftp:|file:|note:|todo:|fixme:|xxx:)[a-z][\w.-]*:[^\s:/]", re.IGNORECASE)
_TAG = re.compile(rb"(?<![\w.@])@([A-Za-z]\w*)")
_PROSE_TAGS = frozenset(
    b"param return returns throws exception see since author link linkplain code literal version inheritDoc value brief"
    b" file note tparam sa ref todo property receiver constructor sample details copyright".split()
)
_PROSE = frozenset({"java", "kotlin", "scala", "swift", "c", "cpp"})
"""Languages in which tags of documentation only document; in others (JSDoc, PHP) tools and run time read them."""
_TAGGED = _PROSE | {"javascript", "typescript", "tsx", "php"}


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment where it stands.

    Args:
        text: With its marks.
        place: How many tokens of code come before it.
        start: Byte at which it begins.
    """

    text: bytes
    place: int
    start: int

    def said(self) -> bytes:
        """What it says: white space between words is no matter."""
        return b" ".join(self.text.split())


@cache
def _words() -> re.Pattern[bytes]:
    """Compiled when a comment is first asked about: it takes 40 ms, and a question about a change may never ask."""
    return re.compile(_WORDS)


def is_read(comment: Comment, language: str) -> bool:
    """Whether a tool may read the comment."""
    text = comment.text
    if _words().search(text) or _DIRECTIVE.search(text):
        return True
    if language not in _TAGGED:
        return False
    known: frozenset[bytes] = _PROSE_TAGS if language in _PROSE else frozenset()
    return any(tag not in known for tag in _TAG.findall(text))


def changed_read(
    old: tuple[bytes, Sequence[Comment]], new: tuple[bytes, Sequence[Comment]], language: str
) -> bytes | None:
    """A comment that tools read and that changed or moved; None where there is none.

    Args:
        old: The text before and its comments.
        new: The same after.
        language: Of both.
    """
    before, after = (
        [(c.said(), c.place, _around(text, c)) for c in comments if is_read(c, language)]
        for text, comments in (old, new)
    )
    if before == after:
        return None
    differing = [each for each in (*after, *before) if each not in before or each not in after]
    return (differing or after or before)[0][0]


def _around(text: bytes, comment: Comment) -> bytes:
    """The code that it stands beside, else the next line: what it is said of."""
    begin = text.rfind(b"\n", 0, comment.start) + 1
    beside = text[begin : comment.start]
    if beside.strip():
        return b" ".join(beside.split())
    for line in text[comment.start + len(comment.text) :].splitlines():
        if line.strip():
            return b" ".join(line.split())
    return b""
