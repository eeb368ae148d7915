"""Puts the tests' temporary files into memory where there is plenty of it: making databases is mostly making files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

MEMORY_DISK = Path("/dev/shm")
"""Linux' own; a container's often has 64 MB, and macOS and Windows have none."""

_NEEDED_BYTES = 6 * 1024**3


@contextmanager
def temporary_files_in_memory() -> Iterator[None]:
    """Let every temporary file of the block, and of programs started in it, be made in memory, if there is room.

    A ``TMPDIR`` that is set already is left as it is, in the workers of a parallel run too.
    """
    if "TMPDIR" in os.environ or not _has_room():
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="tekup-tests-", dir=MEMORY_DISK))
    # As root, database servers run under another account and must be able to pass through.
    folder.chmod(0o711)
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
    try:
        yield
    finally:
        tempfile.tempdir = None
        del os.environ["TMPDIR"]
        shutil.rmtree(folder, ignore_errors=True)


def _has_room() -> bool:
    if not os.access(MEMORY_DISK, os.W_OK | os.X_OK) or os.statvfs(MEMORY_DISK).f_flag & os.ST_NOEXEC:
        return False
    return min(shutil.disk_usage(MEMORY_DISK).free, psutil.virtual_memory().available) > _NEEDED_BYTES
