"""A plain SQL file made out of an archive, for people who want to read it or restore it with psql."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tekup_migrate.backup.child import clean_environment, run_program
from tekup_migrate.backup.programs import DumpPrograms
from tekup_migrate.backup.toc import entries_of, write_list
from tekup_migrate.errors import CommandFailedError

SETTINGS_SINCE = {"transaction_timeout": 17}
"""Settings that pg_restore writes at the top, and the first server version that knows them."""

_PIECE = 1 << 20
_HEAD = 64 * 1024


async def write_plain_sql(archive: Path, file: Path, programs: DumpPrograms, server_major: int) -> None:
    """Write an archive as SQL that a server of ``server_major`` can restore into a database with an empty ``public``.

    Raises:
        CommandFailedError: pg_restore cannot read the archive.
    """
    chosen = file.with_name(file.name + ".list")
    entries = [entry for entry in await entries_of(archive, programs) if not entry.creates_schema(("public",))]
    write_list(chosen, entries)
    raw = file.with_name(file.name + ".raw")
    try:
        argv: list[str | Path] = [programs.restore, f"--use-list={chosen}", f"--file={raw}", archive]
        finished = await run_program(argv, environment=clean_environment({}))
        if finished.code != 0:
            raise CommandFailedError(
                "The plain SQL file could not be written",
                happened=f"pg_restore ended with the code {finished.code}.",
                unchanged="No database was changed.",
                remedy="Read the details; often the disk is full.",
                details=finished.said,
            )
        await asyncio.to_thread(_copy_without_unknown_settings, raw, file, server_major)
    finally:
        chosen.unlink(missing_ok=True)
        raw.unlink(missing_ok=True)


def without_unknown_settings(head: bytes, server_major: int) -> bytes:
    """Return the beginning of pg_restore's SQL without the settings that a server of this version does not know."""
    for name, since in SETTINGS_SINCE.items():
        if server_major < since:
            head = re.sub(rb"(?m)^SET %b = [^\n]*\n" % name.encode(), b"", head, count=1)
    return head


def _copy_without_unknown_settings(raw: Path, file: Path, server_major: int) -> None:
    with raw.open("rb") as source, file.open("wb") as target:
        target.write(without_unknown_settings(source.read(_HEAD), server_major))
        while piece := source.read(_PIECE):
            target.write(piece)
