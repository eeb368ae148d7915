"""One chunk: compared, decided upon, copied and proved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError
from tekup_migrate.events import ChunkState
from tekup_migrate.postgres.carried_digest import CarriedDigest
from tekup_migrate.postgres.chunks import Chunk
from tekup_migrate.postgres.copying import Sent, from_both, from_source, stream
from tekup_migrate.postgres.decision import Change, Comparison, Decision
from tekup_migrate.postgres.differences import RowsApart, sample_rows
from tekup_migrate.postgres.digest import MAX_BUCKETS, Digest, RowDigest, RowDigests
from tekup_migrate.postgres.keys import Key, KeyRange, among, among_literal
from tekup_migrate.postgres.outcome import Policy, RowDifference, Tally
from tekup_migrate.postgres.proved_ranges import Marks
from tekup_migrate.postgres.quoting import Relation, quote_ident, quote_idents
from tekup_migrate.postgres.recollection import Recollection
from tekup_migrate.postgres.referrers import still_referred
from tekup_migrate.postgres.rejections import EXCLUSION_VIOLATION, FOREIGN_KEY_VIOLATION, UNIQUE_VIOLATION
from tekup_migrate.postgres.table import TablePair
from tekup_migrate.postgres.writing import Writer

if TYPE_CHECKING:
    import asyncpg

_BUCKET_ROWS = 16
_WIDE_ROW_BYTES = 2000
"""From here on Postgres compresses values or stores them apart (``TOAST_TUPLE_THRESHOLD``), and to read a row again
costs more than to add its digest up on the way; measured with rows of 30 to 6 000 bytes."""
_STAGE = Relation("pg_temp", "tekup_stage")
_ROLE_PATH = "SET LOCAL search_path TO DEFAULT"
"""Constraints and index expressions may call functions that rely on the role's own ``search_path``."""
_OUR_PATH = "SET LOCAL search_path TO ''"

Report = Callable[[ChunkState, int, int], None]
"""Told a chunk's state, its rows, and the bytes sent for it."""


