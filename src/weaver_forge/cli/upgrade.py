"""``upgrade``: a deployment's copied files brought to this release; what somebody changed there is kept.

A file is compared three ways: as it was put there, as it is, and as this release has it. Nothing that is not in the
note of :mod:`weaver_forge.cli.released` is ever deleted, and the note is written last: an upgrade that was stopped is
finished by the next one.
"""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from weaver_forge import __version__
from weaver_forge.cli import text
from weaver_forge.cli.init import make_inbox
from weaver_forge.cli.place import deployment
from weaver_forge.cli.released import digest, put, read_note, released, write_note
from weaver_forge.errors import NotADeployment, SourceError
from weaver_forge.settings import MARKER, load

OWN = frozenset({"policy.yaml"})
"""What gates may do is said by people, never by a new release: not replaced even where nobody has changed it."""
BESIDE = ".new"
_SHOWN = 20


@dataclass(slots=True)
class Plan:
    """What an upgrade does, by path below the deployment.

    Args:
        was: The release that the deployment has.
        replaced: As they were put there; this release has others.
        added: New in this release.
        removed: As they were put there; this release has none.
        beside: Changed here, and other in this release: theirs is put beside, with ``.new`` at its name's end.
        kept: Changed here and as before in this release, or dropped by it, or deleted here.
    """

    was: str
    replaced: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.replaced or self.added or self.removed or self.beside)


def upgrade(
    directory: Path | None = None,
    /,
    *,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Bring the files that `init` copied to this release; those that somebody changed are kept, and listed.

    Args:
        directory: The deployment; the one found from here where none is given.
        dry_run: Say what would be done, and do nothing.
        json: Print as JSON.
    """
    folder = deployment().root if directory is None else directory.resolve()
    if not (folder / MARKER).is_file():
        raise NotADeployment(f"no {MARKER} here", where=str(folder), do="Name the folder of a deployment")
    files = released()
    plan = planned(folder, files)
    if not dry_run:
        carry_out(plan, folder, files)
    if json:
        lists = {name: getattr(plan, name) for name in ("replaced", "added", "removed", "beside", "kept")}
        text.as_json({"directory": str(folder), "from": plan.was, "to": __version__, "dry_run": dry_run, **lists})
    else:
        _say(plan, folder, dry_run=dry_run)
        _say_other_release(load(folder).python)
    return 0


def planned(folder: Path, files: Mapping[str, bytes]) -> Plan:
    """What is to be done to a deployment; changes nothing.

    Args:
        folder: The deployment.
        files: Those of the release, by path.

    Raises:
        ConfigurationError: If it is not noted what was put there.
    """
    note = read_note(folder)
    plan = Plan(note.version)
    for name in sorted({*note.files, *files}):
        path = folder / name
        was, here = note.files.get(name), digest(path.read_bytes()) if path.is_file() else None
        new = digest(files[name]) if name in files else None
        if here == new:
            continue
        if here is None and was is None:
            plan.added.append(name)
        elif here == was and name not in OWN:
            (plan.removed if new is None else plan.replaced).append(name)
        elif here is None or new is None or new == was:
            plan.kept.append(name)
        else:
            plan.beside.append(name)
    return plan


def carry_out(plan: Plan, folder: Path, files: Mapping[str, bytes]) -> None:
    """Do it, and note what the release has as what was put there or offered.

    Raises:
        SourceError: If a file cannot be written; what was done stays, and the next upgrade does the rest.
    """
    try:
        _write(plan, folder, files)
    except OSError as error:
        raise SourceError(
            f"cannot be written: {error.strerror}",
            where=str(error.filename or folder),
            do="Mend that and upgrade again: it goes on where it stopped",
        ) from error


def _write(plan: Plan, folder: Path, files: Mapping[str, bytes]) -> None:
    for name in (*plan.added, *plan.replaced):
        put(folder / name, files[name])
    for name in plan.beside:
        put(folder / f"{name}{BESIDE}", files[name])
    for name in plan.removed:
        (folder / name).unlink()
        _remove_empty((folder / name).parent, folder)
    make_inbox(folder)
    write_note(folder, {name: digest(content) for name, content in files.items()})


def _remove_empty(inner: Path, folder: Path) -> None:
    while inner != folder and not any(inner.iterdir()):
        inner.rmdir()
        inner = inner.parent


def _say(plan: Plan, folder: Path, *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    text.out(f"Deployment {folder}: release {plan.was}, {'to be ' if dry_run else ''}brought to {__version__}")
    _group(f"{would}replaced: nobody had changed them", plan.replaced)
    _group(f"{would}added: new in this release", plan.added)
    _group(f"{would}removed: no longer in the release, and nobody had changed them", plan.removed)
    _group(
        f"kept, because changed here (policy.yaml always): the release's {would}put beside as NAME{BESIDE}", plan.beside
    )
    left = [
        name + (f" ({BESIDE} of an upgrade before lies beside)" if (folder / f"{name}{BESIDE}").exists() else "")
        for name in plan.kept
    ]
    _group("kept as they are, because changed or deleted here", left)
    if plan.is_empty:
        text.out("\nNothing to do: what nobody changed is as this release has it")
    elif dry_run:
        text.out("\nNothing was written. Next: the same without --dry-run")
    else:
        merge = f"take over what you want of each NAME{BESIDE} and delete it, then " if plan.beside else ""
        text.out(f"\nNext: {merge}start `weaver-forge dev` and `weaver-forge serve` again where they run, and ingest")


def _say_other_release(python: Path) -> None:
    """The copied files are run by the interpreter of the settings, with the library that it has."""
    if python == Path(sys.executable) or not python.is_file():  # doctor says it of one that is not there
        return
    asked = [str(python), "-c", "import weaver_forge; print(weaver_forge.__version__)"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    if answer != __version__:
        has = f"weaver-forge {answer}" if answer else "no weaver-forge that can be imported"
        text.out(f"warning: {python} has {has}, and runs these files: install {__version__} there too")


def _group(title: str, names: list[str]) -> None:
    more = [f"and {len(names) - _SHOWN:,} more: --json lists all"] if len(names) > _SHOWN else []
    text.group(f"{len(names):,} {title}", [*names[:_SHOWN], *more] if names else [])
