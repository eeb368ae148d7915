"""What happened to a table's rows on either side since both were last found equal.

Days after the cut-over, the target has a life of its own: rows that differ are expected there, and a row that somebody
forgotten wrote to the source is not. The two are told apart by a *baseline*: digests of both sides' rows, sorted into
buckets by their keys, taken in the last pass. A bucket whose digest is still what it was has not been written to.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tekup_migrate.postgres.chunks import Chunk, ChunkSize, plan_chunks
from tekup_migrate.postgres.differences import RowsApart, sample_rows
from tekup_migrate.postgres.digest import Digest, RowDigests
from tekup_migrate.postgres.keys import Key, KeyRange, among
from tekup_migrate.postgres.listed_chunks import list_chunks
from tekup_migrate.postgres.outcome import MAX_SAMPLES, RowDifference, TableMove
from tekup_migrate.postgres.quoting import quote_ident
from tekup_migrate.postgres.reconcile import read_pair
from tekup_migrate.postgres.side import Side, Snapshot
from tekup_migrate.postgres.table import TablePair

if TYPE_CHECKING:
    import asyncpg

_BUCKETS = 4096
"""A few rows each in a usual table, and some 100 KB of notes."""
_Buckets = dict[int, Digest]


class Baseline(Struct, frozen=True, array_like=True):
    """Both sides of one table in the last pass: per bucket the number of rows and two sums.

    Attributes:
        at: when, by the target's clock.
        shape: the columns and the key that were digested; another shape cannot be compared with.
        source: the source's buckets.
        target: the target's buckets.
    """

    at: dt.datetime
    shape: str
    source: dict[int, tuple[int, int, int]]
    target: dict[int, tuple[int, int, int]]

    def encoded(self) -> bytes:
        """Return it as bytes for a run's memory."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def decoded(kept: bytes) -> Baseline:
        """Return what ``encoded`` gave."""
        return msgspec.msgpack.decode(kept, type=Baseline)


@dataclass(frozen=True)
class Since:
    """What happened to one table since the baseline.

    Attributes:
        move: the table.
        told: whether both sides' changes could be told apart; without, nothing below counts anything.
        named: whether the table has a key, so that rows can be counted and named.
        source_rows: rows at the source now.
        late: rows written to the source since that the target lacks or has otherwise.
        gone: rows deleted from the source since that the target still has, at least.
        new: rows only at the target, written there since.
        changed: rows changed at the target since, as their own ``updated_at`` says.
        unexplained: rows changed at the target since, with no later ``updated_at`` to say by whom.
        missing: rows of the source that the target had and no longer has.
        settled: rows that differed in the last pass already, by the operator's choice.
        samples: some of the late ones, else of the unexplained and missing ones.
    """

    move: TableMove
    told: bool = True
    named: bool = True
    source_rows: int = 0
    late: int = 0
    gone: int = 0
    new: int = 0
    changed: int = 0
    unexplained: int = 0
    missing: int = 0
    settled: int = 0
    samples: tuple[RowDifference, ...] = ()

    @property
    def is_late(self) -> bool:
        """Whether the source was written to since in a way that the target does not show."""
        return bool(self.late or self.gone)

    @property
    def needs_word(self) -> bool:
        """Whether only somebody who knows the app can say that the target's own changes are right."""
        return bool(self.unexplained or self.missing)


async def take_baseline(source: Side, target: Side, move: TableMove) -> Baseline:
    """Digest both sides of a table, the source in its shared snapshot; call it where both were just made equal."""
    pair = await read_pair(source, target, move)
    async with source.snapshot(), _reading(source, target) as (ours, theirs):
        left, right = await _buckets(pair, ours, theirs)
        at = await theirs.fetchval("SELECT pg_catalog.clock_timestamp()")
    return Baseline(at=at, shape=_shape(pair), source=_plain(left), target=_plain(right))


async def look_since(source: Side, target: Side, move: TableMove, baseline: Baseline) -> Since:
    """Compare both sides with each other and with the baseline, reading only.

    Raises:
        TableUnfitError: the two tables no longer fit together.
        asyncpg.PostgresError: a server refused to be read.
    """
    pair = await read_pair(source, target, move)
    if baseline.shape != _shape(pair):
        return Since(move, told=False)
    async with source.snapshot() as snapshot, _reading(source, target) as (ours, theirs):
        left, right = await _buckets(pair, ours, theirs)
        rows = sum(digest.rows for digest in left.values())
        apart = {b for b in left.keys() | right.keys() if left.get(b) != right.get(b)}
        here, there = _plain(left), _plain(right)
        written = {b for b in apart if here.get(b) != baseline.source.get(b)}
        lived = {b for b in apart - written if there.get(b) != baseline.target.get(b)}
        found = Since(move, named=bool(pair.key), source_rows=rows)
        if not pair.key:
            return replace(found, late=int(bool(written)), unexplained=int(bool(lived)))
        look = _Look(pair, snapshot, ours, theirs, baseline.at, found)
        await look.at_late(sorted(written))
        await look.at_life(sorted(lived))
        await look.at_settled(sorted(apart - written - lived))
    # Where a bucket of the source holds fewer rows than it did, that many were deleted there at least.
    fewer = sum(max(0, baseline.source.get(b, (0, 0, 0))[0] - here.get(b, (0, 0, 0))[0]) for b in written)
    gone = min(fewer, look.only_target)
    return replace(look.found, gone=gone, new=look.found.new + look.only_target - gone)


