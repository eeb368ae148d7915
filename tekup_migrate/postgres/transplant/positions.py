"""Carries over where sequences that no column owns stand; a column's own follow its values (``sequences.py``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.postgres.catalog.objects import Kind
from tekup_migrate.postgres.comparison.items import Disposition, Item
from tekup_migrate.postgres.quoting import Relation, quote_literal

if TYPE_CHECKING:
    import asyncpg

_OWNED = """
    SELECT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::regclass
        AND d.objid = $1::text::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0)
"""
_STEP = "SELECT seqincrement FROM pg_catalog.pg_sequence WHERE seqrelid = $1::text::regclass"


class Position(Struct, frozen=True, kw_only=True):
    """Where a sequence must stand in the target: what ``setval`` is told."""

    sequence: Relation
    last: int
    called: bool

    @property
    def statement(self) -> str:
        """The statement that puts it there."""
        name, called = quote_literal(self.sequence.sql).strip(), "true" if self.called else "false"
        return f"SELECT pg_catalog.setval({name}, {self.last}, {called})"


async def positions_behind(
    source: asyncpg.Connection, target: asyncpg.Connection, items: Iterable[Item]
) -> tuple[Position, ...]:
    """Return where the moved sequences that stand alone must go on; those that are far enough are left out."""
    found = []
    for item in items:
        here = Relation(item.key.schema, item.key.name)
        carried = item.kind is Kind.SEQUENCE and item.disposition in (Disposition.MOVES, Disposition.EQUAL)
        if not carried or await source.fetchval(_OWNED, here.sql):
            continue
        there = Relation(item.target.schema, item.target.name)
        step = await source.fetchval(_STEP, here.sql)
        last, called = await _state(source, here)
        free_here = last + (step if called else 0)
        if (await _next(target, there, step) - free_here) * step < 0:
            found.append(Position(sequence=there, last=last, called=called))
    return tuple(found)


async def carry_positions(
    source: asyncpg.Connection, target: asyncpg.Connection, items: Iterable[Item]
) -> tuple[str, ...]:
    """Set each moved sequence that stands alone to the source's position, never back; return what ran."""
    statements = tuple(position.statement for position in await positions_behind(source, target, items))
    for statement in statements:
        await target.execute(statement)
    return statements


async def _state(connection: asyncpg.Connection, sequence: Relation) -> tuple[int, bool]:
    row = await connection.fetchrow(f"SELECT last_value, is_called FROM {sequence.sql}")
    assert row is not None, "a sequence is a relation of one row"
    return row["last_value"], row["is_called"]


async def _next(connection: asyncpg.Connection, sequence: Relation, step: int) -> int:
    """Return the number that a sequence gives out next; not called means that the last one is still free."""
    last, called = await _state(connection, sequence)
    return last + (step if called else 0)
