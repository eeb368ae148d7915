"""A server to restore a backup into: embedded, empty, and gone afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.rehearsal.directory import rehearsal_directory
from tekup_migrate.rehearsal.server import running_server


@asynccontextmanager
async def throw_away_server(major: int) -> AsyncIterator[tuple[str, Secret]]:
    """Run an empty server in a temporary directory; yield its superuser's URL and password.

    Raises:
        MigrationError: there is no room on the disk, or the server does not start.
    """
    async with rehearsal_directory() as place, running_server(place, name="drill", major=major) as server:
        yield f"postgresql://{server.superuser}@{server.host}:{server.port}/postgres", server.password
