"""Making a target's rows equal to the source's: copying, resuming, catching up and verifying are this one algorithm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tekup_migrate.errors import MigrationError, PauseRequested
from tekup_migrate.events import ChunkChanged, ChunkState, Event, Progress, Ran, TableStarted
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.chunk_work import ChunkResult, ChunkWork, Report
from tekup_migrate.postgres.chunks import MAX_CHUNK_BYTES, Chunk, ChunkSize, plan_chunks
from tekup_migrate.postgres.clocks import check_ages
from tekup_migrate.postgres.digest import hash_alike
from tekup_migrate.postgres.keys import KeyRange
from tekup_migrate.postgres.listed_chunks import list_chunks
from tekup_migrate.postgres.natural_keys import find_clashes
from tekup_migrate.postgres.outcome import (
    MAX_SAMPLES,
    NaturalKeyClash,
    Policy,
    RowDifference,
    TableMove,
    TableOutcome,
    Tally,
)
from tekup_migrate.postgres.proved_ranges import ProvedRanges
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.recollection import Recollection, recollect
from tekup_migrate.postgres.rejections import RETRIED, explain, refusals, sqlstate
from tekup_migrate.postgres.sequences import advance_sequences
from tekup_migrate.postgres.side import Side, Snapshot
from tekup_migrate.postgres.table import TablePair, pair, read_table, rewritten
from tekup_migrate.postgres.writing import Writer, read_write_mode
from tekup_migrate.steps import Verdict

Emit = Callable[[Event], None]
_ATTEMPTS = 4


async def reconcile(
    source: Side,
    target: Side,
    move: TableMove,
    *,
    write: bool,
    policy: Policy,
    emit: Emit,
    gate: Gate,
    proved: ProvedRanges | None = None,
) -> TableOutcome:
    """Compare a table chunk by chunk and, where ``write`` allows, make the target's rows equal to the source's.

    Open ``source.snapshot()`` around the moves of tables that belong together, parents first: then all of them are
    copied as of one moment. A chunk is committed only when the target's digest, taken in the same transaction, equals
    the source's; an interruption at any point loses at most the chunks in flight, and the next call sends only what is
    not equal yet.

    Args:
        source: only read.
        target: written chunk by chunk when ``write`` is set, and never otherwise.
        move: the table on both sides.
        write: False compares only.
        policy: whose rows win where they differ; ``Policy.OURS`` until the copy is live.
        emit: takes every chunk's state and the progress in rows.
        gate: asked for a pause at every chunk's edge.
        proved: what earlier passes proved equal: a chunk whose row versions are still the same on both sides is not
            read again. Only used where the source wins and rows may be written; a comparison reads every value.

    Raises:
        TableUnfitError: the two tables do not fit together, or rows might be hidden from us, or the source's was
            truncated or rewritten after the snapshot's moment.
        CopyRefusedError: a server refused a chunk.
        CopyDiffersError: what arrived is not what was sent.
        ConnectionFailedError: a connection could not be opened.
        PauseRequested: the gate was closed; finished chunks are kept.
    """
    try:
        async with source.snapshot() as snapshot:
            return await _Reconcile(source, target, snapshot, move, policy, emit, gate, proved).run(write=write)
    except refusals() as error:
        raise explain(error, move.target, KeyRange(), where="a server") from error


async def read_pair(source: Side, target: Side, move: TableMove) -> TablePair:
    """Read both tables and check that they fit together.

    Raises:
        TableUnfitError: they do not.
        ConnectionFailedError: a connection could not be opened.
    """
    async with source.connection() as ours, target.connection() as theirs:
        left = await read_table(ours, move.source, where=source.label)
        right = await read_table(theirs, move.target, where=target.label)
        hashed = await hash_alike(ours, theirs)
    return pair(left, right, hashed=hashed, added=move.added, added_labels=move.added_labels)


@dataclass
class _Pass:
    """One walk over all chunks of a table."""

    work: ChunkWork
    tally: Tally = field(default_factory=Tally)
    samples: list[RowDifference] = field(default_factory=list)
    deferred: list[Chunk] = field(default_factory=list)
    held: list[tuple[Chunk, ChunkResult]] = field(default_factory=list)


@dataclass(frozen=True)
class _Reconcile:
    source: Side
    target: Side
    snapshot: Snapshot
    move: TableMove
    policy: Policy
    emit: Emit
    gate: Gate
    proved: ProvedRanges | None

    async def run(self, *, write: bool) -> TableOutcome:
        """Do the table."""
        began = time.monotonic()
        pair = await read_pair(self.source, self.target, self.move)
        if not await self.snapshot.hold(self.move.source):
            raise rewritten(self.move.source, self.source.label)
        if self.policy is Policy.NEWEST:
            await check_ages(self.source, self.target, self.move, pair)
        name, estimate = self.move.target.label, pair.source
        self.emit(TableStarted(table=name, rows=estimate.rows, bytes=estimate.bytes))
        for note in pair.notes:
            self.emit(Ran(kind="note", text=f"{name} {note}", where=self.target.label))
        empty = await self._is_empty(pair)
        walk, clashes = await self._survey(pair, empty=empty, write=write)
        wrote = False
        if walk is None:
            walk = await self._write(pair)
            wrote = True
        return TableOutcome(
            move=self.move,
            verdict=Verdict.DIFFERS if walk.tally.differing or clashes else Verdict.PASSED,
            tally=walk.tally,
            samples=tuple(walk.samples),
            clashes=clashes,
            notes=pair.notes,
            wrote=wrote,
            seconds=time.monotonic() - began,
        )

    async def _survey(
        self, pair: TablePair, *, empty: bool, write: bool
    ) -> tuple[_Pass | None, tuple[NaturalKeyClash, ...]]:
        """Look before writing where rows could be lost; a pass is returned when it is the last word."""
        if write and (empty or self.policy.source_wins):
            return None, ()
        if write and self.policy is not Policy.REFUSE:
            clashes = await self._clashes(pair)
            return (await self._walk(pair, writer=None), clashes) if clashes else (None, ())
        walk = await self._walk(pair, writer=None)
        differs = walk.tally.conflicts or walk.tally.only_source
        clashes = await self._clashes(pair) if differs and not empty and self.policy is not Policy.OURS else ()
        if write and not clashes and not walk.tally.conflicts:
            return None, ()
        return walk, clashes

    async def _write(self, pair: TablePair) -> _Pass:
        async with self.target.connection() as connection:
            mode = await read_write_mode(connection, pair.target.relation)
        walk = await self._walk(pair, writer=Writer(mode))
        await self._resolve_deferred(walk)
        await self._resolve_held(walk)
        await self._advance_sequences(pair.target.relation)
        return walk

    async def _advance_sequences(self, relation: Relation) -> None:
        async with self.target.connection() as connection:
            for statement in await advance_sequences(connection, relation):
                self.emit(Ran(kind="sql", text=statement, where=self.target.label))

    async def _is_empty(self, pair: TablePair) -> bool:
        async with self.target.connection() as connection:
            query = f"SELECT NOT EXISTS (SELECT FROM ONLY {pair.target.relation.sql})"
            return bool(await connection.fetchval(query))

    async def _clashes(self, pair: TablePair) -> tuple[NaturalKeyClash, ...]:
        async with (
            self.source.connection() as source,
            self.target.connection() as target,
            target.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await find_clashes(source, target, pair)

    async def _walk(self, pair: TablePair, *, writer: Writer | None) -> _Pass:
        walk = _Pass(
            ChunkWork(
                pair,
                self.policy,
                writer=writer,
                newest_by=self.move.newest_by,
                recollection=await self._recollect(pair) if writer is not None else None,
            )
        )
        size = ChunkSize()
        workers = min(self.source.connections - 1, self.target.connections)
        queue: asyncio.Queue[Chunk | None] = asyncio.Queue(workers)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(walk, queue, size))
                group.create_task(self._feed(walk, queue, size, workers))
        except BaseExceptionGroup as failed:
            raise _first(failed) from None
        self.gate.check()
        return walk

    async def _recollect(self, pair: TablePair) -> Recollection | None:
        if self.proved is None or not self.policy.source_wins:
            return None
        return await recollect(self.proved, self.source, self.target, pair)

    async def _feed(self, walk: _Pass, queue: asyncio.Queue[Chunk | None], size: ChunkSize, workers: int) -> None:
        async with self._planning(walk.work, size) as chunks:
            async for chunk in chunks:
                # Chunks in flight are finished, not thrown away: a pause costs at most a second.
                if self.gate.pausing:
                    break
                if chunk.proved is None:
                    await queue.put(chunk)
                    continue
                self._reporter(chunk)(ChunkState.VERIFIED, chunk.rows, 0)
                self._count(walk, ChunkResult(Tally(chunks=1, equal=1, source=chunk.proved, target=chunk.proved)))
        for _ in range(workers):
            await queue.put(None)

    @asynccontextmanager
    async def _planning(self, work: ChunkWork, size: ChunkSize) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Cut the larger side into chunks, so that neither side's part of a chunk grows without bounds."""
        pair = work.pair
        by_source = not pair.listed and pair.target.bytes <= 2 * pair.source.bytes + MAX_CHUNK_BYTES
        if by_source and work.recollection is None:
            yield plan_chunks(self.snapshot, pair.source, pair.key, size)
            return
        async with (
            self.target.connection() as keeper,
            keeper.transaction(isolation="repeatable_read", readonly=True),
        ):
            if pair.listed:
                yield list_chunks(self.snapshot, keeper, pair, size)
                return
            cut = (self.snapshot, pair.source) if by_source else (Snapshot(keeper, ""), pair.target)

            def plan(within: KeyRange) -> AsyncIterator[Chunk]:
                """Cut a key range into chunks of the larger side."""
                return plan_chunks(*cut, pair.key, size, within)

            if work.recollection is None:
                yield plan(KeyRange())
            else:
                yield work.recollection.chunks(self.snapshot, keeper, plan)

    async def _work(self, walk: _Pass, queue: asyncio.Queue[Chunk | None], size: ChunkSize) -> None:
        while (chunk := await queue.get()) is not None:
            if self.gate.pausing:
                continue
            began = time.monotonic()
            result = await self._attempt(walk, chunk)
            if result is None:
                walk.deferred.append(chunk)
                continue
            size.learn(chunk.weight, time.monotonic() - began)
            self._keep(walk, chunk, result)
            if walk.work.recollection is not None and result.marks is not None:
                walk.work.recollection.keep(chunk, result.tally.source, result.marks)

    def _keep(self, walk: _Pass, chunk: Chunk, result: ChunkResult) -> None:
        if result.tally.held:
            walk.held.append((chunk, result))
        else:
            self._count(walk, result)

    def _count(self, walk: _Pass, result: ChunkResult) -> None:
        walk.tally += result.tally
        walk.samples += result.samples[: MAX_SAMPLES - len(walk.samples)]
        rows = walk.tally.source.rows
        total = max(walk.work.pair.source.rows, rows)
        self.emit(Progress(label=self.move.target.label, done=rows, total=total, unit="rows"))

    async def _attempt(self, walk: _Pass, chunk: Chunk) -> ChunkResult | None:
        """Do a chunk, again when others wrote its rows meanwhile; None when a key is taken by another chunk's row."""
        report = self._reporter(chunk)
        for attempt in range(_ATTEMPTS):
            try:
                async with self.source.connection() as source, self.target.connection() as target:
                    samples = MAX_SAMPLES - len(walk.samples)
                    return await walk.work.run(source, target, chunk, report, samples)
            except refusals() as error:
                state = sqlstate(error)
                if state in RETRIED and attempt + 1 < _ATTEMPTS:
                    continue
                deferred = walk.work.may_wait_for_others(state)
                report(ChunkState.WAITING if deferred else ChunkState.DIFFERS, max(chunk.rows, 0), 0)
                if deferred:
                    return None
                raise explain(error, self.move.target, chunk.part, rules=walk.work.pair.target.rules) from error
        raise AssertionError("the last attempt returns or raises")

    async def _resolve_deferred(self, walk: _Pass) -> None:
        """Do the chunks again that ran into another chunk's rows: one by one while that helps, then all at once."""
        while walk.deferred:
            waiting, walk.deferred = sorted(walk.deferred, key=lambda chunk: chunk.index), []
            for chunk in waiting:
                self.gate.check()
                result = await self._attempt(walk, chunk)
                if result is None:
                    walk.deferred.append(chunk)
                else:
                    self._keep(walk, chunk, result)
            if len(walk.deferred) == len(waiting):
                await self._together(walk)

    async def _resolve_held(self, walk: _Pass) -> None:
        """Delete rows whose last referrer in this table has gone meanwhile, as long as that helps."""
        while walk.held:
            waiting, walk.held = walk.held, []
            for chunk, before in waiting:
                self.gate.check()
                again = await self._attempt(walk, chunk)
                self._keep(walk, chunk, before if again is None else before.then(again))
            if sum(result.tally.held for _, result in walk.held) == sum(r.tally.held for _, r in waiting):
                break
        for _, result in walk.held:
            self._count(walk, result)

    async def _together(self, walk: _Pass) -> None:
        chunks, walk.deferred = walk.deferred, []
        whole = KeyRange(chunks[0].part.low, chunks[-1].part.high)
        try:
            async with self.source.connection() as source, self.target.connection() as target:
                tallies = await walk.work.run_together(source, target, chunks)
        except refusals() as error:
            raise explain(error, self.move.target, whole, rules=walk.work.pair.target.rules) from error
        for chunk, tally in zip(chunks, tallies, strict=True):
            state = ChunkState.WAITING if tally.held else ChunkState.VERIFIED
            self._reporter(chunk)(state, tally.source.rows, tally.sent.bytes)
            self._keep(walk, chunk, ChunkResult(tally))

    def _reporter(self, chunk: Chunk) -> Report:
        def report(state: ChunkState, rows: int, sent: int) -> None:
            """Tell the listener how far this chunk is."""
            table = self.move.target.label
            self.emit(ChunkChanged(table=table, index=chunk.index, state=state, rows=rows, bytes=sent))

        return report


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that matters most to the operator, where several workers failed at once."""
    found = [_first(error) if isinstance(error, BaseExceptionGroup) else error for error in failed.exceptions]
    for kind in (MigrationError, PauseRequested):
        for error in found:
            if isinstance(error, kind):
                return error
    return found[0]
