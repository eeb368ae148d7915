"""A backup is whole, private, says what it holds, and leaves nothing behind when it fails."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import psutil
import pytest

from tekup_migrate.backup.dump import backup_project, dump
from tekup_migrate.backup.folder import partial_of
from tekup_migrate.backup.manifest import Manifest
from tekup_migrate.backup.writer import clear_stale, note_writer
from tekup_migrate.errors import MigrationError, PauseRequested
from tekup_migrate.events import Event, Progress, Ran
from tekup_migrate.gate import Gate
from tests.backup.conftest import Ledger

Events = list[Event]
DAY = date(2026, 11, 23)


async def test_a_backup_holds_every_table_with_its_rows_and_digest(ledger: Ledger, root: Path, events: Events) -> None:
    folder, manifest = await backup_project(ledger.request(), root, listen=events.append, gate=Gate(), day=DAY)
    assert folder == root / "ledger-20261123"
    assert {table.label: table.rows for table in manifest.tables} == {
        "public.accounts": 20,
        "public.Entries; odd": 200,
    }
    assert all(table.digest and table.bytes > 0 for table in manifest.tables)
    assert Manifest.load(folder) == manifest
    assert manifest.ref == "abc"
    assert manifest.server_major == 16
    assert [extension.name for extension in manifest.extensions] == ["vector"]
    assert [(f.schema, f.name, f.result) for f in manifest.functions] == [("auth", "uid", "uuid")]
    assert "postgres" in manifest.roles
    assert not partial_of(folder).exists()


async def test_only_the_owner_can_enter_the_folder(ledger: Ledger, root: Path, events: Events) -> None:
    folder, _ = await backup_project(ledger.request(), root, listen=events.append, gate=Gate())
    if sys.platform != "win32":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.parent.stat().st_mode) & 0o077 == 0


async def test_neither_the_command_nor_any_event_nor_any_file_holds_the_password(
    ledger: Ledger, root: Path, events: Events
) -> None:
    folder, _ = await backup_project(ledger.request(plain=True), root, listen=events.append, gate=Gate())
    password = ledger.password.reveal()
    assert not any(password in repr(event) for event in events)
    assert [event for event in events if isinstance(event, Ran) and "--snapshot=" in event.text]
    for path in folder.rglob("*"):
        assert path.is_dir() or password.encode() not in path.read_bytes()


@pytest.mark.parametrize("jobs", [1, 2])
async def test_the_progress_ends_at_the_whole(ledger: Ledger, root: Path, events: Events, jobs: int) -> None:
    await backup_project(ledger.request(jobs=jobs), root, listen=events.append, gate=Gate())
    last = [event for event in events if isinstance(event, Progress) and event.label == "pg_dump"][-1]
    assert last.done == last.total > 0


async def test_archive_and_digests_are_of_one_snapshot_whatever_is_written_before_pg_dump_begins(
    ledger: Ledger, root: Path
) -> None:
    def write_before_it_begins(event: Event) -> None:
        if isinstance(event, Ran) and event.kind == "command":
            ledger.execute_now("DELETE FROM public.accounts")

    folder, manifest = await backup_project(
        ledger.request(plain=True), root, listen=write_before_it_begins, gate=Gate()
    )
    table = manifest.table("public", "accounts")
    assert table is not None
    assert table.rows == 20
    assert (folder / "plain.sql").read_text(encoding="utf-8").count("\taccount ") == 20


async def test_a_second_backup_of_the_day_gets_a_name_of_its_own(ledger: Ledger, root: Path, events: Events) -> None:
    folders = [
        (await backup_project(ledger.request(), root, listen=events.append, gate=Gate(), day=DAY))[0].name
        for _ in range(2)
    ]
    assert folders == ["ledger-20261123", "ledger-20261123-2"]


async def test_an_existing_folder_is_never_overwritten(ledger: Ledger, root: Path, events: Events) -> None:
    folder = root / "there"
    folder.mkdir(parents=True)
    with pytest.raises(MigrationError, match="cannot be made"):
        await dump(ledger.request(), folder, listen=events.append, gate=Gate())
    assert list(root.iterdir()) == [folder]


async def test_a_role_that_row_level_security_applies_to_is_refused(ledger: Ledger, root: Path, events: Events) -> None:
    # A login of its own without BYPASSRLS.
    reader = f"reader-{ledger.url.database}"
    literal = ledger.password.reveal().replace("'", "''")
    await ledger.execute(f"""
        CREATE ROLE "{reader}" LOGIN PASSWORD '{literal}';
        GRANT USAGE ON SCHEMA public TO "{reader}";
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{reader}";
    """)
    try:
        url = dataclasses.replace(ledger.url, user=reader)
        with pytest.raises(MigrationError, match="does not see every row") as caught:
            await backup_project(ledger.request(url=url), root, listen=events.append, gate=Gate())
        assert "public.accounts" in caught.value.happened
        assert not root.exists()
    finally:
        await ledger.execute(f'GRANT "{reader}" TO postgres; DROP OWNED BY "{reader}"; DROP ROLE "{reader}"')


async def test_a_schema_that_does_not_exist_is_refused(ledger: Ledger, root: Path, events: Events) -> None:
    with pytest.raises(MigrationError, match="schema"):
        await backup_project(ledger.request(schemas=("public", "nope")), root, listen=events.append, gate=Gate())


async def test_too_little_room_is_said_before_anything_is_written(
    ledger: Ledger, root: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(root.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(MigrationError, match="Not enough room"):
        await backup_project(ledger.request(), root, listen=events.append, gate=Gate())
    assert not root.exists()


async def test_a_pause_ends_pg_dump_and_leaves_nothing(
    ledger: Ledger, root: Path, events: Events, no_child_left: Callable[[], list[str]]
) -> None:
    gate = Gate()
    async with _table_locked(ledger) as _:
        running = asyncio.ensure_future(backup_project(ledger.request(), root, listen=events.append, gate=gate))
        await _until(lambda: any(root.glob("*.partial/archive")) or running.done())
        gate.request()
        with pytest.raises(PauseRequested):
            await running
    assert list(root.iterdir()) == []


async def test_a_cancelled_task_ends_pg_dump_and_leaves_nothing(
    ledger: Ledger, root: Path, events: Events, no_child_left: Callable[[], list[str]]
) -> None:
    async with _table_locked(ledger):
        running = asyncio.ensure_future(backup_project(ledger.request(), root, listen=events.append, gate=Gate()))
        await _until(lambda: any(root.glob("*.partial/archive")) or running.done())
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert list(root.iterdir()) == []


async def test_a_killed_pg_dump_is_an_error_and_leaves_nothing(
    ledger: Ledger, root: Path, events: Events, no_child_left: Callable[[], list[str]]
) -> None:
    async with _table_locked(ledger):
        running = asyncio.ensure_future(backup_project(ledger.request(), root, listen=events.append, gate=Gate()))
        await _until(lambda: any(root.glob("*.partial/archive")) or running.done())
        for child in psutil.Process().children(recursive=True):
            if child.name() == "pg_dump":
                child.kill()
        with pytest.raises(MigrationError, match="failed"):
            await running
    assert list(root.iterdir()) == []


async def test_a_connection_lost_mid_dump_is_an_error_and_leaves_nothing(
    ledger: Ledger, root: Path, events: Events, no_child_left: Callable[[], list[str]]
) -> None:
    async with _table_locked(ledger):
        running = asyncio.ensure_future(backup_project(ledger.request(), root, listen=events.append, gate=Gate()))
        await _until(lambda: any(root.glob("*.partial/archive")) or running.done())
        await ledger.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name LIKE 'tekup-migrate%' AND application_name NOT LIKE '%rehearsal'"
        )
        with pytest.raises(MigrationError) as caught:
            await running
    assert "connection" in caught.value.happened
    assert list(root.iterdir()) == []


async def test_what_a_killed_run_left_is_removed_at_the_next_backup(ledger: Ledger, root: Path, events: Events) -> None:
    stale = root / "ledger-20261123.partial"
    (stale / "archive").mkdir(parents=True)
    with pytest.raises(MigrationError):
        Manifest.load(stale)
    folder, _ = await backup_project(ledger.request(), root, listen=events.append, gate=Gate(), day=DAY)
    assert folder.name == "ledger-20261123"
    assert not stale.exists()


async def test_a_backup_that_another_process_is_writing_is_left_alone(
    ledger: Ledger, root: Path, events: Events
) -> None:
    partial = root / "ledger-20261101.partial"
    partial.mkdir(parents=True)
    note_writer(partial, os.getpid())
    with pytest.raises(MigrationError, match="Another process"):
        await backup_project(ledger.request(), root, listen=events.append, gate=Gate())
    assert partial.is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
async def test_a_pg_dump_that_outlived_its_killed_run_is_ended_before_its_folder_is_removed(root: Path) -> None:
    partial = root / "ledger-20261101.partial"
    partial.mkdir(parents=True)
    code = """
