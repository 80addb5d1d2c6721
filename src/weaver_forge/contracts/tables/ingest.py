"""What was taken in and what was refused: one pair of tables for every source."""

from weaver_forge.contracts.table import Column, Table

RAW_INGEST_INPUTS = Table(
    layer="raw",
    source="ingest",
    entity="inputs",
    grain="input file or repository state that was taken in",
    columns=(
        Column(
            "source",
            "VARCHAR",
            "Source name: git, tests, github_actions, otlp, focus, deployments, incidents.",
        ),
        Column("input_sha256", "VARCHAR", "Hex SHA-256 of the bytes (for git: of repo_id and head revision)."),
        Column("context", "VARCHAR", "What the caller said about it (revision, run) as canonical JSON."),
        Column("name", "VARCHAR", "Path or repository as given."),
        Column("size_bytes", "BIGINT", "Size of the file; null for a repository.", nullable=True),
        Column(
            "modified_at",
            "TIMESTAMP",
            "Modification time, UTC; same path, size and time = not read again.",
            nullable=True,
        ),
        Column("n_rows", "BIGINT", "Rows decoded."),
        Column("n_rejected", "BIGINT", "Pieces refused."),
        Column("ingested_at", "TIMESTAMP", "When it was taken in, UTC."),
    ),
    key=("source", "input_sha256", "context"),
)

RAW_INGEST_REJECTED = Table(
    layer="raw",
    source="ingest",
    entity="rejected",
    grain="refused piece of an input",
    columns=(
        Column("source", "VARCHAR", "Source name."),
        Column("input_sha256", "VARCHAR", "Hex SHA-256 of the input the piece is from."),
        Column("name", "VARCHAR", "Path or repository."),
        Column("position", "VARCHAR", "Line, row, byte offset or element, in words."),
        Column("reason", "VARCHAR", "What is wrong and what to do."),
        Column("raw", "VARCHAR", "The refused piece, cut to 4,000 characters."),
        Column("rejected_at", "TIMESTAMP", "When it was refused, UTC."),
    ),
    key=("source", "input_sha256", "position", "reason"),
)
