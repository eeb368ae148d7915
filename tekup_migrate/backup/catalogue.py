"""The backups in a folder: which there are, of what, and from when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.backup.manifest import Manifest
from tekup_migrate.errors import MigrationError


@dataclass(frozen=True)
class FinishedBackup:
    """A finished backup: its folder, and what its manifest says; its files were not looked at."""

    folder: Path
    manifest: Manifest


def finished_backups(root: Path) -> tuple[FinishedBackup, ...]:
    """Return the finished backups directly under ``root``, the oldest snapshot first; unusable folders are left out."""
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        try:
            if folder.is_dir():
                found.append(FinishedBackup(folder, Manifest.load(folder)))
        except MigrationError:
            # An unfinished dump, or somebody else's folder: neither covers anything.
            continue
    return tuple(sorted(found, key=lambda backup: backup.manifest.snapshot_at))
