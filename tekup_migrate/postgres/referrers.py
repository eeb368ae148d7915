"""Rows that other rows refer to are never deleted: a cascade would take those along, silenced triggers orphan them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.foreign_keys import ForeignKey
from tekup_migrate.postgres.keys import Key, among
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.table import Column

if TYPE_CHECKING:
    import asyncpg


@dataclass(frozen=True)
class Referrers:
    """The foreign keys that point at a table, its own among them."""

    relation: Relation
    keys: tuple[ForeignKey, ...]

    async def holding(
        self, connection: asyncpg.Connection, key: Sequence[Column], rows: Sequence[Key]
    ) -> frozenset[Key]:
        """Return those of ``rows`` that must stay when all others go, because rows that stay refer to them.

        Args:
            connection: to the table's database.
            key: the key's columns on that side.
            rows: keys of rows that are to be deleted in one statement.
        """
        held, going = frozenset[Key](), tuple(rows)
        while self.keys and going:
            found = await self._referred(connection, key, going)
            if not found:
                break
            held, going = held | found, tuple(row for row in going if row not in found)
        return held

    async def any(self, connection: asyncpg.Connection) -> bool:
        """Whether a row of another table refers to any row at all."""
        others = [one for one in self.keys if one.child != self.relation]
        referring = " OR ".join(f"EXISTS (SELECT FROM {one.child.sql} AS c WHERE {one.filled('c')})" for one in others)
        return bool(others and await connection.fetchval(f"SELECT {referring}"))

    async def _referred(
        self, connection: asyncpg.Connection, key: Sequence[Column], going: Sequence[Key]
    ) -> frozenset[Key]:
        where, values = among(key, going)
        texts = ", ".join(f"p.{column.sql}::text" for column in key)
        referring = " OR ".join(f"EXISTS ({self._rows_of(one, where)})" for one in self.keys)
        query = f"SELECT {texts} FROM ONLY {self.relation.sql} AS p WHERE {where} AND ({referring})"
        return frozenset(tuple(row) for row in await connection.fetch(query, *values))

    def _rows_of(self, one: ForeignKey, going: str) -> str:
        # Rows of the same table that go in the same statement hold nothing back.
        staying = f" AND NOT ({going})" if one.child == self.relation else ""
        return f"SELECT FROM {one.child.sql} AS c WHERE {one.joined('p', 'c')}{staying}"


class StillReferredError(MigrationError):
    """Rows that shall go are referred to by rows that stay; none of either was touched."""


def still_referred(relation: Relation, referrers: Referrers, held: int = 0) -> StillReferredError:
    """Say which foreign keys keep how many rows of a table from being deleted (0: not counted)."""
    named = ", ".join(f"{one.child} ({one.name})" for one in referrers.keys)
    return StillReferredError(
        f"Rows of {relation} are still referred to",
        happened=f"{f'{held:,}' if held else 'The'} rows of {relation} that the source does not have would be deleted,"
        f" but rows of {named} refer to them.",
        unchanged="They were not deleted, and neither were the rows that refer to them. Everything else is kept.",
        remedy="Delete or change the rows that refer to them if they may go, then start this step again.",
    )
