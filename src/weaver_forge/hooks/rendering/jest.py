"""jest: a test sequencer that sorts test files and leaves some out. Pure.

Seen with 30:

* ``--runTestsByPath`` takes files but keeps no order, and without a file it runs everything.
* ``-t`` is one pattern for the names in all files, so single tests cannot be named: whole files run.
* A sequencer is asked for the order, and what it does not give back does not run. With more than one worker (without
  ``-i``) files begin in this order.
"""

import json
import re
from collections.abc import Iterable

from weaver_forge.errors import UsageError
from weaver_forge.hooks.rendering.lists import Lists, Rendered, parted

SHAPE = "with their file (src/a.test.js::...; jest-junit writes it with addFileAttribute)"

_FILE = re.compile(r"\S.*\.([cm]?[jt]sx?|vue|svelte)")
_SCRIPT = r"""// A test sequencer for jest: --testSequencer=./FILE. Files that no list names are new and run first.
const { createRequire } = require('node:module');
const path = require('node:path');

const ORDER = __ORDER__;
const REST = new Set(__REST__);
const ENDS = __ENDS__;
const RANKS = new Map(ORDER.map((file, rank) => [file, rank]));

// jest's own sequencer is a dependency of a dependency, and not every package manager lets one see it.
function own() {
  let seen = createRequire(path.join(process.cwd(), 'package.json'));
  for (const step of ['', 'jest', '@jest/core', 'jest-config']) {
    try {
      if (step) seen = createRequire(seen.resolve(step));
      return seen('@jest/test-sequencer').default;
    } catch {
      // The next step may see it.
    }
  }
  throw new Error("weaver-forge: jest's own test sequencer is not found: run jest where it is installed");
}

function fileOf(test) {
  const names = [test.context.config.rootDir, process.cwd()].map((folder) =>
    path.relative(folder, test.path).split(path.sep).join('/'),
  );
  return names.find((name) => RANKS.has(name) || REST.has(name));
}

module.exports = class extends own() {
  sort(tests) {
    if (Date.now() / 1000 >= ENDS) {
      console.error('weaver-forge: WARNING: this list has expired: everything runs, in no order');
      return tests;
    }
    const found = tests.map((test, place) => ({ test, place, file: fileOf(test) }));
    const kept = found.filter(({ file }) => !REST.has(file));
    if (found.length && !kept.length) {
      console.error(`weaver-forge: WARNING: all ${found.length} files may run later; none is left out`);
      return tests;
    }
    const rank = ({ file }) => RANKS.get(file) ?? -1;
    kept.sort((one, other) => rank(one) - rank(other) || one.place - other.place);
    const left = found.length - kept.length;
    if (left) console.error(`weaver-forge: ${left} of ${found.length} test files are left for later`);
    return kept.map(({ test }) => test);
  }
};
"""


def file_of(test_id: str) -> str | None:
    """The file of a test of JavaScript; None where its name does not begin with one."""
    file, name = parted(test_id)
    return file.replace("\\", "/").removeprefix("./") if name and _FILE.fullmatch(file) else None


def render(lists: Lists) -> Rendered:
    """Write the sequencer, a CommonJS module.

    Raises:
        UsageError: If no test names its file.
    """
    parts = lists.parts(file_of)
    if not (parts.run or parts.left):
        raise UsageError("none of the tests names a file of JavaScript", where="jest", do=f"They are named {SHAPE}")
    if not parts.run:
        return Rendered(text=None, use="")
    notes = parts.notes(SHAPE, "files")
    if parts.left:
        notes.append("new tests in files that are left out wait with them; new files run")
    return Rendered(
        text=_SCRIPT.replace("__ENDS__", str(lists.ends_s))
        .replace("__ORDER__", _array(parts.run))
        .replace("__REST__", _array(parts.left)),
        use="npx jest -i --testSequencer=FILE",
        notes=(*notes, "files run in order; within a file the order is jest's"),
    )


def _array(names: Iterable[str]) -> str:
    """Names as JavaScript has them: as JSON, in ASCII."""
    return json.dumps(list(names), indent=2)
