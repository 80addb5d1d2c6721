"""Git history: what the repository says (raw) and the changes we reason about (core)."""

from weaver_forge.contracts.table import Column, Table

REPO_ID = Column("repo_id", "VARCHAR", "Normalised remote URL (host/owner/name), or local/<hash of the path>.")
REVISION = Column("revision", "VARCHAR", "Full commit id, 40 (or 64) hex digits.")
KNOWN_AT = Column("known_at", "TIMESTAMP", "When this row reached us, UTC: event time plus the source's stated lag.")

RAW_GIT_COMMITS = Table(
    layer="raw",
    source="git",
    entity="commits",
    grain="commit reachable from the ingested refs",
    columns=(
        REPO_ID,
        REVISION,
        Column("parents", "VARCHAR", "Parent commit ids joined by a space; empty for a root."),
        Column("author", "VARCHAR", "Author e-mail after .mailmap, lower case."),
        Column("authored_at", "TIMESTAMP", "Author time, UTC."),
        Column("committed_at", "TIMESTAMP", "Committer time, UTC."),
        Column("subject", "VARCHAR", "First line of the message."),
        Column("body", "VARCHAR", "Rest of the message; empty when there is none."),
    ),
    key=("repo_id", "revision"),
)

RAW_GIT_FILE_CHANGES = Table(
    layer="raw",
    source="git",
    entity="file_changes",
    grain="file touched by a commit (against its first parent)",
    columns=(
        REPO_ID,
        REVISION,
        Column("path", "VARCHAR", "Path after the change, as UTF-8 with replacement."),
        Column("old_path", "VARCHAR", "Path before a rename; null otherwise.", nullable=True),
        Column("n_added", "INTEGER", "Lines added; null for a binary file.", nullable=True),
        Column("n_deleted", "INTEGER", "Lines deleted; null for a binary file.", nullable=True),
    ),
    key=("repo_id", "revision", "path"),
)

RAW_GIT_BLAMES = Table(
    layer="raw",
    source="git",
    entity="blames",
    grain="commit and file whose lines a later fix or revert removed",
    columns=(
        REPO_ID,
        Column("fix_revision", "VARCHAR", "The fixing or reverting commit."),
        Column("blamed_revision", "VARCHAR", "The commit that last wrote the removed lines."),
        Column("path", "VARCHAR", "File in the fixing commit's parent."),
        Column("n_lines", "INTEGER", "Removed lines that the blamed commit had written."),
        Column("fixed_at", "TIMESTAMP", "Committer time of the fix, UTC."),
    ),
    key=("repo_id", "fix_revision", "blamed_revision", "path"),
)

CORE_CHANGES_CHANGES = Table(
    layer="core",
    source="changes",
    entity="changes",
    grain="non-merge change of a repository",
    columns=(
        REPO_ID,
        REVISION,
        Column("parent", "VARCHAR", "First parent; null for a root commit.", nullable=True),
        Column("author", "VARCHAR", "Author e-mail, lower case."),
        Column("committed_at", "TIMESTAMP", "Committer time, UTC."),
        Column("subject", "VARCHAR", "First line of the message."),
        Column("is_fix", "BOOLEAN", "The message says it fixes or reverts something."),
        Column("reverts_revision", "VARCHAR", "The commit that a revert names; null otherwise.", nullable=True),
        Column("n_files", "INTEGER", "Files touched."),
        Column("n_added", "INTEGER", "Lines added; binary files count 0."),
        Column("n_deleted", "INTEGER", "Lines deleted; binary files count 0."),
        KNOWN_AT,
    ),
    key=("repo_id", "revision"),
)

CORE_CHANGES_FILES = Table(
    layer="core",
    source="changes",
    entity="files",
    grain="file touched by a change",
    columns=(
        REPO_ID,
        REVISION,
        Column("path", "VARCHAR", "Path after the change."),
        Column("n_added", "INTEGER", "Lines added; 0 for a binary file."),
        Column("n_deleted", "INTEGER", "Lines deleted; 0 for a binary file."),
        Column("author", "VARCHAR", "Author of the change."),
        Column("committed_at", "TIMESTAMP", "Committer time, UTC."),
        KNOWN_AT,
    ),
    key=("repo_id", "revision", "path"),
)

CORE_CHANGES_BLAMES = Table(
    layer="core",
    source="changes",
    entity="blames",
    grain="change that a later fix blames (SZZ)",
    columns=(
        REPO_ID,
        REVISION,
        Column("fix_revision", "VARCHAR", "The fix or revert that removed its lines, or that names it."),
        Column("n_lines", "INTEGER", "Lines of it that the fix removed; 0 when a revert names it."),
        Column("method", "VARCHAR", "szz_blame or revert_message."),
        KNOWN_AT,
    ),
    key=("repo_id", "revision", "fix_revision", "method"),
)

_SEMANTIC_CLASS = "docs, format, comment, docstring, rename, test_only, config or behaviour; unknown is behaviour."

CORE_CHANGES_SEMANTICS = Table(
    layer="core",
    source="changes",
    entity="semantics",
    grain="change whose meaning was looked at, the newest of each repository first",
    columns=(
        REPO_ID,
        REVISION,
        Column(
            "semantic_class",
            "VARCHAR",
            f"Class of its most severe file: {_SEMANTIC_CLASS} Null when it touches no file, or is no longer in the"
            " clone.",
            nullable=True,
        ),
        Column("n_harmless", "INTEGER", "Files of the classes docs, format, comment and docstring."),
        Column("n_files", "INTEGER", "Files looked at."),
        Column("rules", "INTEGER", "Version of the rules that gave the class."),
        Column("committed_at", "TIMESTAMP", "Committer time, UTC."),
        KNOWN_AT,
    ),
    key=("repo_id", "revision"),
    replace_by=("repo_id", "revision"),
)

CORE_CHANGES_FILE_SEMANTICS = Table(
    layer="core",
    source="changes",
    entity="file_semantics",
    grain="file touched by a change whose meaning was looked at",
    columns=(
        REPO_ID,
        REVISION,
        Column("path", "VARCHAR", "Path after the change; of a deleted file, before it."),
        Column("semantic_class", "VARCHAR", f"As the file itself tells: {_SEMANTIC_CLASS}"),
        Column("reason", "VARCHAR", "Why, in words."),
        Column("committed_at", "TIMESTAMP", "Committer time, UTC."),
        KNOWN_AT,
    ),
    key=("repo_id", "revision", "path"),
    replace_by=("repo_id", "revision"),
)
