"""Emptying the tables that this run made and filled: which, how, and what would be lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tekup_migrate.errors import WorldChangedError
from tekup_migrate.phases.access import connected
from tekup_migrate.phases.ownership import is_created
from tekup_migrate.phases.resolutions import PlacedMove
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.outcome import TableOutcome


async def held_rows(context: Context, moves: Sequence[PlacedMove]) -> dict[str, int]:
    """Return the rows in each target table that this run made and that holds any, by quoted name."""
    names = [move.place.sql for move in moves if is_created(context, move.place.label)]
    async with connected(context, context.plan.project_id("target")) as connection:
        return await _counts(connection, names)


async def _counts(connection: asyncpg.Connection, names: Iterable[str]) -> dict[str, int]:
    there = [name for name in names if await connection.fetchval("SELECT to_regclass($1)", name)]
    counts = {name: int(await connection.fetchval(f"SELECT count(*) FROM {name}")) for name in there}
    return {name: count for name, count in counts.items() if count}


async def empty(context: Context, seen: Mapping[str, int]) -> None:
    """Empty tables in one transaction that nobody can write to meanwhile.

    Args:
        context: the run.
        seen: how many rows each had when it was said what goes, by quoted name.

    Raises:
        WorldChangedError: there are others now; none is touched.
    """
    async with connected(context, context.plan.project_id("target")) as connection, connection.transaction():
        lock, truncate = emptying(seen)
        await connection.execute(lock)
        now = await _counts(connection, seen)
        if now and now != seen:
            changed = [f"{name}: {rows:,} rows became {now.get(name, 0):,}" for name, rows in seen.items()]
            raise WorldChangedError(
                "Rows were written meanwhile",
                happened="; ".join(changed),
                unchanged="No row was deleted.",
                remedy="Stop what writes to these tables, then roll back again: it shows what would be gone now.",
            )
        await connection.execute(truncate)


def emptying(names: Iterable[str]) -> tuple[str, str]:
    """Return the statements that empty tables, given by quoted name; what else refers to them makes the second fail.

    Between the two, the rows are counted once more.
    """
    tables = ", ".join(names)
    return f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE", f"TRUNCATE {tables} RESTART IDENTITY"


def only_there(outcome: TableOutcome) -> str:
    """Return what a table on the target has that the source does not, or an empty text."""
    tally = outcome.tally
    if not tally.only_source and not tally.changed:
        return ""
    return (
        f"{outcome.move.source.label}: {tally.only_source:,} rows that the source does not have, {tally.changed:,} that"
        " it has otherwise"
    )
