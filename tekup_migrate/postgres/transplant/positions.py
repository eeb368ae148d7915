"""Carries over where sequences that no column owns stand; a column's own follow its values (``sequences.py``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import Kind
from tekup_migrate.postgres.comparison.items import Disposition, Item
from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

_OWNED = """
    SELECT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::regclass
        AND d.objid = $1::text::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0)
"""


async def _positions(source: asyncpg.Connection, items: Iterable[Item]) -> dict[Relation, tuple[int, bool]]:
    found = {}
    for item in items:
        relation = Relation(item.key.schema, item.key.name)
        carried = item.kind is Kind.SEQUENCE and item.disposition in (Disposition.MOVES, Disposition.EQUAL)
        if carried and not await source.fetchval(_OWNED, relation.sql):
            row = await source.fetchrow(f"SELECT last_value, is_called FROM {relation.sql}")
            assert row is not None
            found[Relation(item.target.schema, item.target.name)] = (row["last_value"], row["is_called"])
    return found


async def carry_positions(source: asyncpg.Connection, target: asyncpg.Connection, items: Iterable[Item]) -> int:
    """Set each moved sequence that stands alone to the source's position, never back; return how many were set."""
    positions = await _positions(source, items)
    changed = 0
    for relation, (last, called) in positions.items():
        row = await target.fetchrow(f"SELECT last_value, is_called FROM {relation.sql}")
        assert row is not None
        if (row["last_value"], row["is_called"]) < (last, called):
            await target.execute("SELECT pg_catalog.setval($1::text::regclass, $2, $3)", relation.sql, last, called)
            changed += 1
    return changed
