"""What is to be done about the rows of a chunk that differ, by the policy that the operator chose."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from tekup_migrate.postgres.copying import from_both
from tekup_migrate.postgres.differences import RowsApart
from tekup_migrate.postgres.digest import Digest, RowDigest
from tekup_migrate.postgres.keys import Key, among
from tekup_migrate.postgres.outcome import Policy
from tekup_migrate.postgres.quoting import quote_ident
from tekup_migrate.postgres.table import Table, TablePair

if TYPE_CHECKING:
    import asyncpg


@dataclass(frozen=True)
class Comparison:
    """What both sides hold of a chunk.

    Attributes:
        source: the digest of the source's rows.
        target: the digest of the target's rows.
        buckets: into how many buckets the rows were sorted.
        differing: the buckets that differ.
        source_rows: digests of the source's rows in differing buckets, by key; empty when all rows may be sent.
        apart: the rows that differ.
    """

    source: Digest
    target: Digest
    buckets: int = 1
    differing: tuple[int, ...] = ()
    source_rows: dict[Key, RowDigest] = field(default_factory=dict)
    target_rows: dict[Key, RowDigest] = field(default_factory=dict)
    apart: RowsApart = field(default_factory=RowsApart)

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return self.source == self.target


@dataclass(frozen=True)
class Change:
    """What will be done to the target's rows of a chunk.

    Attributes:
        everything: send the whole key range; the target holds none of it or loses all of it.
        clear: delete the target's whole key range first.
        delete: rows to delete.
        replace: rows to overwrite.
        insert: rows to add.
        kept: target rows that stay different by the operator's choice.
        unresolved: rows that nobody decided about.
        held: rows that shall go and stay for now, because others refer to them.
    """

    everything: bool = False
    clear: bool = False
    delete: tuple[Key, ...] = ()
    replace: tuple[Key, ...] = ()
    insert: tuple[Key, ...] = ()
    kept: int = 0
    unresolved: int = 0
    held: int = 0

    @property
    def writes(self) -> bool:
        """Whether anything would be written."""
        return bool(self.everything or self.clear or self.delete or self.replace or self.insert)


@dataclass(frozen=True)
class Decision:
    """Decides about one table's rows.

    Attributes:
        pair: the table.
        policy: whose rows win.
        newest_by: the column that ``Policy.NEWEST`` compares.
    """

    pair: TablePair
    policy: Policy
    newest_by: str

    async def about(self, source: asyncpg.Connection, target: asyncpg.Connection, comparison: Comparison) -> Change:
        """Return what shall be done; reads the rows' ages where those decide."""
        if comparison.is_equal:
            return Change()
        if comparison.target.rows == 0 and not comparison.source_rows:
            return Change(everything=True)
        if not self.pair.key:
            return self._decide_whole(comparison)
        apart = comparison.apart
        if self.policy.source_wins:
            return Change(delete=apart.only_target, replace=apart.changed, insert=apart.only_source)
        conflicts = len(apart.changed) + len(apart.only_target)
        if self.policy is Policy.TARGET:
            fresh = await self._without_twins(target, apart.only_source)
            return Change(insert=fresh, kept=conflicts)
        if self.policy is Policy.NEWEST:
            newer, older = await self._by_age(source, target, apart.changed)
            fresh = await self._without_twins(target, apart.only_source)
            kept = len(older) + len(apart.only_target)
            unresolved = len(apart.changed) - len(newer) - len(older) + len(apart.only_source) - len(fresh)
            return Change(insert=fresh, replace=newer, kept=kept, unresolved=unresolved)
        return Change(unresolved=conflicts) if conflicts else Change(insert=apart.only_source)

    async def _without_twins(self, target: asyncpg.Connection, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        """Leave out keys that the target has, written otherwise: 1.0 and 1.00, a day and 24 hours, two ``citext``."""
        if not keys:
            return ()
        key = self.pair.target.pick(self.pair.key)
        names = ", ".join(f"k{n}" for n in range(len(key)))
        texts = ", ".join(f"pg_catalog.unnest(${n}::text[])" for n in range(1, len(key) + 1))
        same = " AND ".join(
            f"t.{column.sql} {column.type.equals} wanted.k{n}::{column.type.sql}" for n, column in enumerate(key)
        )
        query = f"""
            SELECT {names} FROM ROWS FROM ({texts}) AS wanted({names})
            WHERE EXISTS (SELECT FROM ONLY {self.pair.target.relation.sql} AS t WHERE {same})
        """
        taken = {tuple(row) for row in await target.fetch(query, *(list(column) for column in zip(*keys, strict=True)))}
        return tuple(key for key in keys if key not in taken)

    def _decide_whole(self, comparison: Comparison) -> Change:
        if self.policy.source_wins:
            return Change(everything=True, clear=True)
        if self.policy is Policy.TARGET:
            return Change(kept=comparison.target.rows)
        return Change(unresolved=comparison.target.rows)

    async def _by_age(
        self, source: asyncpg.Connection, target: asyncpg.Connection, keys: tuple[Key, ...]
    ) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
        if not keys:
            return (), ()
        ours, theirs = await from_both(
            self._ages(source, self.pair.source, keys), self._ages(target, self.pair.target, keys)
        )
        both = [key for key in keys if key in ours and key in theirs]
        newer = tuple(key for key in both if ours[key] > theirs[key])
        older = tuple(key for key in both if ours[key] < theirs[key])
        return newer, older

    async def _ages(self, connection: asyncpg.Connection, table: Table, keys: tuple[Key, ...]) -> dict[Key, Decimal]:
        where, values = among(table.pick(self.pair.key), keys)
        texts = ", ".join(f"{column.sql}::text" for column in table.pick(self.pair.key))
        age = f"extract(epoch FROM {quote_ident(self.newest_by)})"
        query = f"SELECT {texts}, {age} FROM ONLY {table.relation.sql} WHERE {where}"
        rows = await connection.fetch(query, *values)
        return {tuple(row)[:-1]: row[-1] for row in rows if row[-1] is not None}
