"""Removing a directory tree, whatever modes the files in it have."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove a directory with everything in it, read-only files (git makes them) included.

    Raises:
        OSError: something in it cannot be removed.
    """
    if not path.exists():
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        for each in (path, *path.rglob("*")):
            if not each.is_symlink():
                each.chmod(each.stat().st_mode | stat.S_IWUSR)
        shutil.rmtree(path)
