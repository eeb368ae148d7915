"""A sealed backup shows no row to anyone without the key, and is restored as well as an open one with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tekup_migrate.backup.drill import drill
from tekup_migrate.backup.manifest import Manifest
from tekup_migrate.backup.sealing import opened_backup
from tekup_migrate.backup.verify import require_whole, verify_archive
from tekup_migrate.credentials.age import new_backup_key, public_part
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError
from tekup_migrate.events import Event
from tekup_migrate.gate import Gate
from tekup_migrate.steps import Verdict
from tests.backup.conftest import Ledger
from tests.backup.test_drill import backed_up, restore_target
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


async def test_an_open_backup_needs_no_key(ledger: Ledger, root: Path) -> None:
    folder = await backed_up(ledger, root)
    async with opened_backup(folder, None) as opened:
        assert opened == folder
    assert Manifest.load(folder).sealed_for == ""
