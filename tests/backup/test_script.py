"""A script is committed only when pg_restore gave all of it and psql took all of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tekup_migrate.backup.access import open_access
from tekup_migrate.backup.programs import embedded_programs
from tekup_migrate.backup.script import Script, run_script
from tekup_migrate.errors import CommandFailedError
from tests.backup.conftest import Ledger
from tests.backup.test_drill import backed_up


async def _replace_accounts(ledger: Ledger, archive: Path) -> None:
    programs = await embedded_programs(16)
    script = Script(
        restore=("--data-only", "--schema=public", "--table=Entries; odd", str(archive)),
        where=ledger.url.label,
        server_major=16,
        before='TRUNCATE public."Entries; odd";',
    )
    async with open_access(ledger.url, ledger.password, programs) as access:
        await run_script(script, access, programs, listen=lambda _: None)


async def _rows(ledger: Ledger) -> int:
    connection = await ledger.database.connect()
    try:
        count: int = await connection.fetchval('SELECT count(*) FROM public."Entries; odd" WHERE amount = 1')
    finally:
        await connection.close()
    return count


async def test_a_whole_script_is_committed(ledger: Ledger, root: Path) -> None:
    folder = await backed_up(ledger, root)
    await ledger.execute('UPDATE public."Entries; odd" SET amount = 1')
    await _replace_accounts(ledger, folder / "archive")
    assert await _rows(ledger) == 0


async def test_a_pg_restore_that_stops_in_the_middle_is_rolled_back(ledger: Ledger, root: Path) -> None:
    await ledger.execute("""
        INSERT INTO public."Entries; odd" (account, kind, amount, body)
        SELECT id, 'debit', 3, to_jsonb(gen_random_uuid()::text) FROM public.accounts, generate_series(1, 500)
    """)
    folder = await backed_up(ledger, root)
    await ledger.execute('UPDATE public."Entries; odd" SET amount = 1')
    rows = max((folder / "archive").glob("*.gz"), key=lambda path: path.stat().st_size)
    rows.write_bytes(rows.read_bytes()[: rows.stat().st_size // 2])
    with pytest.raises(CommandFailedError, match="rolled back"):
        await _replace_accounts(ledger, folder / "archive")
    assert await _rows(ledger) == 10_200


@pytest.mark.skipif(sys.platform == "win32", reason="a program of the test's own, as a script")
@pytest.mark.parametrize("code", [0, 1])
async def test_complete_statements_of_a_pg_restore_that_failed_are_rolled_back(
    ledger: Ledger, tmp_path: Path, code: int
) -> None:
    real = await embedded_programs(16)
    # A stand-in, because the real one cannot be made to fail exactly between two statements.
    stand_in = tmp_path / "pg_restore"
    statement = 'UPDATE public."Entries; odd" SET amount = 1;'
    stand_in.write_text(f"#!/bin/sh\necho '{statement}'\nexit {code}\n", encoding="utf-8")
    stand_in.chmod(0o755)
    (tmp_path / "psql").symlink_to(real.restore.with_name("psql"))
    programs = replace(real, restore=stand_in)
    script = Script(restore=(), where=ledger.url.label, server_major=16)
    async with open_access(ledger.url, ledger.password, programs) as access:
        if code:
            with pytest.raises(CommandFailedError, match="rolled back"):
                await run_script(script, access, programs, listen=lambda _: None)
        else:
            await run_script(script, access, programs, listen=lambda _: None)
    assert await _rows(ledger) == (0 if code else 200)