import subprocess, sys
from pathlib import Path
from tekup_migrate.backup.writer import note_writer
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
orphan = subprocess.Popen(sleep, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
note_writer(Path(sys.argv[1]), orphan.pid)
print(orphan.pid)
"""
    argv = [sys.executable, "-c", code, str(partial)]
    orphan = int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    assert psutil.pid_exists(orphan)
    clear_stale(root, "ledger")
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    assert not partial.exists()


@pytest.mark.parametrize("ignored", [False, True])
async def test_a_folder_that_git_would_see_is_refused_unless_ignored(
    ledger: Ledger, tmp_path: Path, events: Events, *, ignored: bool
) -> None:
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    if ignored:
        (repository / ".gitignore").write_text("backups/\n", encoding="utf-8")
    backing_up = backup_project(ledger.request(), repository / "backups", listen=events.append, gate=Gate())
    if ignored:
        folder, _ = await backing_up
        assert folder.is_dir()
    else:
        with pytest.raises(MigrationError, match="inside a git repository"):
            await backing_up
        assert not (repository / "backups").exists()


class _table_locked:  # noqa: N801 - reads as a block
    """Hold a lock that pg_dump waits for, so that it is certainly running."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def __aenter__(self) -> None:
        self._connection = await self._ledger.database.connect()
        # A view, whose definition pg_dump reads and our digests do not.
        await self._connection.execute("BEGIN")
        await self._connection.execute("ALTER VIEW public.balances RENAME TO balances_of_another_session")

    async def __aexit__(self, *_: object) -> None:
        self._connection.terminate()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)