class CopyDiffersError(MigrationError):
    """What arrived is not what was sent; the chunk was rolled back."""


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk.

    Attributes:
        tally: the counts.
        samples: some of the rows that differed.
        marks: the row versions of both sides where they are equal now, None where that is not remembered.
    """

    tally: Tally
    samples: tuple[RowDifference, ...] = ()
    marks: Marks | None = None

    def then(self, later: ChunkResult) -> ChunkResult:
        """Return what became of the chunk in both attempts together."""
        first, last = self.tally, later.tally
        both = replace(
            last,
            equal=0,
            copied=int(not last.differing),
            sent=first.sent + last.sent,
            deleted=first.deleted + last.deleted,
            only_source=first.only_source,
            only_target=first.only_target,
            changed=first.changed,
        )
        return ChunkResult(both, self.samples)


class ChunkWork:
    """Compares and, where allowed, writes the chunks of one table."""

    def __init__(
        self,
        pair: TablePair,
        policy: Policy,
        *,
        writer: Writer | None,
        newest_by: str,
        recollection: Recollection | None = None,
    ) -> None:
        self.pair = pair
        self.writer = writer
        self.recollection = recollection
        self._policy = policy
        self._decision = Decision(pair, policy, newest_by)
        self._source = RowDigests(pair.source, pair.names, pair.key, pair.hashed)
        self._target = RowDigests(pair.target, pair.names, pair.key, pair.hashed)
        self._carried = CarriedDigest(pair.source, pair.names, pair.written, pair.hashed)

    def may_wait_for_others(self, state: str) -> bool:
        """Whether an error of the target may be gone once other chunks of the table are done."""
        if self.writer is None:
            return False
        if state in (UNIQUE_VIOLATION, EXCLUSION_VIOLATION):
            return True
        return state == FOREIGN_KEY_VIOLATION and self.writer.mode.refers_to_itself

    async def run(
        self,
        source: asyncpg.Connection,
        target: asyncpg.Connection,
        chunk: Chunk,
        report: Report,
        samples: int,
    ) -> ChunkResult:
        """Do one chunk in one target transaction.

        Args:
            source: in the snapshot's transaction.
            target: outside any transaction.
            chunk: the key range.
            report: told the chunk's state as it changes.
            samples: how many differing rows to describe.

        Raises:
            CopyDiffersError: the target's rows are not the source's after the copy.
            asyncpg.PostgresError, SourceReadError: a server refused.
        """
        report(ChunkState.COMPARING, max(chunk.rows, 0), 0)
        if self.writer is None:
            return await self._look(source, target, chunk, report, samples)
        async with self.writer.transaction(target):
            bare = await self._is_bare(target, chunk)
            if bare and self._is_carried(chunk):
                result = await self._fill(source, target, chunk, report)
            else:
                result = await self._settle(source, target, chunk, report, samples, bare=bare)
            # Here, the target's versions are those that were proved: nobody else's are seen.
            marks = await self._marks(source, target, chunk, result.tally)
        report(_state(result.tally), result.tally.source.rows, result.tally.sent.bytes)
        return replace(result, marks=marks)

    async def _is_bare(self, target: asyncpg.Connection, chunk: Chunk) -> bool:
        """Whether the target holds nothing of a chunk, in the moment that this transaction sees."""
        return not self._policy.by_row and not await self._target.any(target, chunk.part)

    def _is_carried(self, chunk: Chunk) -> bool:
        """Whether a chunk that the target holds nothing of is better digested as it is copied than before."""
        return self.pair.binary and chunk.row_bytes >= _WIDE_ROW_BYTES

    async def _fill(
        self, source: asyncpg.Connection, target: asyncpg.Connection, chunk: Chunk, report: Report
    ) -> ChunkResult:
        """Send all of a chunk that the target holds nothing of; the source reads it once."""
        report(ChunkState.COPYING, chunk.rows, 0)
        await from_both(self._carried.begin(source), target.execute(_ROLE_PATH))
        query = self._carried.query(chunk.part.where_literal(self.pair.source.pick(self.pair.key)))
        sent = await stream(source, query, target, self.pair.target.relation, self.pair.written, binary=True)
        digest = await from_source(self._carried.end(source, sent.rows))
        comparison, change = Comparison(digest, Digest()), Change(everything=True)
        await self._prove(source, target, chunk, comparison, change)
        return ChunkResult(self._tally(comparison, change, sent, wrote=True))

    async def _settle(
        self,
        source: asyncpg.Connection,
        target: asyncpg.Connection,
        chunk: Chunk,
        report: Report,
        samples: int,
        *,
        bare: bool,
    ) -> ChunkResult:
        """Compare a chunk on both sides, and send what the target lacks."""
        comparison = await self._compare(source, target, chunk, bare=bare)
        change = await self._decide(source, target, comparison)
        described = await self._describe(source, target, comparison, samples)
        sent = Sent()
        if change.writes:
            report(ChunkState.COPYING, comparison.source.rows, 0)
            sent = await self._write(source, target, chunk, change)
            await self._prove(source, target, chunk, comparison, change)
        return ChunkResult(self._tally(comparison, change, sent, wrote=change.writes), described)

    async def _marks(
        self, source: asyncpg.Connection, target: asyncpg.Connection, chunk: Chunk, tally: Tally
    ) -> Marks | None:
        if self.recollection is None or tally.source != tally.target:
            return None
        return await self.recollection.marks(source, target, chunk)

    async def run_together(
        self, source: asyncpg.Connection, target: asyncpg.Connection, chunks: Sequence[Chunk]
    ) -> list[Tally]:
        """Do several chunks in one transaction, all deletions first: for rows that swapped a unique value.

        Raises:
            CopyDiffersError, asyncpg.PostgresError, SourceReadError: as ``run``.
        """
        if self.writer is None:
            raise ValueError("only a write can be deferred")
        async with self.writer.transaction(target):
            compared = [await self._compare(source, target, chunk) for chunk in chunks]
            work = [
                (chunk, comparison, await self._decide(source, target, comparison))
                for chunk, comparison in zip(chunks, compared, strict=True)
            ]
            await target.execute(_ROLE_PATH)
            for _, _, change in work:
                await self._delete(target, change)
            sent = [await self._send(source, target, chunk, change) for chunk, _, change in work]
            for chunk, comparison, change in work:
                await self._prove(source, target, chunk, comparison, change)
        return [
            self._tally(comparison, change, one, wrote=change.writes)
            for (_, comparison, change), one in zip(work, sent, strict=True)
        ]

    async def _look(
        self, source: asyncpg.Connection, target: asyncpg.Connection, chunk: Chunk, report: Report, samples: int
    ) -> ChunkResult:
        async with target.transaction(isolation="repeatable_read", readonly=True):
            comparison = await self._compare(source, target, chunk)
            change = await self._decision.about(source, target, comparison)
            described = await self._describe(source, target, comparison, samples)
        tally = self._tally(comparison, change, Sent(), wrote=False)
        report(_state(tally), comparison.source.rows, 0)
        return ChunkResult(tally, described)

    async def _compare(
        self, source: asyncpg.Connection, target: asyncpg.Connection, chunk: Chunk, *, bare: bool = False
    ) -> Comparison:
        if bare:
            ours = await from_source(self._source.buckets(source, chunk.part, 1))
            return Comparison(sum(ours.values(), Digest()), Digest())
        wanted = 1 if not self.pair.key else min(MAX_BUCKETS, max(1, chunk.rows // _BUCKET_ROWS))
        ours, theirs = await from_both(
            self._source.buckets(source, chunk.part, wanted), self._target.buckets(target, chunk.part, wanted)
        )
        differing = tuple(b for b in sorted(ours.keys() | theirs.keys()) if ours.get(b) != theirs.get(b))
        totals = sum(ours.values(), Digest()), sum(theirs.values(), Digest())
        if not differing or not self.pair.key or not (theirs or self._policy.by_row):
            return Comparison(*totals, buckets=wanted, differing=differing)
        mine, other = await from_both(
            self._source.rows(source, chunk.part, wanted, differing),
            self._target.rows(target, chunk.part, wanted, differing),
        )
        return Comparison(
            *totals,
            buckets=wanted,
            differing=differing,
            source_rows=mine,
            target_rows=other,
            apart=RowsApart.between(mine, other),
        )

    async def _decide(self, source: asyncpg.Connection, target: asyncpg.Connection, comparison: Comparison) -> Change:
        """Decide what to write; a row that others refer to is not deleted before those are gone."""
        assert self.writer is not None, "only a write is decided upon here"
        change = await self._decision.about(source, target, comparison)
        referrers = self.writer.mode.referrers
        if change.clear and not self.writer.mode.replica and await referrers.any(target):
            raise still_referred(self.pair.target.relation, referrers)
        held = await referrers.holding(target, self.pair.target.pick(self.pair.key), change.delete)
        if not held:
            return change
        return replace(change, delete=tuple(key for key in change.delete if key not in held), held=len(held))

    async def _describe(
        self, source: asyncpg.Connection, target: asyncpg.Connection, comparison: Comparison, samples: int
    ) -> tuple[RowDifference, ...]:
        if samples <= 0 or not comparison.apart:
            return ()
        return await sample_rows(source, target, self.pair, comparison.apart, samples)

    async def _write(
        self, source: asyncpg.Connection, target: asyncpg.Connection, chunk: Chunk, change: Change
    ) -> Sent:
        await target.execute(_ROLE_PATH)
        await self._delete(target, change)
        return await self._send(source, target, chunk, change)

    async def _delete(self, target: asyncpg.Connection, change: Change) -> None:
        table = self.pair.target
        if change.clear:
            await target.execute(f"DELETE FROM ONLY {table.relation.sql}")
        gone = change.delete if self._updates else change.delete + change.replace
        if gone:
            where, values = among(table.pick(self.pair.key), gone)
            await target.execute(f"DELETE FROM ONLY {table.relation.sql} WHERE {where}", *values)

    async def _send(self, source: asyncpg.Connection, target: asyncpg.Connection, chunk: Chunk, change: Change) -> Sent:
        key = self.pair.source.pick(self.pair.key)
        if change.everything:
            return await self._stream(source, target, chunk.part.where_literal(key), self.pair.target.relation)
        fresh = change.insert if self._updates else change.insert + change.replace
        sent = Sent()
        if fresh:
            where = among_literal(key, fresh)
            sent += await self._stream(source, target, where, self.pair.target.relation)
        if self._updates and change.replace:
            sent += await self._update(source, target, among_literal(key, change.replace))
        return sent

    @property
    def _updates(self) -> bool:
        return self.writer is not None and self.writer.mode.replaces_by_update

    async def _update(self, source: asyncpg.Connection, target: asyncpg.Connection, where: str) -> Sent:
        relation, key = self.pair.target.relation, self.pair.key
        columns = quote_idents(self.pair.written)
        await target.execute(
            f"CREATE TEMP TABLE {_STAGE.name} ON COMMIT DROP AS SELECT {columns} FROM {relation.sql} WITH NO DATA"
        )
        sent = await self._stream(source, target, where, _STAGE)
        # GENERATED ALWAYS AS IDENTITY takes no UPDATE; a difference there is found by the proof that follows.
        always = {column.name for column in self.pair.target.columns if column.always_identity}
        changed = [name for name in self.pair.written if name not in key and name not in always]
        assigned = ", ".join(f"{quote_ident(name)} = stage.{quote_ident(name)}" for name in changed)
        joined = " AND ".join(f"t.{k.sql} {k.type.equals} stage.{k.sql}" for k in self.pair.target.pick(key))
        await target.execute(
            f"UPDATE ONLY {relation.sql} AS t SET {assigned} FROM pg_temp.{_STAGE.name} AS stage WHERE {joined}"
        )
        await target.execute(f"DROP TABLE pg_temp.{_STAGE.name}")
        return sent

    async def _stream(self, source: asyncpg.Connection, target: asyncpg.Connection, where: str, into: Relation) -> Sent:
        written = self.pair.written
        query = f"SELECT {quote_idents(written)} FROM ONLY {self.pair.source.relation.sql} WHERE {where}"
        return await stream(source, query, target, into, written, binary=self.pair.binary)

    async def _prove(
        self,
        source: asyncpg.Connection,
        target: asyncpg.Connection,
        chunk: Chunk,
        comparison: Comparison,
        change: Change,
    ) -> None:
        if not change.writes:
            return
        if not self.pair.binary:
            await target.execute(_OUR_PATH)
        if change.everything:
            arrived = sum((await self._target.buckets(target, chunk.part, 1)).values(), Digest())
            if arrived == comparison.source:
                return
            ours = await from_source(self._source.rows(source, chunk.part, 1, ())) if self.pair.key else {}
            theirs = await self._target.rows(target, chunk.part, 1, ()) if self.pair.key else {}
        else:
            ours = self._expected(comparison, change)
            theirs = await self._target.rows(target, chunk.part, comparison.buckets, comparison.differing)
            if ours == theirs:
                return
        apart = RowsApart.between(ours, theirs)
        found = await sample_rows(source, target, self.pair, apart, 5) if self.pair.key else ()
        raise self._differs(chunk.part, found)

    def _expected(self, comparison: Comparison, change: Change) -> dict[Key, RowDigest]:
        arriving = {key: comparison.source_rows[key] for key in (*change.insert, *change.replace)}
        staying = {key: row for key, row in comparison.target_rows.items() if key not in set(change.delete)}
        return staying | arriving

    def _differs(self, part: KeyRange, found: tuple[RowDifference, ...]) -> CopyDiffersError:
        columns = sorted({column.name for row in found for column in row.columns})
        named = f" in {', '.join(columns)}" if columns else ""
        return CopyDiffersError(
            f"{self.pair.target.relation} did not become equal",
            happened=f"After copying the key range {part}, {self.pair.target.relation} differs from the source{named}.",
            unchanged="This chunk was rolled back. Chunks and tables finished before it are kept and proved.",
            remedy="Look for a generated column, a rule or a trigger that computes these columns differently.",
            details="\n".join(str(row) for row in found),
        )

    def _tally(self, comparison: Comparison, change: Change, sent: Sent, *, wrote: bool) -> Tally:
        apart = comparison.apart
        blocked = change.unresolved > 0 or change.held > 0 or (change.writes and not wrote)
        whole = not self.pair.key and not comparison.is_equal and comparison.target.rows > 0
        return Tally(
            chunks=1,
            equal=int(comparison.is_equal or (not wrote and not blocked)),
            copied=int(wrote and not blocked),
            differing=int(blocked),
            sent=sent,
            deleted=(comparison.target.rows if change.clear else len(change.delete)) if wrote else 0,
            kept=change.kept,
            only_source=comparison.source.rows if comparison.target.rows == 0 else len(apart.only_source),
            only_target=comparison.target.rows if whole else len(apart.only_target),
            changed=len(apart.changed),
            unresolved=change.unresolved,
            held=change.held,
            source=comparison.source,
            target=comparison.source if wrote and not change.kept and not blocked else comparison.target,
        )


def _state(tally: Tally) -> ChunkState:
    if tally.held:
        return ChunkState.WAITING
    return ChunkState.DIFFERS if tally.differing else ChunkState.VERIFIED
