"""Leaving out of a pass what an earlier one proved equal and nobody has touched since."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tekup_migrate.postgres.chunks import Chunk
from tekup_migrate.postgres.copying import from_both
from tekup_migrate.postgres.digest import Digest
from tekup_migrate.postgres.keys import KeyRange
from tekup_migrate.postgres.proved_ranges import Marks, Proved, ProvedRanges, ProvedTable
from tekup_migrate.postgres.row_versions import RowVersions, read_home
from tekup_migrate.postgres.side import Side, Snapshot
from tekup_migrate.postgres.table import TablePair

if TYPE_CHECKING:
    import asyncpg

Planning = Callable[[KeyRange], AsyncIterator[Chunk]]
"""Cuts a key range into chunks."""


async def recollect(proved: ProvedRanges, source: Side, target: Side, pair: TablePair) -> Recollection | None:
    """Return what is remembered of a table; None where row versions do not tell whether rows are the same.

    A table without a key has no ranges, one that is cut into lists of keys has too many, and what a composite or a
    type that carries OIDs shows depends on other rows than its own.
    """
    if not pair.key or pair.listed or not pair.binary:
        return None
    if any(column.type.has_fields for table in (pair.source, pair.target) for column in table.columns):
        return None
    async with source.connection() as ours, target.connection() as theirs:
        homes = [await read_home(ours, pair.source.relation), await read_home(theirs, pair.target.relation)]
    if None in homes:
        return None
    home = f"{source.label} {homes[0]} {target.label} {homes[1]} {pair.names} {pair.key} {pair.hashed}"
    return Recollection(
        table=proved.table(f"{pair.source.relation} {pair.target.relation}", home),
        source=RowVersions(pair.source, pair.key, pair.hashed),
        target=RowVersions(pair.target, pair.key, pair.hashed),
    )


@dataclass(frozen=True)
class Recollection:
    """What is remembered of one table, and how to see whether it still holds.

    Attributes:
        table: the ranges.
        source: reads the source's row versions.
        target: reads the target's.
    """

    table: ProvedTable
    source: RowVersions
    target: RowVersions

    async def chunks(self, snapshot: Snapshot, target: asyncpg.Connection, plan: Planning) -> AsyncIterator[Chunk]:
        """Yield the chunks of the whole table in key order; those with ``proved`` set need no comparison.

        Args:
            snapshot: the moment of the source that is copied.
            target: sees the target as it is now.
            plan: cuts what is not remembered, or not untouched, into chunks.
        """
        index, low, major, ended = 0, None, 0, False
        for batch in self.table.batches():
            untouched = await self._untouched(snapshot, target, batch)
            for each in batch:
                if each not in untouched:
                    self.table.drop(each)
                    continue
                if each.part.low != low:
                    async for chunk in _placed(plan(KeyRange(low, each.part.low)), index, major):
                        yield chunk
                        index = chunk.index + 1
                yield Chunk(index, each.part, each.digest.rows, 0, each.place, each.digest)
                index, low, major, ended = index + 1, each.part.high, each.place[0], each.part.high is None
        if not ended:
            async for chunk in _placed(plan(KeyRange(low, None)), index, major):
                yield chunk

    async def _untouched(self, snapshot: Snapshot, target: asyncpg.Connection, batch: list[Proved]) -> list[Proved]:
        parts = [each.part for each in batch]
        async with snapshot.lock:
            marks = await from_both(self.source.of(snapshot.keeper, parts), self.target.of(target, parts))
        return [each for each, *now in zip(batch, *marks, strict=True) if each.marks == Marks(*now)]

    async def marks(self, source: asyncpg.Connection, target: asyncpg.Connection, chunk: Chunk) -> Marks:
        """Return the row versions that a chunk has now, as these two transactions see it."""
        ours, theirs = await from_both(self.source.of(source, [chunk.part]), self.target.of(target, [chunk.part]))
        return Marks(ours[0], theirs[0])

    def keep(self, chunk: Chunk, digest: Digest, marks: Marks) -> None:
        """Remember a chunk that was proved equal, now that its transaction is committed."""
        self.table.keep(Proved(chunk.place, chunk.part, digest, marks))


async def _placed(chunks: AsyncIterator[Chunk], index: int, major: int) -> AsyncIterator[Chunk]:
    """Number chunks on from ``index``, and place them behind the range with this number."""
    minor = 0
    async for chunk in chunks:
        minor += 1
        yield replace(chunk, index=index + minor - 1, place=(major, minor))
