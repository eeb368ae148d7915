"""Emptying the tables that this run made and filled: which, how, and what would be lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tekup_migrate.phases.access import connected
from tekup_migrate.phases.ownership import is_created
from tekup_migrate.phases.resolutions import PlacedMove
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    from tekup_migrate.postgres.outcome import TableOutcome


async def held_rows(context: Context, moves: Sequence[PlacedMove]) -> dict[str, int]:
    """Return the rows in each target table that this run made and that holds any, by quoted name."""
    names = [move.place.sql for move in moves if is_created(context, move.place.label)]
    async with connected(context, context.plan.project_id("target")) as connection:
        there = [name for name in names if await connection.fetchval("SELECT to_regclass($1)", name)]
        counts = {name: int(await connection.fetchval(f"SELECT count(*) FROM {name}")) for name in there}
    return {name: count for name, count in counts.items() if count}


def truncation(names: Iterable[str]) -> str:
    """Return the statement that empties tables, given by quoted name; what else refers to them makes it fail."""
    return f"TRUNCATE {', '.join(names)} RESTART IDENTITY"


def only_there(outcome: TableOutcome) -> str:
    """Return what a table on the target has that the source does not, or an empty text."""
    tally = outcome.tally
    if not tally.only_source and not tally.changed:
        return ""
    return (
        f"{outcome.move.source.label}: {tally.only_source:,} rows that the source does not have, {tally.changed:,} that"
        " it has otherwise"
    )
