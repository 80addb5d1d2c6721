"""Writing down which tests run now and which later, as a runner takes it. What that is, is `hooks.rendering`'s."""

from pathlib import Path

from weaver_forge.cli import text
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.hooks.own_folder import make_folder
from weaver_forge.hooks.rendering import BESIDE, Format, Lists, Rendered, render

PLAIN: frozenset[Format] = frozenset({"ids", "json"})
"""Forms that people and scripts read, not runners: there an empty list means that there is nothing."""
_NOTHING = {"ids": "", "json": "[]"}


def forget_earlier(form: Format, *paths: Path | None) -> None:
    """Remove lists of an earlier run before anything can go wrong: a runner would take them for those of this one.

    Raises:
        UsageError: If a folder is named.
        SourceError: If a list cannot be removed.
    """
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise UsageError("it is a folder", where=str(path), do="Name a file for the list")
        for beside in (path.with_name(path.name + suffix) for suffix in ("", *BESIDE.get(form, ()))):
            if beside.is_symlink() or not beside.is_file():  # a pipe or /dev/stdout is no list of an earlier run
                continue
            try:
                beside.unlink()
            except OSError as error:
                what = f"an earlier list cannot be removed: {error.strerror}"
                raise SourceError(what, where=str(beside), do="Remove it, or name another file") from error


def write_run(path: Path, lists: Lists, form: Format) -> None:
    """Write what runs now; where no test is known there is no such file, nor one of an earlier run.

    Raises:
        UsageError: If none of the tests is one of the runner's.
    """
    if lists.run:
        _write(path, render(lists, form))
        return
    path.unlink(missing_ok=True)
    text.note(f"WARNING: {path} is not written: an empty list would read as nothing to run")


def write_rest(path: Path, lists: Lists, form: Format) -> None:
    """Write what runs later; a runner would take an empty list for all of its tests, so there is none.

    Raises:
        UsageError: If none of the tests is one of the runner's.
    """
    if lists.rest:
        _write(path, render(lists.turned(), form))
    elif form in PLAIN:
        _write(path, Rendered(text=_NOTHING[form], use=""))
    else:
        path.unlink(missing_ok=True)
        text.note(f"note: {path} is not written: nothing is left for later")


def _write(path: Path, rendered: Rendered) -> None:
    if rendered.text is None:
        text.note(f"note: {path} is not written: nothing that this runner can run by itself is left for later")
    for suffix, said in {"": rendered.text, **rendered.beside}.items():
        beside = path.with_name(path.name + suffix)
        if said is None:
            beside.unlink(missing_ok=True)
        else:
            write(beside, said)
    for line in rendered.notes:
        text.note(f"note: {path}: {line}")
    if rendered.use and rendered.text is not None:
        text.note(f"{path}: {rendered.use.replace('FILE', str(path.absolute()))}")


def write(path: Path, said: str) -> None:
    """Write a file whose folder may not be there yet.

    Raises:
        SourceError: If it cannot be written.
    """
    try:
        make_folder(path.parent)
        path.write_text(said, encoding="utf-8")
    except OSError as error:
        raise SourceError(
            f"it cannot be written: {error.strerror}", where=str(path), do="Name a file that can be written"
        ) from error