@dataclass
class _Look:
    """Goes through the rows of some buckets and counts what it finds."""

    pair: TablePair
    snapshot: Snapshot
    ours: asyncpg.Connection
    theirs: asyncpg.Connection
    at: dt.datetime
    found: Since
    only_target: int = 0

    async def at_late(self, buckets: Sequence[int]) -> None:
        """Count what differs where the source was written to."""
        async for apart in self._walk(buckets):
            late = len(apart.only_source) + len(apart.changed)
            self.only_target += len(apart.only_target)
            self.found = replace(self.found, late=self.found.late + late)
            await self._sample(replace(apart, only_target=()))

    async def at_life(self, buckets: Sequence[int]) -> None:
        """Count what differs where only the target was written to."""
        async for apart in self._walk(buckets):
            later = await self._later(apart.changed)
            unexplained = tuple(key for key in apart.changed if key not in later)
            self.found = replace(
                self.found,
                new=self.found.new + len(apart.only_target),
                changed=self.found.changed + len(later),
                unexplained=self.found.unexplained + len(unexplained),
                missing=self.found.missing + len(apart.only_source),
            )
            await self._sample(RowsApart(only_source=apart.only_source, changed=unexplained))

    async def at_settled(self, buckets: Sequence[int]) -> None:
        """Count what differed in the last pass and still does."""
        async for apart in self._walk(buckets):
            rows = len(apart.only_source) + len(apart.only_target) + len(apart.changed)
            self.found = replace(self.found, settled=self.found.settled + rows)

    async def _walk(self, buckets: Sequence[int]) -> AsyncIterator[RowsApart]:
        if not buckets:
            return
        source, target = _digests(self.pair)
        async for chunk in self._chunks():
            mine, other = await asyncio.gather(
                source.rows(self.ours, chunk.part, _BUCKETS, buckets),
                target.rows(self.theirs, chunk.part, _BUCKETS, buckets),
            )
            yield RowsApart.between(mine, other)

    def _chunks(self) -> AsyncIterator[Chunk]:
        if self.pair.listed:
            return list_chunks(self.snapshot, self.theirs, self.pair, ChunkSize())
        return plan_chunks(self.snapshot, self.pair.source, self.pair.key, ChunkSize())

    async def _later(self, keys: Sequence[Key]) -> frozenset[Key]:
        """Return the keys of rows whose ``updated_at`` at the target is later than the baseline."""
        table, stamp = self.pair.target, self.found.move.newest_by
        dated = stamp in self.pair.names and table.column(stamp).type.base.name == "timestamptz"
        if not keys or not dated:
            return frozenset()
        where, values = among(table.pick(self.pair.key), keys)
        texts = ", ".join(f"{column.sql}::text" for column in table.pick(self.pair.key))
        newer = f"{quote_ident(stamp)} > ${len(values) + 1}::timestamptz"
        query = f"SELECT {texts} FROM ONLY {table.relation.sql} WHERE {where} AND {newer}"
        return frozenset(tuple(row) for row in await self.theirs.fetch(query, *values, self.at))

    async def _sample(self, apart: RowsApart) -> None:
        room = MAX_SAMPLES - len(self.found.samples)
        if room > 0 and apart:
            more = await sample_rows(self.ours, self.theirs, self.pair, apart, room)
            self.found = replace(self.found, samples=(*self.found.samples, *more))


@asynccontextmanager
async def _reading(source: Side, target: Side) -> AsyncIterator[tuple[asyncpg.Connection, asyncpg.Connection]]:
    async with (
        source.connection() as ours,
        target.connection() as theirs,
        theirs.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield ours, theirs


async def _buckets(pair: TablePair, ours: asyncpg.Connection, theirs: asyncpg.Connection) -> tuple[_Buckets, _Buckets]:
    number = _BUCKETS if pair.key else 1
    source, target = _digests(pair)
    left, right = await asyncio.gather(
        source.buckets(ours, KeyRange(), number), target.buckets(theirs, KeyRange(), number)
    )
    return left, right


def _digests(pair: TablePair) -> tuple[RowDigests, RowDigests]:
    one = RowDigests(pair.source, pair.names, pair.key, pair.hashed)
    return one, replace(one, table=pair.target)


def _plain(buckets: _Buckets) -> dict[int, tuple[int, int, int]]:
    return {bucket: (digest.rows, digest.first, digest.second) for bucket, digest in buckets.items()}


def _shape(pair: TablePair) -> str:
    return f"{_BUCKETS} {pair.hashed} {pair.names!r} {pair.key!r}"
