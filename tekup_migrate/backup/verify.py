"""Whether a backup on disk is still what was written: the manifest against the files, and pg_restore's own opinion."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tekup_migrate.backup.child import clean_environment, run_program
from tekup_migrate.backup.manifest import (
    ARCHIVE,
    CHECKSUMS,
    MANIFEST,
    ArchivedFile,
    Manifest,
    checksums,
    digest_files,
)
from tekup_migrate.backup.programs import choose_programs
from tekup_migrate.backup.toc import ArchiveEntry, by_table, entries_of
from tekup_migrate.errors import CommandFailedError, MigrationError


class FindingKind(Enum):
    """What can be wrong with a backup on disk."""

    NO_MANIFEST = "no usable manifest"
    CHECKSUMS_DIFFER = "the checksums and the manifest disagree"
    MISSING_FILE = "missing file"
    EXTRA_FILE = "extra file"
    CHANGED_FILE = "changed file"
    UNREADABLE_ARCHIVE = "unreadable archive"
    MISSING_TABLE = "table missing from the archive"


@dataclass(frozen=True)
class ArchiveFinding:
    """One thing that is wrong; ``subject`` is the file or table, ``detail`` what was found."""

    kind: FindingKind
    subject: str
    detail: str = ""

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.subject, self.kind.value, self.detail)))


async def verify_archive(folder: Path, *, rows: bool = True) -> tuple[ArchiveFinding, ...]:
    """Return everything that is wrong with a backup's folder; nothing found means that it is as it was written.

    It reads every byte for the checksums. pg_restore gets only files that are unchanged: it lists the archive and,
    with ``rows``, unpacks every row to nowhere, which a restore that follows would do anyway.

    Raises:
        MigrationError: this machine has no pg_restore as new as the archive.
    """
    try:
        manifest = await asyncio.to_thread(Manifest.load, folder)
    except MigrationError as error:
        return (ArchiveFinding(FindingKind.NO_MANIFEST, MANIFEST, error.happened),)
    findings = await asyncio.to_thread(_compare_files, folder, manifest)
    if findings or manifest.sealed_for:
        # Of a sealed archive only its holder can say more; age itself refuses a changed file.
        return findings
    return await _read_with_pg_restore(folder / ARCHIVE, manifest, rows=rows)


async def require_whole(folder: Path, *, rows: bool = True) -> Manifest:
    """Return the manifest of a backup that was verified just now.

    Raises:
        MigrationError: something is wrong with it; the findings are in the details.
    """
    findings = await verify_archive(folder, rows=rows)
    if findings:
        raise MigrationError(
            f"The backup {folder.name} is damaged",
            happened=f"{len(findings)} finding(s); the first: {findings[0]}.",
            unchanged="Nothing was restored.",
            remedy="Use another backup. If the project still exists, make a new one.",
            details="\n".join(map(str, findings)),
        )
    return await asyncio.to_thread(Manifest.load, folder)


def _compare_files(folder: Path, manifest: Manifest) -> tuple[ArchiveFinding, ...]:
    try:
        found = {file.path: file for file in digest_files(folder)}
        sums = (folder / CHECKSUMS).read_bytes()
        sealed = sums == checksums(folder, manifest)
    except OSError as error:
        return (ArchiveFinding(FindingKind.MISSING_FILE, error.filename or CHECKSUMS, error.strerror or ""),)
    findings = [] if sealed else [ArchiveFinding(FindingKind.CHECKSUMS_DIFFER, CHECKSUMS)]
    for file in manifest.files:
        findings += _compare_file(file, found.pop(file.path, None))
    findings += [ArchiveFinding(FindingKind.EXTRA_FILE, path) for path in found]
    return tuple(findings)


def _compare_file(expected: ArchivedFile, found: ArchivedFile | None) -> list[ArchiveFinding]:
    if found is None:
        return [ArchiveFinding(FindingKind.MISSING_FILE, expected.path)]
    if found.bytes != expected.bytes:
        detail = f"{found.bytes:,} bytes instead of {expected.bytes:,}"
        return [ArchiveFinding(FindingKind.CHANGED_FILE, expected.path, detail)]
    if found.sha256 != expected.sha256:
        return [ArchiveFinding(FindingKind.CHANGED_FILE, expected.path, "its SHA-256 differs")]
    return []


async def _read_with_pg_restore(archive: Path, manifest: Manifest, *, rows: bool) -> tuple[ArchiveFinding, ...]:
    programs = await choose_programs(manifest.dump_major, restoring=True)
    try:
        entries = await entries_of(archive, programs)
    except CommandFailedError as error:
        return (ArchiveFinding(FindingKind.UNREADABLE_ARCHIVE, ARCHIVE, error.details.strip() or error.happened),)
    missing = tuple(_missing_tables(manifest, entries))
    if missing or not rows:
        return missing
    # Listing reads the table of contents only; writing the SQL to nowhere decompresses every row.
    argv: list[str | Path] = [programs.restore, f"--file={os.devnull}", archive]
    finished = await run_program(argv, environment=clean_environment({}))
    if finished.code != 0:
        return (ArchiveFinding(FindingKind.UNREADABLE_ARCHIVE, ARCHIVE, finished.said.strip()),)
    return ()


def _missing_tables(manifest: Manifest, entries: tuple[ArchiveEntry, ...]) -> list[ArchiveFinding]:
    there = by_table("TABLE DATA", entries, manifest.tables)
    return [ArchiveFinding(FindingKind.MISSING_TABLE, table.label) for table in manifest.tables if table not in there]
