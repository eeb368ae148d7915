"""What a drill has proved by the time it is paused, as a note that belongs to one very backup."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tekup_migrate.backup.manifest import CHECKSUMS
from tekup_migrate.backup.trial import RestoredTable


class _Note(Struct, frozen=True):
    """The SHA-256 of the backup's checksums, and its tables that came back equal."""

    seal: str
    tables: tuple[RestoredTable, ...]


def proved_note(folder: Path, tables: Sequence[RestoredTable]) -> bytes:
    """Return the note that these tables of a backup came back equal."""
    return msgspec.json.encode(_Note(_seal_of(folder), tuple(tables)))


def proved_tables(folder: Path, note: bytes | None) -> tuple[RestoredTable, ...]:
    """Return the tables that a note says were proved; none where it is about another backup, or a changed one."""
    kept = msgspec.json.decode(note, type=_Note) if note else None
    try:
        return kept.tables if kept is not None and kept.seal == _seal_of(folder) else ()
    except FileNotFoundError:
        # The drill itself says what is missing.
        return ()


def _seal_of(folder: Path) -> str:
    return hashlib.sha256((folder / CHECKSUMS).read_bytes()).hexdigest()
