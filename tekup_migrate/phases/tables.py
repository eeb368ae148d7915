"""Which of a move's source names exists: looked up, never assumed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Move

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.outcome import TableMove

SCHEMA = "public"


async def table_moves(connection: asyncpg.Connection, moves: Sequence[Move]) -> tuple[TableMove, ...]:
    """Return the plan's moves with the source name that exists; of several, the one the plan names first.

    Raises:
        MigrationError: none of a move's names is a relation of the source.
    """
    from tekup_migrate.postgres.outcome import TableMove
    from tekup_migrate.postgres.quoting import Relation

    rows = await connection.fetch(
        "SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        SCHEMA,
    )
    present = {row[0] for row in rows}
    return tuple(
        TableMove(
            Relation(SCHEMA, _found(move, present)),
            Relation(SCHEMA, move.target),
            added=tuple(column.name for column in move.floor.columns),
            added_labels=tuple(label for labels in move.floor.enums.values() for label in labels),
        )
        for move in moves
    )


def _found(move: Move, present: set[str]) -> str:
    for name in move.sources:
        if name in present:
            return name
    raise MigrationError(
        f"There is no table to move to {move.target}",
        happened=f"The source's schema {SCHEMA} has none of: {', '.join(move.sources)}.",
        unchanged="Nothing was created or copied.",
        remedy="Put the table's present name into `sources` of this move in the plan.",
    )
