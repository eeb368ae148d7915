"""How far the clocks of two servers are apart: ``updated_at`` of one is compared with that of the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tekup_migrate.postgres.outcome import TableMove
from tekup_migrate.postgres.side import Side
from tekup_migrate.postgres.table import TablePair, TableUnfitError

if TYPE_CHECKING:
    import asyncpg

MAX_CLOCK_SECONDS = 2.0
"""Beyond this, the later ``updated_at`` need not be the later write."""
_NOW = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8"


async def check_ages(source: Side, target: Side, move: TableMove, pair: TablePair) -> None:
    """Refuse to settle a table by age where there is none, or where the two clocks that wrote it disagree.

    Raises:
        TableUnfitError: it cannot be settled by age.
    """
    if move.newest_by not in pair.names or not pair.key:
        raise _not_by_age(move, f"It has no key, or no column {move.newest_by}.")
    async with source.connection() as ours, target.connection() as theirs:
        apart = await clocks_apart(ours, theirs)
    if apart > MAX_CLOCK_SECONDS:
        raise _not_by_age(move, f"The two servers' clocks are {apart:.0f} seconds apart.")


def _not_by_age(move: TableMove, happened: str) -> TableUnfitError:
    return TableUnfitError(
        f"{move.target} cannot be settled by age",
        happened=happened,
        unchanged="No row was touched.",
        remedy="Choose the source's or the target's rows instead.",
    )


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
