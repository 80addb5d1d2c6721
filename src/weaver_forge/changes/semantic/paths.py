"""What the name of a file says: its language, and whether it is documentation, a test, configuration or data.

Names alone; nothing here looks into a file. What no rule knows is ``Kind.UNKNOWN``, which counts as behaviour.
"""

import re
from enum import Enum
from pathlib import PurePosixPath

LANGUAGES: dict[str, str] = {
    ".py": "python", ".pyi": "python", ".pyw": "python",
    ".sh": "bash", ".bash": "bash", ".bats": "bash",
    ".c": "c", ".h": "cpp",
    ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hpp": "cpp", ".hh": "cpp", ".hxx": "cpp",
    ".cs": "c_sharp", ".go": "go", ".java": "java",
    ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
    ".kt": "kotlin", ".kts": "kotlin", ".php": "php", ".rb": "ruby", ".rake": "ruby", ".rs": "rust",
    ".scala": "scala", ".sc": "scala", ".swift": "swift",
}  # fmt: skip
"""Suffix -> language. A header may be C or C++; the grammar of C++ reads both."""


class Kind(Enum):
    """What a path is."""

    SOURCE = "source"
    DOCS = "docs"
    CI = "CI configuration"
    LOCK = "a lock file"
    CONFIG = "configuration"
    DATA = "data"
    UNKNOWN = "a file of no known kind"


_TEXT = frozenset({".md", ".markdown", ".rst", ".adoc", ".asciidoc", ".textile"})
_DOC_MEDIA = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".ico", ".drawio", ".puml", ".txt"})
_DOC_FOLDERS = frozenset({"doc", "docs", "documentation"})
_DOC_NAMES = re.compile(
    r"(readme|licen[cs]es?|copying|notice|authors|contributors|contributing|changelog|changes|history|news|maintainers"
    r"|security|support|code_of_conduct|install|todo|thanks|credits|roadmap|upgrading|releasing|governance)"
    r"([._-][a-z0-9_-]+)?(\.(md|markdown|rst|adoc|txt))?",
    re.IGNORECASE,
)
# Text there may be what a program or a test reads: prompts, templates, pages of a site, what is expected.
_READ_FOLDERS = frozenset({
    "fixtures", "fixture", "testdata", "test_data", "test-data", "data", "templates", "template", "snapshots",
    "__snapshots__", "resources", "assets", "static", "public", "prompts", "skills", "agents", "content", "_posts",
    "pages", "locale", "locales", "i18n", "golden", "expected", "samples", "examples", "example",
})  # fmt: skip
_SOURCE_FOLDERS = frozenset({"src", "lib", "app", "apps", "pkg", "internal", "cmd", "packages", "crates"})
_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "e2e", "it"})

