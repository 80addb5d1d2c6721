"""``go test``: a script that runs each package by itself, in order. Pure.

Seen with 1.19 and gotestsum, and for ``-skip`` with later ones:

* One ``-run`` for several packages also runs the same names in the others, so each package has a command.
* A package that is gone fails.
* A name has to be anchored: ``-run TestA`` also runs ``TestAB``. A pattern that finds nothing passes.
* ``-run`` names what runs, so a new test would never run. So names are left out instead: with ``-skip`` (from 1.20
  on), and before that by asking the package which tests it has.
* Subtests run with their test: slashes cut a pattern into levels, so two tests cannot be named at once with theirs.
* The order within a package is that of its source.
"""

import re
from shlex import quote

from weaver_forge.errors import UsageError
from weaver_forge.hooks.rendering.lists import ARGUMENT_BYTES, Lists, Rendered, by_unit, parted

SHAPE = "as tests of Go are (example.com/m/package::TestName)"

_NAME = re.compile(r"(Test|Example|Fuzz|Benchmark)(?![a-z])\w*(/.*)?", re.DOTALL)
_PACKAGE = re.compile(r"[^\s:$-][^\s:$]*")
_SCRIPT = r"""#!/bin/sh
# Runs packages of Go in order: sh {name} -json > go.jsonl, or gotestsum --raw-command -- sh {name} -json
failed=0
if [ "$(date +%s)" -ge {ends} ]; then
  echo "weaver-forge: WARNING: this list has expired: everything runs, in no order" >&2
  go test "$@" ./...
  exit
fi
here=$(go list -e ./...) || exit 1
case "$(go help testflag)" in *'-skip regexp'*) skips=yes ;; *) skips= ;; esac

# Whether a package is still there: one that is gone would fail.
is_here() {{
  printf '%s\n' "$here" | grep -qxF -e "$1" && return
  echo "weaver-forge: $1 is not here: passed over" >&2
  return 1
}}

# Runs a package whole.
all() {{
  package=$1
  shift
  is_here "$package" || return
  go test "$@" "$package" || failed=$?
}}

# Runs a package without some of its tests: what is new in it runs.
without() {{
  package=$1 names=$2
  shift 2
  is_here "$package" || return
  if [ "$skips" ]; then
    go test "$@" -skip "^($names)\$" "$package" || failed=$?
    return
  fi
  if ! listed=$(go test -list . "$package" 2> /dev/null); then
    all "$package" "$@" # It does not build, and says so.
    return
  fi
  kept=$(printf '%s\n' "$listed" | grep -E '^(Test|Example|Fuzz)' | grep -vxE "$names" | paste -sd '|' -)
  [ -z "$kept" ] || go test "$@" -run "^($kept)\$" "$package" || failed=$?
}}

# Packages that no list names are new and run first: what stands once in three lists is in the last one alone.
known={known}
for package in $(printf '%s\n' "$known" "$known" "$here" | sort | uniq -u); do
  all "$package" "$@"
done
{commands}
exit $failed
"""


def unit_of(test_id: str) -> str | None:
    """A test of Go without its subtests; None where it is named otherwise."""
    package, name = parted(test_id)
    is_go = _NAME.fullmatch(name) and _PACKAGE.fullmatch(package)
    return f"{package}::{name.partition('/')[0]}" if is_go else None


def render(lists: Lists) -> Rendered:
    """Write a POSIX script whose arguments go to each ``go test``.

    Raises:
        UsageError: If no test is one of Go.
    """
    parts = lists.parts(unit_of)
    if not (parts.run or parts.left):
        raise UsageError("none of the tests is one of Go", where="go", do=f"They are named {SHAPE}")
    if not parts.run:
        return Rendered(text=None, use="")
    run, left = (by_unit([parted(unit) for unit in units]) for units in (parts.run, parts.left))
    notes = parts.notes(SHAPE, "tests, as subtests do")
    if whole := sum(package not in run for package in left):
        notes.append(f"packages left out whole, with what is new in them: {whole}")
    names = {package: "|".join(left.get(package, ())) for package in run}
    too_long = [package for package, said in names.items() if len(said.encode()) > ARGUMENT_BYTES]
    if too_long:
        notes.append(
            f"packages with more tests to leave out than a command line takes, which run whole: {len(too_long)}"
        )
    commands = [
        f'all {quote(package)} "$@"'
        if not said or package in too_long
        else f'without {quote(package)} {quote(said)} "$@"'
        for package, said in names.items()
    ]
    known = quote("\n".join({**run, **left}))
    return Rendered(
        text=_SCRIPT.format(name="FILE", ends=lists.ends_s, known=known, commands="\n".join(commands)),
        use="sh FILE -json > go.jsonl",
        notes=(*notes, "packages run in order; within a package the order is Go's"),
    )
