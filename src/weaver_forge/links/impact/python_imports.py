"""Which Python files import which: read from their texts alone, nothing is run.

Put the reading and resolving of imports here. Names are found by pattern, also those within functions, conditions
and strings that look like statements: an edge too many costs a place in a list, one too few hides what a change
breaks. A name is looked for where Python would: in the folder of the importing file and the base of its package
(what ``python file.py`` and pytest's default import mode put on the path), then in every folder of the repository
that holds top-level modules or packages (``src`` layouts), the nearest first. A test file depends on the
``conftest.py`` files above it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_IMPORT = re.compile(
    r"^[ \t]*(?:>>>[ \t]*)?(?:from[ \t]+(?P<base>\.*[\w.]*)[ \t]+import[ \t]*(?P<names>\([^)]*\)|[^\n#;]+)"
    r"|import[ \t]+(?P<modules>[^\n#;]+))",
    re.MULTILINE,
)
_CALLED = re.compile(r"(?:import_module|__import__|importorskip)\(\s*['\"]([\w.]+)['\"]")
_PLUGINS = re.compile(r"^pytest_plugins\s*=\s*(.*?)(?:\n\S|\Z)", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"['\"]([\w.]+)['\"]")
_CONTINUED = re.compile(r"\\\r?\n")
_WORDS = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Reached:
    """A file that depends on a changed one.

    Args:
        distance: Imports between them; 1 imports it itself.
        via: The chain from it to the changed file, both included.
    """

    path: str
    distance: int
    via: tuple[str, ...]


Statement = tuple[str, tuple[str, ...]]
"""What an import statement says: the module with leading dots, and the names taken from it."""


class ImportGraph:
    """Imports among the files of one tree.

    Args:
        texts: Path with slashes, relative to the repository -> text, of every Python file; or what :func:`imported`
            finds in it, where that was kept.
    """

    def __init__(self, texts: Mapping[str, str | Sequence[Statement]]) -> None:
        self._files = frozenset(texts)
        self._folders = {folder for path in texts for folder in _above(path)}
        self._roots = self._all_roots()
        self._known: dict[tuple[str, str, tuple[str, ...]], tuple[str, ...]] = {}
        self.imports: dict[str, frozenset[str]] = {
            path: frozenset(self._of(path, text)) for path, text in texts.items()
        }
        self._importers: dict[str, list[str]] = {}
        for path in sorted(self.imports):
            for target in self.imports[path]:
                self._importers.setdefault(target, []).append(path)

    def importers(self, path: str) -> Sequence[str]:
        """Files that import a file themselves."""
        return self._importers.get(path, ())

    def dependents(self, changed: Sequence[str], most: int = 0) -> dict[str, Reached]:
        """Every file that imports a changed one, directly or through others, by the shortest chain.

        Args:
            changed: Paths; those that are no Python files of the tree have none.
            most: Largest distance; 0 for any.
        """
        found = {path: Reached(path, 0, (path,)) for path in changed}
        edge = list(changed)
        distance = 0
        while edge and (not most or distance < most):
            distance += 1
            following = []
            for near in edge:
                for path in self.importers(near):
                    if path not in found:
                        found[path] = Reached(path, distance, (path, *found[near].via))
                        following.append(path)
            edge = following
        return {path: reached for path, reached in found.items() if reached.distance}

    def _all_roots(self) -> dict[str, list[str]]:
        """Top-level name -> the folders that hold a module or package of that name."""
        roots: dict[str, set[str]] = {}
        for path in self._files:
            base, name = self._base(path)
            roots.setdefault(name.split(".")[0], set()).add(base)
            # Without __init__.py every folder may be the root, and every one above it.
            for folder in (*_above(base), base) if base else ():
                parent, _, first = folder.rpartition("/")
                roots.setdefault(first, set()).add(parent)
        return {name: sorted(some) for name, some in roots.items()}

    def _base(self, path: str) -> tuple[str, str]:
        """The first folder upwards that is no package, and the module's name from there."""
        folder, _, file = path.rpartition("/")
        parts = [] if file == "__init__.py" else [file.removesuffix(".py").removesuffix(".pyi")]
        while folder and f"{folder}/__init__.py" in self._files:
            folder, _, last = folder.rpartition("/")
            parts.insert(0, last)
        return folder, ".".join(parts)

    def _of(self, path: str, text: str | Sequence[Statement]) -> Iterator[str]:
        folder, _, name = path.rpartition("/")
        for module, names in imported(text) if isinstance(text, str) else text:
            key = (folder, module, names)
            if key not in self._known:  # the files of a folder import much of the same
                self._known[key] = tuple(self._resolved(path, module, names))
            yield from (found for found in self._known[key] if found != path)
        if name == "conftest.py" or re.match(r"test_|.*_test\.py$", name):
            above = (*_above(path), "") if folder else ("",)
            conftests = (f"{place}/conftest.py" if place else "conftest.py" for place in above)
            yield from (conftest for conftest in conftests if conftest in self._files and conftest != path)

    def _resolved(self, path: str, module: str, names: Sequence[str]) -> Iterator[str]:
        dots = len(module) - len(module.lstrip("."))
        parts = [part for part in module.lstrip(".").split(".") if part]
        folder = path.rpartition("/")[0]
        if dots:
            for _ in range(dots - 1):
                folder = folder.rpartition("/")[0]
            yield from self._at(folder, parts, names)
        elif parts and (parts[0] in self._roots or self._module(f"{folder}/{parts[0]}".lstrip("/"))):
            base = self._base(path)[0]
            others = sorted(
                (root for root in self._roots.get(parts[0], ()) if root not in {folder, base}),
                key=lambda root: (-_shared(root, path), len(root), root),
            )
            for root in dict.fromkeys((base, folder, *others)):
                if found := list(self._at(root, parts, names)):
                    yield from found
                    return

    def _at(self, root: str, parts: Sequence[str], names: Sequence[str]) -> Iterator[str]:
        """Files that importing a name from a folder executes; none where the name is not there as a whole."""
        found, place = [], root
        for number, part in enumerate(parts):
            place = f"{place}/{part}" if place else part
            package = self._module(place)
            if package:
                found.append(package)
            elif place not in self._folders or (number == len(parts) - 1 and not names):
                return
        if not parts:
            found += [init for init in (f"{root}/__init__.py".lstrip("/"),) if init in self._files]
        members = [self._module(f"{place}/{name}" if place else name) for name in names]
        yield from found
        yield from (member for member in members if member)

    def _module(self, place: str) -> str:
        candidates = (f"{place}/__init__.py", f"{place}.py", f"{place}/__init__.pyi", f"{place}.pyi")
        return next((name for name in candidates if name in self._files), "")


