"""A sealed backup shows no row to anyone without the key, and is restored as well as an open one with it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tekup_migrate.backup.drill import drill
from tekup_migrate.backup.manifest import Manifest
from tekup_migrate.backup.sealing import opened_backup
from tekup_migrate.backup.verify import require_whole, verify_archive
from tekup_migrate.credentials.age import new_backup_key, public_part
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError
from tekup_migrate.events import Event
from tekup_migrate.gate import Gate
from tekup_migrate.plan import BUILT_IN, read_plan
from tekup_migrate.rehearsal.throw_away import throw_away_server
from tekup_migrate.sitting import Surroundings, open_sitting
from tekup_migrate.steps import Verdict
from tests.backup.conftest import Ledger
from tests.backup.test_drill import backed_up, restore_target
from tests.scripted import NoSecrets, ScriptedOperator
from tests.servers import SharedServer

pytest.importorskip("pyrage")


async def test_a_sealed_backup_passes_the_drill_with_its_key_and_leaves_no_open_copy(
    ledger: Ledger, root: Path, events: list[Event], target_server: SharedServer
) -> None:
    key = new_backup_key("ledger")
    folder = await backed_up(ledger, root, sealed_for=public_part(key), plain=True)
    assert await verify_archive(folder) == ()
    async with opened_backup(folder, key) as opened:
        assert (await require_whole(opened)).sealed_for == ""
        result = await drill(opened, restore_target(target_server), listen=events.append, gate=Gate())
    assert result.verdict is Verdict.PASSED
    assert list(root.iterdir()) == [folder]


async def test_no_row_and_no_key_is_readable_in_a_sealed_backup(ledger: Ledger, root: Path) -> None:
    key = new_backup_key("ledger")
    folder = await backed_up(ledger, root, sealed_for=public_part(key), plain=True)
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {name for name in names if not name.endswith(".age")} == {
        "manifest.json",
        "SHA256SUMS",
        "RESTORE.md",
        "supabase-root-2021-ca.pem",
    }
    for path in folder.rglob("*.age"):
        assert path.read_bytes().startswith(b"age-encryption.org/v1\n")
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"account 7" not in everything
    assert key.reveal().encode() not in everything
    assert b"age --decrypt" in (folder / "RESTORE.md").read_bytes()


async def test_a_flipped_bit_in_a_sealed_file_is_found(ledger: Ledger, root: Path) -> None:
    key = new_backup_key("ledger")
    folder = await backed_up(ledger, root, sealed_for=public_part(key))
    file = max((folder / "archive").iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    assert len(await verify_archive(folder)) == 1
    with pytest.raises(MigrationError, match="damaged"):
        async with opened_backup(folder, key):
            pass


async def test_another_key_opens_nothing(ledger: Ledger, root: Path) -> None:
    folder = await backed_up(ledger, root, sealed_for=public_part(new_backup_key("ledger")))
    for key in (None, new_backup_key("ledger"), Secret("nonsense", kind="backup key")):
        with pytest.raises(MigrationError, match="cannot be opened"):
            async with opened_backup(folder, key):
                pass


HOLD_OPEN = """
import asyncio, os, sys
from pathlib import Path
from tekup_migrate.backup.sealing import opened_backup
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret

async def hold():
    async with opened_backup(Path(sys.argv[1]), Secret(os.environ["KEY"], kind="backup key")) as opened:
        print(opened, flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


async def test_the_unsealed_copy_is_private_is_used_by_one_process_only_and_goes_with_it_even_when_killed(
    ledger: Ledger, root: Path
) -> None:
    key = new_backup_key("ledger")
    folder = await backed_up(ledger, root, sealed_for=public_part(key))
    command = [sys.executable, "-c", HOLD_OPEN, str(folder)]
    environment = {**os.environ, "KEY": key.reveal(), "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as holder:
        assert holder.stdout is not None
        copy = Path(holder.stdout.readline().strip())
        assert (copy / "archive" / "toc.dat").read_bytes().startswith(b"PGDMP")
        if sys.platform != "win32":
            assert {path.stat().st_mode & 0o777 for path in (copy.parent, copy, copy / "archive")} == {0o700}
        with pytest.raises(MigrationError, match="Another process"):
            async with opened_backup(folder, key):
                pass
        assert copy.exists()
        holder.kill()
    async with asyncio.timeout(20):
        while list(root.iterdir()) != [folder]:
            await asyncio.sleep(0.05)


async def test_an_unsealed_copy_that_a_power_cut_left_behind_is_removed_by_the_next_sitting(tmp_path: Path) -> None:
    plan = read_plan(BUILT_IN)
    surroundings = Surroundings(
        state=tmp_path,
        secrets=lambda operator: NoSecrets(),
        redactor=Redactor(),
        environment={},
        throw_away=throw_away_server,
    )
    left = tmp_path / plan.id / "a run" / "backups" / "renos-backup-20261124.opened.partial"
    (left / "archive").mkdir(parents=True)
    async with open_sitting(plan, surroundings, ScriptedOperator(), lambda event: None):
        assert not left.exists()


async def test_without_room_for_the_unsealed_copy_nothing_is_unsealed(
    ledger: Ledger, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_backup_key("ledger")
    folder = await backed_up(ledger, root, sealed_for=public_part(key))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=Manifest.load(folder).bytes - 1))
    with pytest.raises(MigrationError, match="room on the disk for the unsealed copy"):
        async with opened_backup(folder, key):
            pass
    assert list(root.iterdir()) == [folder]


async def test_an_open_backup_needs_no_key(ledger: Ledger, root: Path) -> None:
    folder = await backed_up(ledger, root)
    async with opened_backup(folder, None) as opened:
        assert opened == folder
    assert Manifest.load(folder).sealed_for == ""
