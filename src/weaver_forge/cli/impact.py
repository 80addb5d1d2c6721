"""``impact``: the blast radius of a change, and which signal says so."""

import os
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.pipeline import ask
from weaver_forge.cli.place import place
from weaver_forge.errors import ConfigurationError, SourceError, UsageError
from weaver_forge.hooks.revision import repository_at

SHOWN = 10
_TITLES = {
    "files": "Files that may have to change too (probability)",
    "tests": "Tests it touches (order, no probability of failing)",
    "endpoints": "Endpoints that run it",
    "services": "Services",
    "owners": "Owners (part of what is touched)",
}


def impact(
    *,
    change: str | None = None,
    files: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = (),
    last: int | None = None,
    learn: Annotated[bool, Parameter(negative="")] = False,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say what a change touches: files, tests, endpoints, services, owners, each with what says so.

    Args:
        change: The revision: commit id, beginning of one, tag or branch; HEAD where nothing is said.
        files: Files that are about to change, instead of a revision.
        last: So many revisions up to it, taken together.
        learn: Learn the weights of the signals anew from this repository's changes, from more of them.
        from_: A deployment, its published folder, or one snapshot file; wins over the deployment found from here.
        json: Print everything as JSON.
    """
    if files and (change is not None or last is not None):
        raise UsageError("files and a revision are two changes", where="--files", do="Name one of them")
    at = place(from_)
    if not at.is_deployment:
        raise ConfigurationError(
            "impact is computed by a deployment, and a bare snapshot is none",
            where="--from",
            do="Name a deployment's folder, or make one: weaver-forge init DIR",
        )
    repository = repository_at(Path.cwd())
    if repository is None:
        raise SourceError("this is no git repository", where=str(Path.cwd()), do="Run it inside a clone")
    arguments: dict[str, Any] = {"repository": str(repository.root), "learn": learn}
    if from_ is not None and at.snapshot is not None:
        arguments["snapshot"] = str(at.snapshot.path)
    if files:
        arguments["files"] = [_within(name, repository.root) for name in files]
    else:
        arguments |= {"change": change or "HEAD", "last": 1 if last is None else last}
    data = ask(at.settings, "impact", arguments, None)
    if json:
        text.as_json(data)
    else:
        show(data)
    return 0


def show(data: dict[str, Any]) -> None:
    """An answer as text."""
    what = f"{data['revision'][:12]} of {data['repo_id']}" if data["revision"] else f"files of {data['repo_id']}"
    changed = data["changed"]
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    text.out(f"{what}: {', '.join(changed[:SHOWN])}{more}")
    for name, title in _TITLES.items():
        text.group(title, _lines(data, name))
    text.group("Missing", data["missing"])
    text.out(f"\nWeights of the signals between files: {data['weights']}.")
    for note in data["notes"]:
        text.note(f"note: {note}")


def _lines(data: dict[str, Any], name: str) -> list[str]:
    lines = []
    for each in data[name][:SHOWN]:
        why = "; ".join(f"{reason['fact']} [{reason['signal']}]" for reason in each["reasons"][:2])
        lines.append(f"{each['score']:.2f}  {each['name']}: {why}")
    if data["n"][name] > SHOWN:
        lines.append(f"and {data['n'][name] - SHOWN} more: --json")
    return lines


def _within(name: str, root: Path) -> str:
    """A path relative to the repository, with slashes; also of a file that does not exist yet.

    Raises:
        UsageError: If it lies elsewhere, or is a folder.
    """
    path = Path(os.path.abspath(Path(name).expanduser()))  # noqa: PTH100 - drops "..", and follows no link
    if path.is_dir():
        raise UsageError(f"{name} is a folder", where="--files", do=f"Name its files: git ls-files {name}")
    for base in (root, root.resolve()):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    raise UsageError(f"{name} is not in this repository", where="--files", do=f"Name files below {root}")
