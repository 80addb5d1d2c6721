"""A change of which only the diff is there: the names always, and the texts where the diff holds all of them.

A hunk shows a few lines. That they look like comments proves nothing: they may stand in a string. So a source file is
behaviour, unless the diff has it whole (``git diff -U1000000 --full-index``) and the ids in its ``index`` line say so.
"""

import re
from hashlib import sha1, sha256

from weaver_forge.changes.semantic.files import FileChange
from weaver_forge.changes.semantic.paths import Kind, is_media, kind_of

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_INDEX = re.compile(rb"(?m)^index ([0-9a-f]{7,64})\.\.([0-9a-f]{7,64})(?: ([0-7]{6}))?$")
_MODE = re.compile(rb"(?m)^(?:old|new|new file|deleted file) mode ([0-7]{6})$")
_NAMES = re.compile(rb'diff --git (?:"a/((?:[^"\\]|\\.)*)"|a/(.*?)) (?:"b/((?:[^"\\]|\\.)*)"|b/(.*))$')
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_UNSHOWN = "its content is not in the diff"
_UNPROVED = "the diff does not show all of the file; name revisions, or give `git diff -U1000000 --full-index`"


def changes_in(diff: bytes) -> list[FileChange]:
    """The changed files of a diff as git writes it.

    Raises:
        ValueError: If it is none, or if a hunk is not as long as it says.
    """
    parts = re.split(rb"(?m)^(?=diff --git )", diff)
    if len(parts) == 1 and diff.strip():
        raise ValueError("no line begins with `diff --git`")
    return [_change(part) for part in parts[1:]]


def _change(part: bytes) -> FileChange:
    at = re.search(rb"(?m)^@@ ", part)
    head, hunks = (part, b"") if at is None else (part[: at.start()], part[at.start() :])
    old_path, new_path = _names(head)
    is_new, is_gone = b"\nnew file mode" in head, b"\ndeleted file mode" in head
    path = old_path if is_gone else new_path
    moved = old_path if b"\nrename from " in head else None
    index = _INDEX.search(head)
    special = _special(set(_MODE.findall(head)) | ({index[3]} if index else set()), head)
    if special is not None:
        return FileChange(path=path, old_path=moved, special=special)
    kind = kind_of(path)
    if not hunks:
        same = b"\nsimilarity index 100%" in head
        told = same or (kind is Kind.DOCS and (is_media(path) or is_new or is_gone))
        return FileChange(path=path, old_path=moved, same=same, unknown="" if told else _UNSHOWN)
    old, new, begun = _texts(hunks)
    if is_new or is_gone:
        return FileChange(path=path, old=None if is_new else old, new=None if is_gone else new)
    proved = index is not None and _is(old, index[1]) and _is(new, index[2])
    shown = proved or begun if kind is Kind.DOCS else proved or kind is not Kind.SOURCE
    return FileChange(path=path, old_path=moved, old=old, new=new, unknown="" if shown else _UNPROVED)


def _special(modes: set[bytes], head: bytes) -> str | None:
    if b"\nold mode" in head:
        return "its mode changed"
    if b"\ncopy from " in head:
        return "a copy of another file"
    if b"120000" in modes:
        return "a symbolic link"
    return "a submodule" if b"160000" in modes else None


def _names(head: bytes) -> tuple[str, str]:
    """Paths before and after.

    Raises:
        ValueError: If the names cannot be read.
    """
    first = head.split(b"\n", 1)[0].rstrip(b"\r")
    moved = [re.search(rb"(?m)^(?:rename|copy) %s (.*)$" % word, head) for word in (b"from", b"to")]
    if all(moved):
        old, new = (_unquoted(found[1]) for found in moved if found)
        return old, new
    plain = first.removeprefix(b"diff --git ")
    half = plain[2 : (len(plain) - 1) // 2]
    if plain == b"a/%s b/%s" % (half, half):  # the two names are equal: blanks in them part nothing
        return half.decode("utf-8", "replace"), half.decode("utf-8", "replace")
    found = _NAMES.match(first)
    if found is None:
        raise ValueError(f"the names in {first[:80]!r} cannot be read; write the diff with the prefixes a/ and b/")
    old, new = (
        _unquoted(b'"%s"' % quoted) if quoted else bare.decode("utf-8", "replace")
        for quoted, bare in (found.group(1, 2), found.group(3, 4))
    )
    return old, new


def _unquoted(name: bytes) -> str:
    if name[:1] != b'"':
        return name.decode("utf-8", "replace")
    plain = _ESCAPE.sub(lambda m: bytes([int(m[1], 8)]) if m[1].isdigit() else _ESCAPED.get(m[1], m[1]), name[1:-1])
    return plain.decode("utf-8", "replace")


def _texts(hunks: bytes) -> tuple[bytes, bytes, bool]:
    """What the hunks show of the file before and after, and whether each changed paragraph is shown from its start.

    Raises:
        ValueError: If a hunk is not as long as it says.
    """
    old: list[bytes] = []
    new: list[bytes] = []
    lines = hunks.split(b"\n")
    at, whole = 0, True
    while at < len(lines) and (found := _HUNK.match(lines[at])):
        n_old, n_new = int(found[2] or 1), int(found[4] or 1)
        at, begun = at + 1, int(found[1]) <= 1
        while (n_old or n_new or lines[at][:1] == b"\\") and at < len(lines):
            sign, line = lines[at][:1], lines[at][1:] + b"\n"
            at += 1
            if sign == b"\\":
                _cut_end(old, new, lines[at - 2][:1])
                continue
            if sign in {b" ", b""}:
                begun = begun or not line.strip()
            else:
                whole = whole and begun
            if sign != b"+":
                old.append(line)
                n_old -= 1
            if sign != b"-":
                new.append(line)
                n_new -= 1
        if n_old or n_new:
            raise ValueError("a hunk is shorter than its header says")
    return b"".join(old), b"".join(new), whole


def _cut_end(old: list[bytes], new: list[bytes], sign: bytes) -> None:
    """The line before has no end."""
    for side, others in ((old, b"+"), (new, b"-")):
        if sign != others and side:
            side[-1] = side[-1].removesuffix(b"\n")


def _is(text: bytes, named: bytes) -> bool:
    """Whether an id, perhaps abbreviated, is the one that git gives to a text."""
    told = b"blob %d\0" % len(text) + text
    made = [sha256(told).hexdigest()]
    if len(named) < 64:
        made.append(sha1(told, usedforsecurity=False).hexdigest())
    return any(each.startswith(named.decode()) for each in made)
