"""Whatever happens to a backup on disk is found: flipped, truncated, missing, added, foreign, unfinished."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import msgspec
import pytest

from tekup_migrate.backup.dump import backup_project
from tekup_migrate.backup.manifest import Manifest, write_manifest
from tekup_migrate.backup.verify import FindingKind, require_whole, verify_archive
from tekup_migrate.errors import MigrationError
from tekup_migrate.events import Event
from tekup_migrate.gate import Gate
from tests.backup.conftest import Ledger


@pytest.fixture
async def backup(ledger: Ledger, root: Path) -> Path:
    """A finished backup of the ledger."""
    events: list[Event] = []
    return (await backup_project(ledger.request(plain=True), root, listen=events.append, gate=Gate()))[0]


async def test_a_backup_that_nobody_touched_has_no_findings(backup: Path) -> None:
    assert await verify_archive(backup) == ()
    assert (await require_whole(backup)).rows == 220


async def test_one_flipped_bit_anywhere_is_found(backup: Path) -> None:
    seeded = random.Random(20261123)
    files = [path for path in backup.rglob("*") if path.is_file()]
    assert len(files) >= 7
    for file in files:
        whole = file.read_bytes()
        for place in {0, len(whole) - 1, *(seeded.randrange(len(whole)) for _ in range(3))}:
            flipped = bytearray(whole)
            flipped[place] ^= 1 << seeded.randrange(8)
            file.write_bytes(flipped)
            assert await verify_archive(backup), (file.name, place)
        file.write_bytes(whole)
    assert await verify_archive(backup) == ()


async def test_a_truncated_file_is_found_with_both_sizes(backup: Path) -> None:
    file = max((backup / "archive").iterdir(), key=lambda path: path.stat().st_size)
    file.write_bytes(file.read_bytes()[:-10])
    [finding] = await verify_archive(backup)
    assert finding.kind is FindingKind.CHANGED_FILE
    assert "bytes instead of" in str(finding)


async def test_a_missing_and_an_added_file_are_found(backup: Path) -> None:
    (backup / "RESTORE.md").rename(backup / "archive" / "another.md")
    kinds = {finding.subject: finding.kind for finding in await verify_archive(backup)}
    assert kinds == {"RESTORE.md": FindingKind.MISSING_FILE, "archive/another.md": FindingKind.EXTRA_FILE}


async def test_a_corrupt_archive_is_found_even_under_a_fresh_manifest(backup: Path) -> None:
    rows = max((backup / "archive").glob("*.dat.gz"), key=lambda path: path.stat().st_size)
    content = bytearray(rows.read_bytes())
    content[len(content) // 2] ^= 0xFF
    rows.write_bytes(content)
    write_manifest(backup, Manifest.load(backup))
    [finding] = await verify_archive(backup)
    assert finding.kind is FindingKind.UNREADABLE_ARCHIVE


async def test_a_foreign_archive_is_found_even_under_a_fresh_manifest(backup: Path) -> None:
    (backup / "archive" / "toc.dat").write_bytes(b"PK\x03\x04 something else")
    write_manifest(backup, Manifest.load(backup))
    [finding] = await verify_archive(backup)
    assert finding.kind is FindingKind.UNREADABLE_ARCHIVE


async def test_an_unfinished_backup_is_never_taken_for_one(backup: Path) -> None:
    partial = backup.with_name(backup.name + ".partial")
    backup.rename(partial)
    [finding] = await verify_archive(partial)
    assert finding.kind is FindingKind.NO_MANIFEST
    with pytest.raises(MigrationError, match="damaged"):
        await require_whole(partial)


async def test_a_folder_that_is_no_backup_is_said_to_be_none(tmp_path: Path) -> None:
    for content in (None, b"", b"[]", b'{"format": 99}', b"\xff\xfe"):
        shutil.rmtree(tmp_path / "x", ignore_errors=True)
        (tmp_path / "x").mkdir()
        if content is not None:
            (tmp_path / "x" / "manifest.json").write_bytes(content)
        [finding] = await verify_archive(tmp_path / "x")
        assert finding.kind is FindingKind.NO_MANIFEST


async def test_an_archive_of_a_newer_postgres_than_any_program_here_is_said_so(backup: Path) -> None:
    manifest = msgspec.structs.replace(Manifest.load(backup), dump_version="99.1", server_version="99.0")
    write_manifest(backup, manifest)
    with pytest.raises(MigrationError, match="No pg_restore for an archive of Postgres 99") as caught:
        await verify_archive(backup)
    assert caught.value.unchanged == "Nothing was restored."
