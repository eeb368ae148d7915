"""Which of a move's source names exists: looked up, never assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError
from tekup_migrate.phases.resolutions import PlacedMove, is_to_be_made
from tekup_migrate.plan import Move, Plan
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.outcome import TableMove
    from tekup_migrate.postgres.quoting import Relation

SCHEMA = "public"


@dataclass(frozen=True)
class LookedUp:
    """What was found of a plan's moves at the source.

    Attributes:
        moved: each move with the source's table and the target's.
        made: moves whose table the source lacks, and that are to be made empty; ``source`` is a name that is free.
        absent: moves whose table the source lacks, and nobody has said what becomes of them.
        others: the source's tables that no move takes.
        beside: what there is to say of tables by whose names a move looks too, and that it does not take.
    """

    moved: tuple[tuple[PlacedMove, TableMove], ...]
    made: tuple[tuple[PlacedMove, TableMove], ...]
    absent: tuple[PlacedMove, ...]
    others: tuple[str, ...]
    beside: tuple[str, ...]

    @property
    def tables(self) -> tuple[TableMove, ...]:
        """Every table whose rows move."""
        return tuple(table for _, table in self.moved)


async def look_up(context: Context, source: asyncpg.Connection, moves: Sequence[PlacedMove]) -> LookedUp:
    """Look the moves' tables up; of several names that exist, the one that the plan names first is taken.

    Raises:
        MigrationError: the source has none at all of an app's tables: it is the wrong project or schema.
    """
    rows = await source.fetch(
        "SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        SCHEMA,
    )
    present = {row[0] for row in rows}
    for app in dict.fromkeys(move.app for move in moves):
        _refuse_wrong_source(context.plan, app, present)
    found = [(move, _first(move, present)) for move in moves]
    chosen = {_first(move, present) for move in context.plan.moves}
    lacking = [move for move, name in found if not name]
    taken = {name for move in context.plan.moves for name in move.sources}
    return LookedUp(
        moved=tuple((move, _table_move(move, name)) for move, name in found if name),
        made=tuple((m, _table_move(m, _free_name(m))) for m in lacking if is_to_be_made(context, m)),
        absent=tuple(move for move in lacking if not is_to_be_made(context, move)),
        others=tuple(sorted(present - taken)),
        beside=tuple(
            f"The source has {other} as well as {name}, which the plan names first and which becomes"
            f" {move.place.label}: {other} stays behind with all its rows"
            for move, name in found
            for other in move.sources
            if name and other in present - chosen
        ),
    )


def _first(move: Move, present: set[str]) -> str:
    return next((name for name in move.sources if name in present), "")


async def table_moves(
    context: Context, source: asyncpg.Connection, moves: Sequence[PlacedMove]
) -> tuple[TableMove, ...]:
    """Return the tables whose rows move; those that are made empty are left out.

    Raises:
        MigrationError: the source lacks a table, and nobody has said that it is to be made empty.
    """
    return settled(await look_up(context, source, moves)).tables


async def target_tables(
    context: Context, source: asyncpg.Connection, moves: Sequence[PlacedMove]
) -> tuple[Relation, ...]:
    """Return the target's tables, those that are made empty too, in the plan's order.

    Raises:
        MigrationError: the source lacks a table, and nobody has said that it is to be made empty.
    """
    found = settled(await look_up(context, source, moves))
    tables = {move.sources: table.target for move, table in (*found.moved, *found.made)}
    return tuple(tables[move.sources] for move in moves)


def settled(found: LookedUp) -> LookedUp:
    """Return what was found, and stop where nobody has said what becomes of a table that the source lacks.

    Raises:
        MigrationError: there is such a table.
    """
    for move in found.absent:
        raise MigrationError(
            f"There is no table to move to {move.target}",
            happened=f"The source's schema {SCHEMA} has none of: {', '.join(move.sources)}.",
            unchanged="Nothing was created or copied.",
            remedy="Put the table's present name into `sources` of this move in the plan. If the source never had it,"
            " `may_be_absent = true` there, or “Compare the schemas”, makes it empty from the plan's floor.",
        )
    return found


def _refuse_wrong_source(plan: Plan, app: str, present: set[str]) -> None:
    moves = plan.moves_of(app)
    names = tuple(dict.fromkeys(name for move in moves for name in move.sources))
    if moves and not present.intersection(names):
        raise MigrationError(
            f"The source has none of {plan.apps[app].title}'s tables",
            happened=f"Its schema {SCHEMA} has none of: {', '.join(names)}.",
            unchanged="Nothing was created or copied.",
            remedy="Look whether this is the project that the app uses. If it is, put the tables' present names into"
            " `sources` of the moves in the plan.",
        )


def _free_name(move: PlacedMove) -> str:
    """Return a name that the source does not have: the plan's own for the target where that was looked for."""
    return move.planned if move.planned in move.sources else move.sources[0]


def _table_move(move: PlacedMove, name: str) -> TableMove:
    from tekup_migrate.postgres.outcome import TableMove
    from tekup_migrate.postgres.quoting import Relation

    return TableMove(
        Relation(SCHEMA, name),
        move.place,
        added=tuple(column.name for column in move.floor.columns),
        added_labels=tuple(label for labels in move.floor.enums.values() for label in labels),
    )
