"""Carries the positions of sequences over, so that the target's next number collides with no copied row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import Kind
from tekup_migrate.postgres.comparison.items import Disposition, Item
from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg


async def sequence_positions(source: asyncpg.Connection, items: Iterable[Item]) -> dict[Relation, tuple[int, bool]]:
    """Return the target's names of sequences that move, each with the source's last value and whether it was used."""
    found = {}
    for item in items:
        if item.kind is Kind.SEQUENCE and item.disposition in (Disposition.MOVES, Disposition.EQUAL):
            relation = Relation(item.key.schema, item.key.name)
            row = await source.fetchrow(f"SELECT last_value, is_called FROM {relation.sql}")  # noqa: S608 - quoted
            assert row is not None
            found[Relation(item.target.schema, item.target.name)] = (row["last_value"], row["is_called"])
    return found


async def carry_sequences(source: asyncpg.Connection, target: asyncpg.Connection, items: Iterable[Item]) -> int:
    """Set each moved sequence of the target to the source's position, never back; return how many were set."""
    positions = await sequence_positions(source, items)
    changed = 0
    for relation, (last, called) in positions.items():
        row = await target.fetchrow(f"SELECT last_value, is_called FROM {relation.sql}")  # noqa: S608 - quoted
        assert row is not None
        if (row["last_value"], row["is_called"]) < (last, called):
            await target.execute("SELECT pg_catalog.setval($1::text::regclass, $2, $3)", relation.sql, last, called)
            changed += 1
    return changed
