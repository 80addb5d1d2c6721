"""Who answers for files: what CODEOWNERS says, and who wrote what is there by the history.

Put here both ways of owning. A CODEOWNERS file is read as GitHub does: the last pattern that matches counts, also
one without owners, which takes a file out. Authorship is by lines, a year's half as much; exact blame of every line
would take minutes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
"""Where such a file may be; the first counts."""

HALF_LIFE_DAYS = 365.0
_SECTION = re.compile(r"\^?\[[^\]]+\](?:\[\d+\])?")


@dataclass(frozen=True, slots=True)
class OwnerRule:
    """A line of a CODEOWNERS file.

    Args:
        pattern: As written.
        owners: As written; none for a pattern that takes files out.
        line: Its number.
    """

    pattern: str
    owners: tuple[str, ...]
    line: int


def read_codeowners(text: str) -> list[OwnerRule]:
    """The rules in order; GitLab's section heads give their owners to the lines below that name none."""
    rules: list[OwnerRule] = []
    default: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        words = _words(line)
        if not words:
            continue
        if head := _SECTION.match(line.strip()):
            default = tuple(line.strip()[head.end() :].split())
            continue
        rules.append(OwnerRule(words[0], tuple(words[1:]) or default, number))
    return rules


def _words(line: str) -> list[str]:
    """Words of a line without its comment; a backslash keeps a space or a number sign."""
    cut = re.split(r"(?:(?<=\s)|^)#", line.strip(), maxsplit=1)[0]
    return [word.replace("\\ ", " ").replace("\\#", "#") for word in re.findall(r"(?:\\.|\S)+", cut)]


def owners_of(rules: Sequence[OwnerRule], paths: Sequence[str]) -> dict[str, OwnerRule]:
    """The rule that holds for each path that one holds for; a rule without owners means nobody's."""
    compiled = [(rule, _matcher(rule.pattern)) for rule in rules]
    found: dict[str, OwnerRule] = {}
    for path in paths:
        last = next((rule for rule, match in reversed(compiled) if match.match(path)), None)
        if last is not None and last.owners:
            found[path] = last
    return found


def _matcher(pattern: str) -> re.Pattern[str]:
    """Gitignore's rules, without negation and ranges; ``docs/*`` means its files alone, ``docs/`` all below."""
    anchored = "/" in pattern.rstrip("/")
    body = pattern.strip("/")
    parts = "".join(_translated(body))
    start = "" if anchored else "(?:.*/)?"
    if pattern.endswith("/"):
        end = "/.*"
    elif body.endswith("/*") or (body == "*" and anchored):
        end = ""
    else:
        end = "(?:/.*)?"
    return re.compile(f"{start}{parts}{end}\\Z", re.DOTALL)


def _translated(body: str) -> Iterator[str]:
    for piece in re.split(r"(/\*\*/|\*\*/|/\*\*|\*\*|\*|\?)", body):
        yield {"/**/": "/(?:.*/)?", "**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(
            piece, re.escape(piece)
        )


def authorship(files: pl.DataFrame, paths: Sequence[str], at: object) -> pl.DataFrame:
    """Share of each author in each file: path, author, share; largest first.

    Args:
        files: Rows of ``core_changes__files`` of one repository, known at the moment.
        paths: The files.
        at: The moment, naive UTC; what is as old as the half-life counts half.
    """
    days = (pl.lit(at).cast(pl.Datetime("us")) - pl.col("committed_at")).dt.total_seconds() / 86_400
    lines = (pl.col("n_added") + pl.col("n_deleted") + 1).cast(pl.Float64)
    return (
        files.filter(pl.col("path").is_in(list(paths)))
        .with_columns(weight=lines.clip(upper_bound=500) * 0.5 ** (days.clip(0) / HALF_LIFE_DAYS))
        .group_by("path", "author")
        .agg(pl.col("weight").sum())
        .with_columns(share=pl.col("weight") / pl.col("weight").sum().over("path"))
        .sort("share", "path", "author", descending=[True, False, False])
        .select("path", "author", "share")
    )


def ranked(
    rules: Mapping[str, OwnerRule], shares: pl.DataFrame, weight: Mapping[str, float]
) -> list[tuple[str, float, list[str]]]:
    """People and teams, by how much of what is affected is theirs: (owner, part 0-1, reasons).

    Args:
        rules: Path -> its rule of CODEOWNERS.
        shares: Of :func:`authorship`.
        weight: Path -> how surely it is affected, 0-1.
    """
    total = sum(weight.values()) or 1.0
    part: dict[str, float] = {}
    reasons: dict[str, list[str]] = {}
    for path, rule in sorted(rules.items(), key=lambda item: -weight.get(item[0], 0.0)):
        for owner in rule.owners:
            part[owner] = part.get(owner, 0.0) + weight.get(path, 0.0) / total
            reasons.setdefault(owner, []).append(f"CODEOWNERS line {rule.line} ({rule.pattern}) gives them {path}")
    for path, author, share in shares.iter_rows():
        part[author] = part.get(author, 0.0) + share * weight.get(path, 0.0) / total
        reasons.setdefault(author, []).append(f"wrote {share:.0%} of {path} lately")
    order = sorted(part, key=lambda owner: (-part[owner], owner))
    return [(owner, min(part[owner], 1.0), reasons[owner]) for owner in order]
