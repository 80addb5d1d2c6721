"""What was taken in and what was refused: one pair of tables for every source."""

from weaver_forge.contracts.table import Column, Table

RAW_INGEST_INPUTS = Table(
    layer="raw",
    source="ingest",
    entity="inputs",
    grain="input file, beginning of a growing file, or repository state that was taken in",
    columns=(
        Column(
            "source",
            "VARCHAR",
            "Source name: git, tests, github_actions, otlp, focus, deployments, incidents.",
        ),
        Column(
            "input_sha256",
            "VARCHAR",
            "Hex SHA-256 of the bytes taken in (for git: of repo_id and head revision): a file is known by what is in"
            " it, wherever it is moved to and however it grows.",
        ),
        Column("context", "VARCHAR", "What the caller said about it (revision, run) as canonical JSON."),
        Column("name", "VARCHAR", "Path or repository as given."),
        Column("size_bytes", "BIGINT", "Size of the file; null for a repository.", nullable=True),
        Column(
            "modified_at",
            "TIMESTAMP",
            "Modification time, UTC; same path, size and time = not read again.",
            nullable=True,
        ),
        Column("n_rows", "BIGINT", "Rows decoded; of a file that is taken in piece by piece, of the last piece."),
        Column("n_rejected", "BIGINT", "Pieces refused, counted likewise."),
        Column("ingested_at", "TIMESTAMP", "When it was taken in, UTC."),
        Column(
            "bytes_taken",
            "BIGINT",
            "How many bytes, from the file's beginning on; null for a repository and where files are read whole.",
            nullable=True,
        ),
        Column(
            "head_sha256",
            "VARCHAR",
            "Hex SHA-256 of the first 4,096 of them: tells most other files apart without reading them; null where"
            " bytes_taken is less or null.",
            nullable=True,
        ),
        Column(
            "decoded_bytes",
            "BIGINT",
            "Of a compressed file: how far into what it holds the next reading begins; null of any other.",
            nullable=True,
        ),
        Column(
            "tail_bytes",
            "BIGINT",
            "Bytes after them that end inside a message; null when there are none.",
            nullable=True,
        ),
        Column(
            "tail_state",
            "VARCHAR",
            "waiting: the rest of the message is expected; refused: it did not come within a day; null without one.",
            nullable=True,
        ),
    ),
    key=("source", "input_sha256", "context"),
    replace_by=("source", "input_sha256", "context"),
)

RAW_INGEST_REJECTED = Table(
    layer="raw",
    source="ingest",
    entity="rejected",
    grain="refused piece of an input",
    columns=(
        Column("source", "VARCHAR", "Source name."),
        Column(
            "input_sha256",
            "VARCHAR",
            "Hex SHA-256 of the input the piece is from; of a file that is taken in piece by piece, of its bytes up to"
            " and with the refused one.",
        ),
        Column("name", "VARCHAR", "Path or repository."),
        Column("position", "VARCHAR", "Line, row, byte offset or element, in words."),
        Column("reason", "VARCHAR", "What is wrong and what to do."),
        Column("raw", "VARCHAR", "The refused piece, cut to 4,000 characters."),
        Column("rejected_at", "TIMESTAMP", "When it was refused, UTC."),
        Column(
            "data",
            "BLOB",
            "The whole refused bytes, for decoding them again; null where they are none, or more than 64 MiB.",
            nullable=True,
        ),
        Column("byte_offset", "BIGINT", "Where in the (decompressed) file they begin; null if unknown.", nullable=True),
        Column("context", "VARCHAR", "What the caller said about the input, as canonical JSON.", nullable=True),
        Column("resolved_at", "TIMESTAMP", "When it was decoded after all, UTC; null while refused.", nullable=True),
    ),
    key=("source", "input_sha256", "position", "reason"),
)
