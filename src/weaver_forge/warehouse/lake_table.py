"""The Delta table under a lake: opening it, making it, and bringing one of an older release forward.

Put what is said about the table as a whole here. What rows and files are in it is in ``lake``.
"""

import fcntl
import os
from pathlib import Path

from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions

from weaver_forge.errors import ConfigurationError, MissingInput
from weaver_forge.warehouse.room import room_for

# By default every hundredth commit drops logs older than 30 days, and with them versions that snapshots name.
PROPERTIES = {"delta.enableExpiredLogCleanup": "false"}
"""Of every lake; old logs are cleared by ``lake_upkeep.vacuum``, which knows what is pinned."""


def open_table(path: Path, version: int | None = None) -> DeltaTable | None:
    """The table, of an older version if asked; None when nothing was ever stored.

    Raises:
        MissingInput: If a version is asked for that is not there: not an empty lake, but one that is gone.
    """
    try:
        return DeltaTable(str(path), version=version)
    except DeltaError as error:
        if version is None and isinstance(error, TableNotFoundError):
            return None
        if version is None or has_log(path, version):
            raise
        raise MissingInput(
            f"version {version} of the lake is not there",
            where=str(path),
            do="Publish anew, so that snapshots name a version that is; old ones are gone with their log",
        ) from error


def has_log(path: Path, version: int) -> bool:
    """Whether the log of a version is there, without which it cannot be read."""
    return (path / "_delta_log" / f"{version:020d}.json").is_file()


def create_table(path: Path, schema: Schema, actions: list[AddAction]) -> bool:
    """Make the table with its first files; False when another writer made it first.

    Raises:
        ConfigurationError: If its path has a percent sign.
        StoreFull: If there is no room.
    """
    if "%" in str(path.resolve()):
        raise ConfigurationError(
            "a path with a percent sign cannot hold a Delta table", where=str(path), do="Move the deployment"
        )
    # One at a time: of two that are made together, the library has the later one slip in behind the other, unchecked.
    folder = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if open_table(path) is not None:
            return False
        with room_for(str(path)):
            create_table_with_add_actions(str(path), schema, actions, mode="error", configuration=PROPERTIES)
    finally:
        os.close(folder)
    return True


def bring_forward(table: DeltaTable, schema: Schema) -> bool:
    """Declare columns that a newer release added, and its properties; False when another writer came in between.

    These commits slip in behind those of others, and what the caller checked is then of a version before them.
    """
    expected: int = table.version()
    missing = _missing_columns(table, schema)
    if missing:
        with room_for(table.table_uri):
            table.alter.add_columns(missing)
        expected += 1
    if PROPERTIES.items() - table.metadata().configuration.items():
        with room_for(table.table_uri):
            table.alter.set_table_properties(PROPERTIES)
        expected += 1
    now: int = table.version()
    return now == expected


def _missing_columns(table: DeltaTable, schema: Schema) -> list[Field]:
    stored = {field.name for field in table.schema().fields}
    return [field for field in schema.fields if field.name not in stored]
