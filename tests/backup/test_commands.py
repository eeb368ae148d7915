"""``backups`` and ``restore``: listed, proved, drilled, and put back over a live database after being asked."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tekup_migrate.credentials.age import new_backup_key, public_part
from tekup_migrate.plan import read_plan
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.backup.conftest import Ledger
from tests.backup.test_drill import backed_up
from tests.commands import Ended, command, environment
from tests.plan_file import write_plan
from tests.worlds import LIBRARY

OLD_REF, NEW_REF = "oldlibraryoldlibrary", "mainlibrarymainlibra"
IN_MEMORY = "2\n"
"""The first question on a terminal without a keyring: where secrets are kept."""


@dataclass(frozen=True)
class Desk:
    """A plan over two live databases, and the command on it."""

    ledger: Ledger
    folder: Path

    async def run(self, *arguments: object, typed: str = "", **variables: str) -> Ended:
        """Run one command, with what is typed at its questions."""
        passwords = {f"TEKUP_MIGRATE_{name}_PASSWORD": self.ledger.password.reveal() for name in ("OLD", "MAIN")}
        line = command("--plan", self.folder / "library.toml", "--state", self.folder / "state", *arguments)
        done = await asyncio.to_thread(
            subprocess.run,
            line,
            input=IN_MEMORY + typed,
            env=environment({**passwords, **variables}),
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    async def killed_in_the_middle(self, *arguments: object) -> None:
        """Kill a command while the server keeps it waiting for a lock, then let the lock go."""
        holder = await self.ledger.database.connect()
        await holder.execute("BEGIN; LOCK TABLE public.accounts IN ACCESS SHARE MODE")
        passwords = {f"TEKUP_MIGRATE_{name}_PASSWORD": self.ledger.password.reveal() for name in ("OLD", "MAIN")}
        line = command("--plan", self.folder / "library.toml", "--state", self.folder / "state", *arguments)
        nowhere = subprocess.DEVNULL
        with subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, env=environment(passwords)
        ) as process:
            assert process.stdin is not None
            process.stdin.write(IN_MEMORY.encode())
            process.stdin.flush()
            async with asyncio.timeout(60):
                while not await self.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    await asyncio.sleep(0.05)
            process.kill()
        await holder.close()
        async with asyncio.timeout(20):
            while await self.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tekup-migrate'"):
                await asyncio.sleep(0.05)

    async def value(self, sql: str) -> object:
        """Return one value from the live source."""
        connection = await self.ledger.database.connect()
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    def kept(self) -> list[Path]:
        """Return the backups of the present state that were made before a restore."""
        return sorted((self.folder / "state").glob("restores/library/*/backups/*-before-restore-*"))


@pytest.fixture
async def desk(ledger: Ledger, target_database: SupabaseDatabase, tmp_path: Path) -> Desk:
    plan = read_plan(LIBRARY)
    urls = {"old": ledger.database.dsn, "main": target_database.dsn}
    projects = {name: msgspec.structs.replace(each, url=urls[name]) for name, each in plan.projects.items()}
    folder = tmp_path / "et skrivebord"
    folder.mkdir()
    write_plan(msgspec.structs.replace(plan, projects=projects), folder / "library.toml")
    return Desk(ledger, folder)


async def test_a_restore_shows_what_is_lost_asks_for_the_name_and_keeps_the_present_state(
    desk: Desk, root: Path
) -> None:
    folder = await backed_up(desk.ledger, root, ref=OLD_REF)
    await desk.ledger.execute(
        "DELETE FROM public.\"Entries; odd\" WHERE id > 50; UPDATE public.accounts SET title = 'x'"
    )
    declined = await desk.run("restore", folder, "--to", "source", typed="R\nanother name\n")
    assert declined.code == 1, declined.err
    assert "✗ public.Entries; odd: 50 rows now are replaced by 200 rows of the backup" in declined.out
    assert await desk.value("SELECT count(DISTINCT title) FROM public.accounts") == 1
    assert desk.kept() == []
    done = await desk.run("restore", folder, "--to", "source", typed="R\nOld branch library\n")
    assert done.code == 0, done.out + done.err
    assert "passed: 2 tables, 220 rows equal ledger-" in done.out
    assert await desk.value("SELECT count(DISTINCT title) FROM public.accounts") == 20
    [present] = desk.kept()
    listed = await desk.run("backups", "--verify")
    assert listed.code == 0
    assert str(present) in listed.out
    assert "Old branch library" in listed.out
    assert "every file is as it was written" in listed.out
    assert desk.ledger.password.reveal() not in done.out + declined.out + done.err


async def test_a_restore_that_was_killed_in_the_middle_changed_nothing_and_is_made_again(
    desk: Desk, root: Path
) -> None:
    folder = await backed_up(desk.ledger, root, ref=OLD_REF)
    await desk.ledger.execute('DELETE FROM public."Entries; odd" WHERE id > 50; CREATE TABLE public.mine (id int)')
    again = ("restore", folder, "--to", "source", "--unattended")
    await desk.killed_in_the_middle(*again)
    assert await desk.value('SELECT count(*) FROM public."Entries; odd"') == 50
    done = await desk.run(*again)
    assert done.code == 0, done.out + done.err
    assert await desk.value('SELECT count(*) FROM public."Entries; odd"') == 200
    assert await desk.value("SELECT to_regclass('public.mine') IS NOT NULL")


async def test_a_backup_of_another_project_is_refused_and_a_damaged_one_is_named(desk: Desk, root: Path) -> None:
    folder = await backed_up(desk.ledger, root, ref=NEW_REF)
    refused = await desk.run("restore", folder, "--to", "source", "--unattended")
    assert refused.code == 2
    assert f"It is a backup of the project {NEW_REF}, not of {OLD_REF}" in refused.err
    (folder / "archive" / "toc.dat").write_bytes(b"no archive")
    listed = await desk.run("backups", folder, "--verify")
    assert listed.code == 1
    assert "✗ archive/toc.dat: changed file" in listed.out
    damaged = await desk.run("restore", folder, "--to", "target", "--unattended")
    assert damaged.code == 2
    assert "is damaged" in damaged.err


async def test_one_table_comes_back_under_a_new_name_beside_the_live_one(desk: Desk, root: Path) -> None:
    folder = await backed_up(desk.ledger, root, ref=OLD_REF)
    await desk.ledger.execute("UPDATE public.accounts SET title = 'spoilt'")
    half = await desk.run("restore", folder, "--to", "source", "--table", "accounts")
    assert half.code == 2
    assert "--as" in half.err
    one = ("restore", folder, "--to", "source", "--table", "accounts", "--as", "accounts of old")
    done = await desk.run(*one, typed="y\n")
    assert done.code == 0, done.out + done.err
    assert await desk.value('SELECT count(DISTINCT title) FROM public."accounts of old"') == 20
    taken = await desk.run(*one, typed="y\n")
    assert taken.code == 2
    assert "There is a public.accounts of old already" in taken.err
    assert await desk.value("SELECT count(DISTINCT title) FROM public.accounts") == 1


async def test_a_sealed_backup_is_drilled_and_restored_with_its_key_and_without_it_nothing_happens(
    desk: Desk, root: Path
) -> None:
    key = new_backup_key(OLD_REF)
    folder = await backed_up(desk.ledger, root, ref=OLD_REF, sealed_for=public_part(key))
    await desk.ledger.execute("DELETE FROM public.accounts")
    without = await desk.run("restore", folder, "--to", "source", "--unattended")
    assert without.code == 2
    assert "cannot be opened with this key" in without.err
    assert await desk.value("SELECT count(*) FROM public.accounts") == 0
    variables = {"TEKUP_MIGRATE_OLD_BACKUP_KEY": key.reveal()}
    drilled = await desk.run("backups", "--drill", folder, **variables)
    assert drilled.code == 0, drilled.out + drilled.err
    assert "passed: 2 of 2 tables restored and equal" in drilled.out
    done = await desk.run("restore", folder, "--to", "source", "--unattended", **variables)
    assert done.code == 0, done.out + done.err
    assert await desk.value("SELECT count(*) FROM public.accounts") == 20
    assert key.reveal() not in without.out + drilled.out + done.out + drilled.err + done.err
    assert not list(root.glob("*.partial"))