def imported(text: str) -> Iterator[Statement]:
    """What a text imports: (module with leading dots, names taken from it)."""
    if "\\" in text:
        text = _CONTINUED.sub(" ", text)
    for match in _IMPORT.finditer(text):
        if match["modules"] is not None:
            for one in match["modules"].split(","):
                words = one.split()
                if words and all(_WORDS.fullmatch(part) for part in words[0].split(".")):
                    yield words[0], ()
        else:
            lines = (line.split("#")[0] for line in match["names"].strip("() \t").splitlines() or [""])
            names = (one.split()[0] for one in " ".join(lines).split(",") if one.split())
            yield match["base"], tuple(name for name in names if _WORDS.fullmatch(name))
    if "import_" in text or "importor" in text:
        yield from ((name, ()) for name in _CALLED.findall(text))
    for block in _PLUGINS.findall(text) if "pytest_plugins" in text else ():
        yield from ((name, ()) for name in _QUOTED.findall(block))


def _above(path: str) -> tuple[str, ...]:
    """Folders above a path, the nearest first, without the root."""
    parts = path.split("/")[:-1]
    return tuple("/".join(parts[:n]) for n in range(len(parts), 0, -1))


def _shared(root: str, path: str) -> int:
    """How many leading folders a root and a path have in common."""
    n = 0
    for mine, other in zip(root.split("/"), path.split("/"), strict=False):
        if mine != other:
            break
        n += 1
    return n
