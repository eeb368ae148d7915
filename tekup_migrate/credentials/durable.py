"""Replacing a file so that a crash leaves either the old one or the new one, and no other mode or owner."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

# Beside the file and beginning with its name, so that the pattern that keeps `.env*` out of git covers it.
SUFFIX = ".tekup-migrate-tmp"


def replace_file(
    path: Path, content: bytes, *, mode: int | None = None, check: Callable[[Path], None] | None = None
) -> None:
    """Write ``content`` beside ``path``, sync it, let ``check`` look at it, and rename it into place.

    Args:
        path: the real file, not a symlink; it need not exist yet.
        content: all of its bytes.
        mode: permission bits; by default those of the file that is replaced, or 0600 for a new one.
        check: is given the finished temporary file and raises to leave everything as it was.

    Raises:
        OSError: the directory or the file cannot be written, or the owner cannot be kept.
    """
    former = path.stat() if path.exists() else None
    bits = mode if mode is not None else stat.S_IMODE(former.st_mode) if former else 0o600
    temporary = path.with_name(path.name + SUFFIX)
    temporary.unlink(missing_ok=True)
    try:
        _write(temporary, content, bits, former)
        if check is not None:
            check(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(temporary: Path, content: bytes, bits: int, former: os.stat_result | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(temporary, flags, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        if sys.platform != "win32":
            made = os.fstat(stream.fileno())
            if former and (made.st_uid, made.st_gid) != (former.st_uid, former.st_gid):
                os.fchown(stream.fileno(), former.st_uid, former.st_gid)
            os.fchmod(stream.fileno(), bits)
        os.fsync(stream.fileno())
    if sys.platform == "win32":
        temporary.chmod(bits)
