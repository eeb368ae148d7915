"""A server to restore a backup into: embedded, empty, and gone afterwards."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError
from tekup_migrate.rehearsal.directory import rehearsal_directory
from tekup_migrate.rehearsal.server import SERVER_BYTES, running_server


@asynccontextmanager
async def throw_away_server(major: int, room: int = 0) -> AsyncIterator[tuple[str, Secret]]:
    """Run an empty server in a temporary directory; yield its superuser's URL and password.

    Args:
        major: its major version.
        room: how many bytes of rows it must have room for.

    Raises:
        MigrationError: there is no room on the disk, or the server does not start.
    """
    async with rehearsal_directory() as place:
        _require_room(place.path, SERVER_BYTES + room)
        async with running_server(place, name="drill", major=major) as server:
            yield f"postgresql://{server.superuser}@{server.host}:{server.port}/postgres", server.password


def _require_room(path: Path, room: int) -> None:
    free = shutil.disk_usage(path).free
    if free < room:
        raise MigrationError(
            "Not enough room on the disk to restore the backup on trial",
            happened=f"{path.parent} has {free / 1e6:,.0f} MB free; the server and its rows may need"
            f" {room / 1e6:,.0f} MB.",
            unchanged="Nothing was restored; the backup is as it was.",
            remedy="Free some space, name another place for temporary files (TMPDIR), or skip the trial with a reason.",
        )
