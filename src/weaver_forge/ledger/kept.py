"""What was worked out of the ledger and is kept in a file, so that only what was added has to be read again.

Derived from the ledger alone and named by the link up to which it was: whoever removes the file, damages it, or puts
another ledger in its place costs the next reader a full reading and nothing else. Put here the file; what is in it is
``gathering``'s. Loads polars.
"""

import io
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

_MANIFEST = "manifest.json"
_LOG = logging.getLogger(__name__)
_UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError, NotImplementedError)
"""What a damaged archive makes its readers raise; the last for a compression that its damaged head names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a file holds.

    Args:
        made_for: What it was made from besides the ledger; something else makes it useless.
        until: The last batch of the chain that went into it.
        link: The hash of that batch's link.
        said: Small facts, as JSON has them.
        frames: Columns by name.
    """

    made_for: str
    until: int
    link: str
    said: Mapping[str, Any] = field(default_factory=dict)
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict)


def load(path: Path, made_for: str) -> Kept | None:
    """What the file holds; None where there is none, it was made for something else, or any byte of it is damaged."""
    try:
        with zipfile.ZipFile(path) as file:
            manifest = json.loads(file.read(_MANIFEST))  # every read is checked against the CRC that was written
            if manifest["made_for"] != made_for:
                return None
            frames = {name: pl.read_ipc(io.BytesIO(file.read(name))) for name in manifest["frames"]}
            return Kept(
                made_for=made_for,
                until=manifest["until"],
                link=manifest["link"],
                said=manifest["said"],
                frames=frames,
            )
    except FileNotFoundError:
        return None
    except (*_UNREADABLE, pl.exceptions.PolarsError) as error:
        _LOG.warning("%s cannot be read (%s): it is made anew from the ledger, which is the record", path, error)
        return None


def save(path: Path, kept: Kept) -> None:
    """Replace the file: a reader sees the one before or this one whole, also after a crash in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _write(part, kept)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write(path: Path, kept: Kept) -> None:
    manifest = {
        "made_for": kept.made_for,
        "until": kept.until,
        "link": kept.link,
        "said": dict(kept.said),
        "frames": sorted(kept.frames),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for name, frame in kept.frames.items():
            file.writestr(name, _bytes(frame))
        file.writestr(_MANIFEST, json.dumps(manifest, sort_keys=True))


def _bytes(frame: pl.DataFrame) -> bytes:
    held = io.BytesIO()
    frame.write_ipc(held, compression="lz4")
    return held.getvalue()
