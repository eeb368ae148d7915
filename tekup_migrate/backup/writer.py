"""Who writes into an unfinished backup's folder, so that what a killed run left behind can be removed safely."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import msgspec
from msgspec import Struct

from tekup_migrate.backup.folder import PARTIAL
from tekup_migrate.errors import MigrationError

_NOTE = "writer.json"


class _Program(Struct, frozen=True):
    """A process; its start time tells it from a later one with the same id."""

    pid: int
    started: float


class _Writer(Struct, frozen=True):
    owner: _Program
    program: _Program


def note_writer(partial: Path, pid: int) -> None:
    """Note in an unfinished folder that this process and its child ``pid`` write into it."""
    owner, program = _identify(os.getpid()), _identify(pid)
    if owner is not None and program is not None:
        (partial / _NOTE).write_bytes(msgspec.json.encode(_Writer(owner, program)))


def clear_note(partial: Path) -> None:
    """Remove the note; it is no part of the backup."""
    (partial / _NOTE).unlink(missing_ok=True)


def clear_stale(root: Path, name: str) -> None:
    """Remove what runs that no longer exist left under ``root`` of backups called ``name``.

    A pg_dump that outlived its killed run is ended first; it is known by its id and its start time.

    Raises:
        MigrationError: another run is writing such a folder now.
    """
    pattern = re.compile(rf"{re.escape(name)}-\d{{8}}(-\d+)?(\.opened)?{re.escape(PARTIAL)}")
    found = sorted(root.iterdir()) if root.is_dir() else []
    for partial in [path for path in found if pattern.fullmatch(path.name)]:
        clear_left_over(partial)


def clear_left_over(partial: Path) -> None:
    """Remove an unfinished backup or an unsealed copy, where it is one, that a run which no longer exists left behind.

    Raises:
        MigrationError: another process is using it now.
    """
    writer = _read_note(partial)
    if writer is not None and _lives(writer.owner):
        raise MigrationError(
            "Another process is working on the same backup",
            happened=f"The process {writer.owner.pid} is using {partial}.",
            unchanged="Nothing was dumped, restored or removed.",
            remedy="Let it finish, or end it; then try again.",
        )
    if writer is not None and _lives(writer.program):
        _end(writer.program)
    shutil.rmtree(partial, ignore_errors=True)


def _read_note(partial: Path) -> _Writer | None:
    try:
        return msgspec.json.decode((partial / _NOTE).read_bytes(), type=_Writer)
    except (OSError, msgspec.DecodeError):
        return None


def _identify(pid: int) -> _Program | None:
    import psutil

    try:
        return _Program(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _lives(program: _Program) -> bool:
    return _identify(program.pid) == program


def _end(program: _Program) -> None:
    import psutil

    try:
        process = psutil.Process(program.pid)
        tree = [*process.children(recursive=True), process]
        for one in tree:
            one.kill()
        psutil.wait_procs(tree, timeout=5)
    except psutil.NoSuchProcess:
        return
