"""How far the clocks of two servers are apart: ``updated_at`` of one is compared with that of the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

MAX_CLOCK_SECONDS = 2.0
"""Beyond this, the later ``updated_at`` need not be the later write."""
_NOW = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8"


async def clocks_apart(one: asyncpg.Connection, other: asyncpg.Connection) -> float:
    """Return by how many seconds two servers' clocks differ at least; the time to answer is given the benefit."""
    difference, slack = await _ahead(one)
    second, more = await _ahead(other)
    return max(0.0, abs(difference - second) - slack - more)


async def _ahead(connection: asyncpg.Connection) -> tuple[float, float]:
    """Return by how much a server's clock is ahead of ours, and how wrong that may be."""
    began = time.time()
    theirs: float = await connection.fetchval(_NOW)
    ended = time.time()
    return theirs - (began + ended) / 2, (ended - began) / 2
