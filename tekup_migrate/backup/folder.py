"""Where a backup goes: its dated name, its mode, the room it needs, and that git will not pick it up."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import date
from pathlib import Path

from tekup_migrate.backup.child import clean_environment, read_output
from tekup_migrate.errors import MigrationError

PARTIAL = ".partial"
"""What the folder's name ends with until the backup is whole."""

OPENED = f".opened{PARTIAL}"
"""What is added to a sealed backup's name for the folder of its unsealed copy."""


def dated_folder(root: Path, name: str, day: date) -> Path:
    """Return the first free folder ``<name>-YYYYMMDD``, ``<name>-YYYYMMDD-2``, … under ``root``; makes nothing."""
    first = root / f"{name}-{day:%Y%m%d}"
    folder, number = first, 1
    while folder.exists() or folder.is_symlink() or partial_of(folder).exists():
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    return folder


def partial_of(folder: Path) -> Path:
    """Return where a backup is written until it is whole."""
    return folder.with_name(folder.name + PARTIAL)


def make_private(folder: Path) -> None:
    """Make a new folder that only its owner can enter, and its parents where they are missing.

    Raises:
        MigrationError: it exists already, or cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(mode=0o700)
        if sys.platform != "win32":
            # mkdir's mode is narrowed by the umask; this is what was asked for, whatever the umask.
            folder.chmod(0o700)
    except FileExistsError as error:
        raise unwritable(folder, "it exists already, and a backup is never overwritten") from error
    except OSError as error:
        raise unwritable(folder, error.strerror or str(error)) from error


def finish(partial: Path, folder: Path) -> None:
    """Give a whole backup its name; on disk when this returns.

    Raises:
        MigrationError: something of that name appeared meanwhile.
    """
    for path in sorted(partial.rglob("*")):
        _sync(path)
    _sync(partial)
    if folder.exists() or folder.is_symlink():
        raise unwritable(folder, "it exists already, and a backup is never overwritten")
    try:
        partial.rename(folder)
    except OSError as error:
        raise unwritable(folder, error.strerror or str(error)) from error
    _sync(folder.parent)


def require_room(folder: Path, needed: int, *, what: str = "the backup") -> None:
    """Raise a ``MigrationError`` unless ``needed`` bytes are free where ``folder`` will be, for ``what``."""
    free = shutil.disk_usage(existing_parent(folder)).free
    if free < needed:
        raise MigrationError(
            f"Not enough room on the disk for {what}",
            happened=f"{folder.parent} has {free / 1e6:,.0f} MB free; {what} may need {needed / 1e6:,.0f} MB.",
            unchanged="Nothing was dumped, written or restored.",
            remedy="Free some space, or name a folder on another disk.",
        )


def existing_parent(folder: Path) -> Path:
    """Return the nearest folder above ``folder``, or itself, that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


async def require_unversioned(folder: Path) -> None:
    """Refuse a folder inside a git work tree unless git ignores it: a backup holds every row.

    Raises:
        MigrationError: git would see the backup as new files, or cannot be asked.
    """
    parent = existing_parent(folder)
    if not any((path / ".git").exists() for path in (parent, *parent.parents)):
        return
    git = _git()
    if git is None:
        raise _versioned(folder, "and git, which knows whether it ignores the folder, is not on the PATH")
    base = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment = clean_environment({"GIT_TERMINAL_PROMPT": "0"}, base)
    command: list[str | Path] = [git, "-C", parent]
    inside = await read_output([*command, "rev-parse", "--is-inside-work-tree"], environment=environment)
    if inside.said.strip() == "false":
        return
    for path in (folder, partial_of(folder)):
        # A file inside, because a pattern that ends with a slash matches only what git takes for a folder.
        inner = path.absolute() / "manifest.json"
        asked = await read_output([*command, "check-ignore", "--quiet", "--", inner], environment=environment)
        if asked.code != 0:
            raise _versioned(folder, "and git does not ignore it")


def _git() -> Path | None:
    found = shutil.which("git")
    return Path(found).absolute() if found else None


def _versioned(folder: Path, why: str) -> MigrationError:
    return MigrationError(
        "The backup's folder is inside a git repository",
        happened=f"{folder} is inside a git work tree {why}. A backup holds every row; it must not be committed.",
        unchanged="Nothing was dumped or written.",
        remedy=f"Name a folder outside of any repository, or add {folder.parent.name}/ to the .gitignore there.",
    )


def unwritable(folder: Path, why: str) -> MigrationError:
    """Return the error for a backup's folder that cannot be written, and why."""
    return MigrationError(
        f"The backup's folder {folder.name} cannot be made",
        happened=f"{folder}: {why}.",
        unchanged="No backup was overwritten, and no database was changed.",
        remedy="Name another folder, or move what is in the way.",
    )


def _sync(path: Path) -> None:
    if path.is_dir() and sys.platform == "win32":
        # Windows cannot open a folder to flush it.
        return
    descriptor = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
