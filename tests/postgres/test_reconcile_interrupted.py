"""Pauses, cut connections, writers at the same time: the data itself is the checkpoint."""

from __future__ import annotations

import asyncio
import random

import pytest
from asyncpg.exceptions import LockNotAvailableError

from tekup_migrate.errors import PauseRequested
from tekup_migrate.events import ChunkChanged, ChunkState, Event
from tekup_migrate.postgres.copying import stream
from tekup_migrate.postgres.outcome import Policy, TableMove
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.reconcile import reconcile
from tekup_migrate.postgres.rejections import CopyRefusedError
from tekup_migrate.postgres.table import TableUnfitError
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair

ROWS = 40_000
MOVE = TableMove(source=Relation("public", "notes"), target=Relation("public", "notes"))


@pytest.fixture
async def notes(sides: Pair) -> Pair:
    await sides.on_both("CREATE TABLE notes (id int PRIMARY KEY, code text UNIQUE, body text)")
    await sides.on_source(
        f"INSERT INTO notes SELECT n, 'c' || n, repeat(md5(n::text), 20) FROM generate_series(1, {ROWS}) AS n"
    )
    return sides


async def _rows_on_target(sides: Pair) -> int:
    return len((await sides.contents("notes"))[1])


async def test_a_pause_keeps_finished_chunks_and_the_resume_sends_only_the_rest(notes: Pair) -> None:
    def pause_after_three(event: Event) -> None:
        notes.events.append(event)
        verified = sum(e.state is ChunkState.VERIFIED for e in notes.chunk_events())
        if verified == 3:
            notes.gate.request()

    with pytest.raises(PauseRequested):
        await reconcile(
            notes.source, notes.target, MOVE, write=True, policy=Policy.OURS, emit=pause_after_three, gate=notes.gate
        )
    kept = await _rows_on_target(notes)
    finished = [event for event in notes.chunk_events() if event.state is ChunkState.VERIFIED]
    assert 0 < kept < ROWS
    assert kept == sum(event.rows for event in finished)
    notes.gate.open()
    outcome = await notes.reconcile("notes")
    assert outcome.verdict is Verdict.PASSED
    assert outcome.tally.sent.rows == ROWS - kept
    await notes.assert_equal("notes")


@pytest.mark.parametrize("which", ["source", "target"])
async def test_a_connection_cut_in_the_middle_names_the_range_and_is_resumed(notes: Pair, which: str) -> None:
    database = notes.source_database if which == "source" else notes.target_database
    cut = asyncio.Event()

    def watch(event: Event) -> None:
        notes.events.append(event)
        if isinstance(event, ChunkChanged) and event.state is ChunkState.VERIFIED:
            cut.set()

    running = asyncio.create_task(
        reconcile(notes.source, notes.target, MOVE, write=True, policy=Policy.OURS, emit=watch, gate=notes.gate)
    )
    await cut.wait()
    await _end_our_backends(database)
    with pytest.raises(CopyRefusedError) as refused:
        await running
    assert "notes" in refused.value.title
    assert "key range" in refused.value.happened
    kept = await _rows_on_target(notes)
    assert 0 < kept < ROWS
    outcome = await notes.reconcile("notes")
    assert outcome.tally.sent.rows == ROWS - kept
    await notes.assert_equal("notes")


async def _end_our_backends(database: SupabaseDatabase, how: str = "pg_terminate_backend") -> None:
    connection = await database.connect()
    try:
        await connection.execute(
            f"SELECT {how}(pid) FROM pg_stat_activity "
            "WHERE application_name = 'tekup-migrate' AND datname = current_database() "
        )
    finally:
        await connection.close()


@pytest.mark.parametrize("which", ["source", "target"])
async def test_a_cancelled_statement_is_named_as_such_and_the_copy_goes_on_afterwards(notes: Pair, which: str) -> None:
    database = notes.source_database if which == "source" else notes.target_database
    running = asyncio.create_task(notes.reconcile("notes"))
    while not running.done():
        await asyncio.sleep(0.02)
        await _end_our_backends(database, "pg_cancel_backend")
    with pytest.raises(CopyRefusedError, match="cancelled a statement"):
        await running
    assert (await notes.reconcile("notes")).verdict is Verdict.PASSED
    await notes.assert_equal("notes")


