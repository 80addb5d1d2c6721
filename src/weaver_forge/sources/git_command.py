"""The git command line: running it in one repository, and that repository's identity.

Git runs as a child process in list form, with an environment and options that keep a user's or a repository's
configuration (colours, external diffs, prefixes, signatures) out of the output. What is asked for belongs elsewhere:
history in ``sources.git``, the texts of a change in ``sources.git_texts``. No table library is needed here.
"""

import subprocess
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path

from weaver_forge.contracts.identity import local_repo_id, repo_id_from_remote
from weaver_forge.errors import SourceError

# A hook's GIT_DIR would redirect every call to the repository that the hook runs in.
_COMMAND = (
    "env", "-u", "GIT_DIR", "-u", "GIT_WORK_TREE", "-u", "GIT_INDEX_FILE", "-u", "GIT_PREFIX",
    "-u", "GIT_EXTERNAL_DIFF", "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1",
    "git", "--no-pager", "--no-replace-objects",
    "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false", "-c", "log.mailmap=true",
    "-c", "i18n.logOutputEncoding=UTF-8", "-c", "color.ui=never", "-c", "diff.renameLimit=1000",
    # Measured on 100,000 commits: a sixth less CPU than with git's 96 MB.
    "-c", "core.deltaBaseCacheLimit=256m",
    # Else git maps whole packs, and its memory is theirs.
    "-c", "core.packedGitWindowSize=32m", "-c", "core.packedGitLimit=192m",
)  # fmt: skip
_BLOCK = 1 << 20


class Repository:
    """A git repository on this machine, bare ones and linked work trees included.

    Args:
        path: Any folder inside it.

    Raises:
        SourceError: If git is not installed or ``path`` is in no repository that git accepts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._variables: tuple[str, ...] = ()
        if not path.is_dir():
            raise SourceError("no such folder", where=str(path), do="Name the folder of a git repository")
        if self.run("rev-parse", "--is-inside-work-tree").strip() == b"true":
            self.path = self._place("--show-toplevel")  # git blame takes names from the folder it runs in
        common = self._place("--git-common-dir")
        # The work tree, not its .git, is what people call the repository's path.
        home = common.parent if common.name == ".git" else common
        remote = self.run("config", "--default", "", "--get", "remote.origin.url").decode("utf-8", "replace")
        self.repo_id = repo_id_from_remote(remote.strip()) or local_repo_id(str(home))

    def run(self, *arguments: str, stdin: bytes = b"", nothing: int = 0) -> bytes:
        """Run git here and give its output.

        Args:
            arguments: Of git.
            stdin: What it reads.
            nothing: Another exit code that is no failure: 1 of a search that finds nothing.

        Raises:
            SourceError: With git's own message, if it fails.
        """
        done = subprocess.run(self._command(*arguments), input=stdin, capture_output=True, check=False)
        if done.returncode != nothing:
            self._check(arguments[0], done.returncode, done.stderr)
        return done.stdout

    def stream(self, *arguments: str) -> Iterator[bytes]:
        """Run git here and give its output in blocks, as it comes.

        Raises:
            SourceError: With git's own message, if it fails; after what it had written.
        """
        with tempfile.TemporaryFile() as said:
            with subprocess.Popen(self._command(*arguments), stdout=subprocess.PIPE, stderr=said) as child:
                assert child.stdout is not None
                try:
                    while block := child.stdout.read(_BLOCK):
                        yield block
                except GeneratorExit:
                    child.kill()
                    raise
            said.seek(0)
            self._check(arguments[0], child.returncode, said.read())

    def head(self) -> str:
        """Full id of the commit that is checked out."""
        return self.resolve("HEAD")

    def is_shallow(self) -> bool:
        """Say whether the history is cut off, as in a checkout of depth 1."""
        return self.run("rev-parse", "--is-shallow-repository").strip() == b"true"

    def resolve(self, rev: str) -> str:
        """Give the full commit id of a branch, tag, abbreviation or expression.

        Raises:
            SourceError: If it names no commit here.
        """
        failed = SourceError(
            f"revision {rev!r} is unknown", where=str(self.path), do="Fetch it, or name another revision"
        )
        if not rev or rev.startswith("-"):
            raise failed
        try:
            return self.run("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}").decode().strip()
        except SourceError as error:
            raise failed from error

    def revisions(self, refs: Sequence[str] = ("HEAD",)) -> list[str]:
        """Ids of all commits reachable from ``refs``, newest first; none in a repository without commits."""
        if list(refs) == ["HEAD"] and not self._has_head():
            return []
        return self.run("rev-list", *(self.resolve(ref) for ref in refs)).decode().split()

    @contextmanager
    def indexed(self) -> Generator["Repository"]:
        """The same repository with an index of which commit changed which paths, for many blames.

        The index (git's commit-graph with changed paths) is kept in a folder of its own, which takes the repository's
        objects as its own; nothing is written into the repository. Blames come out the same, three times as fast on
        100,000 commits; making it costs as much as some 20 blames there.
        """
        objects = _quoted(self._place("--git-path", "objects"))
        with tempfile.TemporaryDirectory(prefix="weaver-forge-") as folder:
            quick = copy(self)
            quick._variables = (f"GIT_OBJECT_DIRECTORY={folder}", f"GIT_ALTERNATE_OBJECT_DIRECTORIES={objects}")  # noqa: SLF001 - its own class
            try:
                quick.run("commit-graph", "write", "--reachable", "--changed-paths", "--no-progress")
            except SourceError:
                quick = self  # a git before 2.27 cannot: the same blames, only slower
            yield quick

    def _command(self, *arguments: str) -> tuple[str, ...]:
        return ("env", *self._variables, *_COMMAND, "-C", str(self.path), *arguments)

    def _check(self, what: str, code: int, said: bytes) -> None:
        if code:
            message = said.decode("utf-8", "replace").strip() or f"exit code {code}"
            do = "Install git" if code == 127 else "Check the repository with `git status` there"
            raise SourceError(f"git {what} failed: {message}", where=str(self.path), do=do)

    def _place(self, *what: str) -> Path:
        written = self.run("rev-parse", "--path-format=absolute", *what).decode("utf-8", "surrogateescape")
        return Path(written.removesuffix("\n")).resolve()

    def _has_head(self) -> bool:
        try:
            self.head()
        except SourceError:
            return False  # a repository without a commit: a state, not a failure
        return True


def _quoted(path: Path) -> str:
    """A path as an item of a list that colons separate."""
    text = str(path)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if set(text) & set(':"\\\n') else text
