"""A restore in place brings every row back or changes nothing; a single table comes back beside the live one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tekup_migrate.backup.restore import changes_since, restore_in_place, restore_table
from tekup_migrate.errors import MigrationError, PauseRequested
from tekup_migrate.events import Event, Progress
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.steps import Verdict
from tests.backup.conftest import LEDGER, Ledger
from tests.backup.test_drill import backed_up
from tests.servers import SharedServer

Events = list[Event]
DAMAGE = """
DELETE FROM public."Entries; odd" WHERE id > 50;
UPDATE public.accounts SET title = 'spoilt';
DROP FUNCTION public.touch() CASCADE;
CREATE TABLE public.newer (id bigint);
INSERT INTO public.newer VALUES (1);
"""


async def _fetch(ledger: Ledger, query: str) -> list[tuple[object, ...]]:
    connection = await ledger.database.connect()
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def test_what_would_be_lost_is_counted_table_by_table(ledger: Ledger, root: Path, events: Events) -> None:
    folder = await backed_up(ledger, root)
    await ledger.execute(DAMAGE)
    changes = await changes_since(folder, ledger.url, ledger.password, listen=events.append, gate=Gate())
    assert {change.table: (change.rows_now, change.rows_then, change.equal) for change in changes} == {
        "public.Entries; odd": (50, 200, False),
        "public.accounts": (20, 20, False),
        "public.newer": (1, None, False),
    }


async def test_a_restore_in_place_brings_every_row_and_function_back(
    ledger: Ledger, root: Path, events: Events
) -> None:
    before = await _fetch(ledger, "SELECT * FROM public.accounts ORDER BY id")
    folder = await backed_up(ledger, root)
    await ledger.execute(DAMAGE)
    result = await restore_in_place(folder, ledger.url, ledger.password, listen=events.append, gate=Gate())
    assert result.verdict is Verdict.PASSED
    shown = [event for event in events if isinstance(event, Progress) and event.label == "restore"]
    assert shown[-1].total == 220
    assert await _fetch(ledger, "SELECT * FROM public.accounts ORDER BY id") == before
    assert await _fetch(ledger, "SELECT count(*) FROM public.newer") == [(1,)]
    assert await _fetch(ledger, "SELECT tgname FROM pg_trigger WHERE tgname = 'touched'") == [("touched",)]
    assert all("supabase_admin" in entry for entry in result.left_alone)
    assert not any(ledger.password.reveal() in repr(event) for event in events)


async def test_an_object_that_depends_on_the_backups_tables_stops_the_restore_and_nothing_changes(
    ledger: Ledger, root: Path, events: Events
) -> None:
    folder = await backed_up(ledger, root)
    await ledger.execute(DAMAGE)
    await ledger.execute("CREATE VIEW public.leaning AS SELECT id FROM public.accounts")
    with pytest.raises(MigrationError, match="rolled back") as caught:
        await restore_in_place(folder, ledger.url, ledger.password, listen=events.append, gate=Gate())
    assert "leaning" in caught.value.details
    assert await _fetch(ledger, 'SELECT count(*) FROM public."Entries; odd"') == [(50,)]


async def test_a_pause_in_the_middle_of_a_restore_changes_nothing_and_leaves_no_process(
    ledger: Ledger, root: Path, events: Events, no_child_left: Callable[[], list[str]]
) -> None:
    folder = await backed_up(ledger, root)
    await ledger.execute(DAMAGE)
    gate = Gate()
    holder = await ledger.database.connect()
    await holder.execute("BEGIN")
    await holder.execute("LOCK TABLE public.accounts IN ACCESS SHARE MODE")
    running = asyncio.ensure_future(
        restore_in_place(folder, ledger.url, ledger.password, listen=events.append, gate=gate)
    )
    async with asyncio.timeout(20):
        while not await _fetch(ledger, "SELECT 1 FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"):
            await asyncio.sleep(0.05)
    gate.request()
    with pytest.raises(PauseRequested):
        await running
    holder.terminate()
    assert no_child_left() == []
    assert await _fetch(ledger, 'SELECT count(*) FROM public."Entries; odd"') == [(50,)]


@pytest.mark.parametrize(
    ("written", "begun"),
    [
        ("INSERT INTO public.accounts (title) VALUES ('late')", "before"),
        ("UPDATE public.accounts SET title = 'late' WHERE title = 'account 3'", "after"),
        ("DELETE FROM public.accounts WHERE title = 'account 3'", "after"),
        ("SAVEPOINT part; UPDATE public.accounts SET title = 'late' WHERE title = 'account 3'", "whole before"),
    ],
)
async def test_a_row_written_after_the_rows_were_counted_stops_the_restore(
    ledger: Ledger, root: Path, events: Events, written: str, begun: str
) -> None:
    folder = await backed_up(ledger, root)
    await ledger.execute("UPDATE public.accounts SET updated_at = now()")
    live = (folder, ledger.url, ledger.password)
    writer = await ledger.database.connect()
    await writer.execute("BEGIN")
    if begun == "whole before":
        # The whole transaction has a number of its own, which the snapshot names, and so does its part.
        await writer.execute("SELECT pg_catalog.pg_current_xact_id()")
    if begun != "after":
        await writer.execute(written)
    # Another one that begins later and is over.
    await ledger.execute("SELECT pg_catalog.pg_current_xact_id()")
    counted = await changes_since(*live, listen=events.append, gate=Gate())
    if begun == "after":
        await writer.execute(written)
    await writer.execute("COMMIT")
    await writer.close()
    with pytest.raises(MigrationError, match="written to after its rows were counted"):
        await restore_in_place(*live, listen=events.append, gate=Gate(), counted=counted)
    late = await _fetch(ledger, "SELECT count(*), count(*) FILTER (WHERE title = 'late') FROM public.accounts")
    assert late == [{"I": (21, 1), "U": (20, 1), "S": (20, 1), "D": (19, 0)}[written[0]]]
    counted = await changes_since(*live, listen=events.append, gate=Gate())
    again = await restore_in_place(*live, listen=events.append, gate=Gate(), counted=counted)
    assert again.verdict is Verdict.PASSED


async def test_a_table_that_was_made_anew_after_the_count_is_not_dropped_uncounted(
    ledger: Ledger, root: Path, events: Events
) -> None:
    folder = await backed_up(ledger, root)
    await ledger.execute('DROP TABLE public."Entries; odd" CASCADE')
    live = (folder, ledger.url, ledger.password)
    counted = await changes_since(*live, listen=events.append, gate=Gate())
    await ledger.execute('CREATE TABLE public."Entries; odd" AS SELECT 1 AS id')
    with pytest.raises(MigrationError, match="written to after its rows were counted"):
        await restore_in_place(*live, listen=events.append, gate=Gate(), counted=counted)
    assert await _fetch(ledger, 'SELECT * FROM public."Entries; odd"') == [(1,)]


async def test_a_backup_of_a_newer_server_is_restored_into_an_older_one(
    ledger: Ledger, root: Path, events: Events, target_server: SharedServer
) -> None:
    async with target_server.fresh_database() as database:
        newer = Ledger(database)
        await newer.execute(LEDGER)
        folder = await backed_up(newer, root)
        before = await _fetch(newer, "SELECT * FROM public.accounts ORDER BY id")
    result = await restore_in_place(folder, ledger.url, ledger.password, listen=events.append, gate=Gate())
    assert result.verdict is Verdict.PASSED
    assert await _fetch(ledger, "SELECT * FROM public.accounts ORDER BY id") == before


@pytest.mark.parametrize("name", ["accounts", "Entries; odd"])
async def test_a_single_table_comes_back_under_a_new_name(
    ledger: Ledger, root: Path, events: Events, name: str
) -> None:
    folder = await backed_up(ledger, root)
    await ledger.execute(DAMAGE)
    found = await restore_table(
        folder, Relation("public", name), "old; copy", ledger.url, ledger.password, listen=events.append, gate=Gate()
    )
    assert found.equal
    protected = await _fetch(ledger, "SELECT relrowsecurity FROM pg_class WHERE relname = 'old; copy'")
    assert protected == [(True,)]
    assert await _fetch(ledger, "SELECT DISTINCT title FROM public.accounts") == [("spoilt",)]


async def test_a_single_table_brings_no_row_into_a_live_table_whose_name_begins_like_its_own(
    ledger: Ledger, root: Path, events: Events
) -> None:
    await ledger.execute('CREATE TABLE public.a AS SELECT 1 AS id; CREATE TABLE public."a b" AS SELECT 2 AS id')
    folder = await backed_up(ledger, root)
    found = await restore_table(
        folder, Relation("public", "a"), "old", ledger.url, ledger.password, listen=events.append, gate=Gate()
    )
    assert found.equal
    assert await _fetch(ledger, 'SELECT id FROM public."a b"') == [(2,)]


async def test_a_taken_name_is_refused_and_the_table_of_that_name_is_untouched(
    ledger: Ledger, root: Path, events: Events
) -> None:
    folder = await backed_up(ledger, root)
    await ledger.execute(DAMAGE)
    with pytest.raises(MigrationError) as caught:
        await restore_table(
            folder,
            Relation("public", "accounts"),
            "newer",
            ledger.url,
            ledger.password,
            listen=events.append,
            gate=Gate(),
        )
    assert "already exists" in caught.value.happened
    assert await _fetch(ledger, "SELECT * FROM public.newer") == [(1,)]


async def test_a_table_that_the_backup_does_not_hold_is_refused_by_name(
    ledger: Ledger, root: Path, events: Events
) -> None:
    folder = await backed_up(ledger, root)
    with pytest.raises(MigrationError, match="does not hold") as caught:
        await restore_table(
            folder, Relation("public", "nope"), "x", ledger.url, ledger.password, listen=events.append, gate=Gate()
        )
    assert "public.accounts" in caught.value.happened