_LOCKS = frozenset({
    "poetry.lock", "pdm.lock", "uv.lock", "pipfile.lock", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock",
    "pnpm-lock.yaml", "bun.lock", "bun.lockb", "cargo.lock", "go.sum", "gemfile.lock", "composer.lock", "mix.lock",
    "flake.lock", "packages.lock.json", "gradle.lockfile", "podfile.lock", "package.resolved", "deno.lock",
    "conda-lock.yml", "constraints.txt", ".terraform.lock.hcl",
})  # fmt: skip
_REQUIREMENTS = re.compile(r"(.*[-_.])?(requirements|constraints)([-_.].*)?\.(txt|in|pip)", re.IGNORECASE)
_CI_NAMES = frozenset({
    ".gitlab-ci.yml", ".travis.yml", "appveyor.yml", ".appveyor.yml", "azure-pipelines.yml", "jenkinsfile",
    "bitbucket-pipelines.yml", ".cirrus.yml", ".drone.yml", "buildkite.yml", "cloudbuild.yaml", "codecov.yml",
    ".codecov.yml", "action.yml", "action.yaml", ".pre-commit-config.yaml", "tox.ini", "noxfile.py",
})  # fmt: skip
_CI_FOLDERS = (".github/workflows/", ".github/actions/", ".circleci/", ".buildkite/", ".gitlab/", ".ci/")
_CONFIG_SUFFIXES = frozenset({
    ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".gradle", ".tf", ".tfvars", ".hcl", ".env",
    ".cmake", ".mk", ".bazel", ".bzl", ".sbt", ".csproj", ".sln", ".props", ".targets", ".editorconfig",
})  # fmt: skip
_CONFIG_NAMES = frozenset({
    "dockerfile", "containerfile", "makefile", "gnumakefile", "cmakelists.txt", "package.json", "tsconfig.json",
    "composer.json", "go.mod", "gemfile", "rakefile", "pom.xml", "build.xml", "procfile", "vagrantfile", "pipfile",
    "manifest.in", "codeowners", ".gitignore", ".gitattributes", ".dockerignore", ".npmrc", ".npmignore",
    ".editorconfig", ".mailmap", ".prettierrc", ".eslintrc", ".eslintrc.json", ".babelrc", ".flake8", ".pylintrc",
    ".coveragerc", ".rubocop.yml", ".clang-format", ".clang-tidy", "build", "workspace", "justfile",
})  # fmt: skip
_DATA_SUFFIXES = frozenset({
    ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".xml", ".txt", ".dat", ".bin", ".db", ".sqlite", ".gz",
    ".zip", ".npz", ".npy", ".pkl", ".avro", ".html", ".snap", ".golden", ".sql", ".graphql", ".proto", ".po", ".mo",
})  # fmt: skip

_TEST_NAMES = re.compile(
    r"test_[^/]*\.pyw?|[^/]*_test\.(py|go|rb|c|cc|cpp|exs?|php|rs|sh)|conftest\.py|[^/]*\.(test|spec)\.[cm]?[jt]sx?"
    r"|[^/]*_spec\.rb|[^/]*(Test|Tests|IT|Spec|Suite|TestCase)\.(java|kt|scala|cs|swift|php)|[^/]*\.bats|test_[^/]*\.(rb|c|cpp|sh)"
)


def kind_of(path: str) -> Kind:
    """What a file is, by its path with ``/`` between folders."""
    pure = PurePosixPath(path)
    name, suffix = pure.name.lower(), pure.suffix.lower()
    folders = {part.lower() for part in pure.parts[:-1]}
    if name in _CI_NAMES or any(path.startswith(folder) for folder in _CI_FOLDERS):
        return Kind.CI
    if name in _LOCKS or _REQUIREMENTS.fullmatch(name):
        return Kind.LOCK
    if suffix in LANGUAGES:
        return Kind.SOURCE
    if name in _CONFIG_NAMES or suffix in _CONFIG_SUFFIXES or name.startswith(("dockerfile.", "makefile.", ".env")):
        return Kind.CONFIG
    if _is_docs(pure, suffix, folders):
        return Kind.DOCS
    return Kind.DATA if suffix in _DATA_SUFFIXES or suffix in _TEXT else Kind.UNKNOWN


def is_media(path: str) -> bool:
    """Whether a file of documentation is a picture: there is nothing in it that could be run."""
    return PurePosixPath(path).suffix.lower() in _DOC_MEDIA - {".txt"}


def language_of(path: str) -> str | None:
    """The language of a source file; None where it is none that is known."""
    return LANGUAGES.get(PurePosixPath(path).suffix.lower())


def is_test(path: str) -> bool:
    """Whether a source file is the code of tests: by its name, or because it lies in a folder of tests."""
    pure = PurePosixPath(path)
    if language_of(path) is None:
        return False
    return bool(_TEST_NAMES.fullmatch(pure.name)) or bool(_TEST_FOLDERS & {part.lower() for part in pure.parts[:-1]})


def _is_docs(pure: PurePosixPath, suffix: str, folders: set[str]) -> bool:
    if folders & _READ_FOLDERS or folders & _TEST_FOLDERS:
        return False
    if _DOC_NAMES.fullmatch(pure.name):
        return True
    if folders & _DOC_FOLDERS:
        return suffix in _TEXT or suffix in _DOC_MEDIA
    return suffix in _TEXT and not folders & _SOURCE_FOLDERS