async def test_a_copy_that_is_broken_off_closes_what_it_read_from(notes: Pair) -> None:
    query = "SELECT n, n::text, repeat('x', 900) FROM pg_catalog.generate_series(1, 1000000) AS n"
    columns = ("id", "code", "body")
    async with notes.source.connection() as source, notes.target.connection() as target:
        copying = asyncio.create_task(stream(source, query, target, MOVE.target, columns, binary=False))
        await asyncio.sleep(0.1)
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
        assert source.is_closed()


async def test_what_someone_else_writes_meanwhile_is_compared_anew(notes: Pair) -> None:
    """A killed run's last chunk may be committed while the next run already copies it."""
    written = False

    def meddle(event: Event) -> None:
        nonlocal written
        if isinstance(event, ChunkChanged) and event.state is ChunkState.COPYING and not written:
            written = True
            others = f"INSERT INTO notes VALUES (20000, 'c20000', 'x'), ({ROWS + 1}, 'other', 'x')"
            meddling.append(asyncio.create_task(notes.on_target(others)))

    meddling: list[asyncio.Task[None]] = []
    outcome = await reconcile(
        notes.source, notes.target, MOVE, write=True, policy=Policy.OURS, emit=meddle, gate=notes.gate
    )
    await asyncio.gather(*meddling)
    assert outcome.verdict is Verdict.PASSED
    await notes.assert_equal("notes")


async def test_writers_during_the_copy_are_caught_up_with(notes: Pair) -> None:
    stop = asyncio.Event()
    dice = random.Random(7)

    async def write() -> int:
        connection = await notes.source_database.connect()
        written = 0
        try:
            while not stop.is_set():
                row = dice.randrange(1, ROWS)
                await connection.execute("UPDATE notes SET body = body || 'x' WHERE id = $1", row)
                await connection.execute("DELETE FROM notes WHERE id = $1", dice.randrange(1, ROWS))
                await connection.execute("UPDATE notes SET id = id + 1000000 WHERE id = $1", dice.randrange(1, ROWS))
                await connection.execute("INSERT INTO notes VALUES ($1, $2, 'new')", -written - 1, f"n{written}")
                written += 1
        finally:
            await connection.close()
        return written

    writing = asyncio.create_task(write())
    for _ in range(3):
        assert (await notes.reconcile("notes")).verdict is Verdict.PASSED
    stop.set()
    assert await writing > 20
    last = await notes.reconcile("notes")
    assert last.verdict is Verdict.PASSED
    assert last.tally.sent.rows < ROWS // 4
    await notes.assert_equal("notes")
    assert (await notes.reconcile("notes")).tally.sent.rows == 0


async def test_a_table_that_is_emptied_and_filled_again_while_others_are_copied_is_not_taken_for_empty(
    sides: Pair,
) -> None:
    await sides.on_both("CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes VALUES (1)")
    async with sides.source.snapshot():
        await sides.on_source("BEGIN; TRUNCATE notes; INSERT INTO notes VALUES (1), (2); COMMIT")
        for write in (True, False):
            with pytest.raises(TableUnfitError) as refused:
                await sides.reconcile("notes", write=write)
            assert "truncated or rewritten" in refused.value.happened
    assert (await sides.contents("notes"))[1] == ["(1)"]
    async with sides.source.snapshot():
        assert (await sides.reconcile("notes")).tally.sent.rows == 1
        with pytest.raises(LockNotAvailableError):
            await sides.on_source("SET lock_timeout = '50ms'; TRUNCATE notes")


async def test_tables_copied_in_one_snapshot_belong_together(sides: Pair) -> None:
    await sides.on_both("""
        CREATE TABLE parents (id int PRIMARY KEY);
        CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents)
    """)
    await sides.on_source("INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1, 1)")
    async with sides.source.snapshot():
        await sides.reconcile("parents")
        await sides.on_source("INSERT INTO parents VALUES (2); INSERT INTO children VALUES (2, 2)")
        assert (await sides.reconcile("children")).tally.sent.rows == 1
    assert (await sides.reconcile("parents")).tally.sent.rows == 1
