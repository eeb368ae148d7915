"""A backup: a pg_dump directory archive with the digest of every table taken in the archive's own snapshot."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tekup_migrate import __version__
from tekup_migrate.backup.access import open_access
from tekup_migrate.backup.child import run_program
from tekup_migrate.backup.contents import digest_table
from tekup_migrate.backup.dump_failures import connection_lost, dump_failed, table_locked
from tekup_migrate.backup.folder import (
    dated_folder,
    finish,
    make_private,
    partial_of,
    require_room,
    require_unversioned,
    unwritable,
)
from tekup_migrate.backup.instructions import PLAIN, restore_instructions
from tekup_migrate.backup.manifest import ARCHIVE, FORMAT, INSTRUCTIONS, Manifest, TableContent, write_manifest
from tekup_migrate.backup.plain import write_plain_sql
from tekup_migrate.backup.programs import DumpPrograms, choose_programs
from tekup_migrate.backup.progress import COPY_OUT, TableProgress
from tekup_migrate.backup.sealing import seal_files
from tekup_migrate.backup.source import Survey, survey
from tekup_migrate.backup.writer import clear_note, clear_stale, note_writer
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.events import Listener, OutputLine, Progress, Ran
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.connection import SUPABASE_ROOT, connect
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.quoting import quote_ident

if TYPE_CHECKING:
    import asyncpg

JOBS = 2
"""pg_dump's parallel workers. With its leader and our snapshot they are four connections, the most we hold a side."""

_LOCK_WAIT = "1min"


@dataclass(frozen=True, kw_only=True)
class BackupRequest:
    """What is to be backed up, and how.

    Attributes:
        url: the database, without its password.
        password: revealed to the driver and to pg_dump's environment only.
        name: the backup's name without its date.
        ref: the project's reference, for the manifest.
        schemas: the schemas to dump, whole.
        jobs: parallel workers of pg_dump.
        sealed_for: the age recipient to seal the archive for (``age.public_part``), or empty for an open one.
        plain: whether to write ``plain.sql`` too, for people who want to read it.
        plain_for: the oldest server's major version that shall be able to restore ``plain.sql``; 0 for the source's.
        installed: whether an installed pg_dump may be used; the embedded one otherwise.
    """

    url: ConnectionUrl
    password: Secret
    name: str
    ref: str = ""
    schemas: tuple[str, ...] = ("public",)
    jobs: int = JOBS
    sealed_for: str = ""
    plain: bool = False
    plain_for: int = 0
    installed: bool = True


async def backup_project(
    request: BackupRequest, root: Path, *, listen: Listener, gate: Gate, day: date | None = None
) -> tuple[Path, Manifest]:
    """Back a project up into a new folder ``<name>-YYYYMMDD`` under ``root``; return the folder and what it holds.

    Raises:
        MigrationError: the reasons of ``dump``.
        PauseRequested: a pause was asked for; nothing is left of the unfinished backup.
    """
    day = day or date.today()
    await asyncio.to_thread(clear_stale, root, request.name)
    folder = await asyncio.to_thread(dated_folder, root, request.name, day)
    return folder, await dump(request, folder, listen=listen, gate=gate)


async def dump(request: BackupRequest, folder: Path, *, listen: Listener, gate: Gate) -> Manifest:
    """Write a backup into ``folder``, which must not exist; it is ``<folder>.partial`` until it is whole.

    A pause cancels it and leaves nothing; it then starts over.

    Raises:
        MigrationError: the folder would be under git's eyes or lacks room, rows would be missing, the connection was
            lost, or pg_dump failed. The unfinished folder is gone.
        PauseRequested: a pause was asked for.
    """
    gate.check()
    folder = await asyncio.to_thread(folder.absolute)
    await require_unversioned(folder)
    return await gate.guard(_dump(request, folder, listen))


async def _dump(request: BackupRequest, folder: Path, listen: Listener) -> Manifest:
    started = datetime.now(UTC)
    async with _snapshot(request) as (connection, snapshot):
        found = await survey(connection, request.schemas)
        needed = found.archive_bytes + (found.plain_bytes if request.plain else 0)
        # Sealing one file after the other needs, at worst, room for the largest one twice.
        needed *= 2 if request.sealed_for else 1
        await asyncio.to_thread(require_room, folder, needed)
        programs = await choose_programs(found.server_major, installed=request.installed)
        async with _partial(folder) as partial:
            work = _Dump(request, partial, found, programs, snapshot, listen)
            tables = await work.run(connection)
            connection.terminate()
            manifest = await work.complete(tables, started)
            await _to_the_end(asyncio.create_task(asyncio.to_thread(finish, partial, folder)))
    listen(Ran(kind="file", text=f"{len(manifest.files)} files, {manifest.bytes:,} bytes", where=str(folder)))
    return manifest


@asynccontextmanager
async def _snapshot(request: BackupRequest) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    import asyncpg

    connection = await connect(request.url, request.password, settings={"lock_timeout": _LOCK_WAIT})
    try:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection, await connection.fetchval("SELECT pg_catalog.pg_export_snapshot()")
    except asyncpg.LockNotAvailableError as error:
        raise table_locked(error, where=request.url.label) from error
    except (ConnectionError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise connection_lost(error, where=request.url.label) from error
    finally:
        connection.terminate()


@asynccontextmanager
async def _partial(folder: Path) -> AsyncIterator[Path]:
    """Make the unfinished folder, and remove whatever is left of it at the end."""
    partial = partial_of(folder)
    make_private(partial)
    try:
        yield partial
    except ConnectionError:
        raise
    except OSError as error:
        raise unwritable(folder, error.strerror or str(error)) from error
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True))


@dataclass(frozen=True)
class _Dump:
    request: BackupRequest
    partial: Path
    found: Survey
    programs: DumpPrograms
    snapshot: str
    listen: Listener

    @property
    def where(self) -> str:
        """What is dumped, as messages name it."""
        return self.request.url.label

    async def run(self, connection: asyncpg.Connection) -> tuple[TableContent, ...]:
        """Run pg_dump, and meanwhile take the digests in the same snapshot."""
        progress = TableProgress.of_dump(self.found.tables, self.listen)
        dumping = asyncio.create_task(self._run_pg_dump(progress))
        digesting = asyncio.create_task(self._digest(connection, progress))
        watching = asyncio.create_task(self._watch(connection, progress, digesting))
        try:
            await _first_failure(dumping, digesting)
        finally:
            for task in (watching, digesting, dumping):
                task.cancel()
            await asyncio.gather(watching, digesting, dumping, return_exceptions=True)
        progress.complete()
        return digesting.result()

    async def _run_pg_dump(self, progress: TableProgress) -> None:
        async with open_access(self.request.url, self.request.password, self.programs) as access:
            argv = [str(self.programs.dump), *access.options, *self._options()]
            self.listen(Ran(kind="command", text=" ".join(argv), where=self.where))

            def on_line(line: str) -> None:
                """Read pg_dump's progress, and pass on what it complains of."""
                progress.on_line(line)
                if "error:" in line or "warning:" in line:
                    self.listen(OutputLine(line))

            finished = await run_program(
                argv,
                environment=access.environment,
                on_line=on_line,
                on_start=lambda pid: note_writer(self.partial, pid),
            )
            if finished.code != 0:
                raise dump_failed(finished, where=self.where, relayed=access.failures)

    def _options(self) -> list[str]:
        schemas = [f"--schema={quote_ident(schema)}" for schema in self.request.schemas]
        return [
            "--format=directory",
            f"--jobs={self.request.jobs}",
            # gzip:1 in the spelling that pg_dump before 16 knows too; the default level takes six times as long.
            "--compress=1",
            *schemas,
            f"--snapshot={self.snapshot}",
            f"--lock-wait-timeout={_LOCK_WAIT}",
            "--no-sync",
            "--verbose",
            f"--file={self.partial / ARCHIVE}",
        ]

    async def _digest(self, connection: asyncpg.Connection, progress: TableProgress) -> tuple[TableContent, ...]:
        contents = []
        total = len(self.found.tables)
        for number, table in enumerate(self.found.tables, 1):
            digest = await digest_table(connection, table.relation)
            progress.counted(table.relation, digest.rows)
            content = TableContent(
                schema=table.relation.schema,
                name=table.relation.name,
                rows=digest.rows,
                bytes=table.bytes,
                digest=str(digest),
            )
            contents.append(content)
            self.listen(Progress(label="digests", done=number, total=total, unit="tables"))
        return tuple(sorted(contents, key=lambda content: content.label))

    async def _watch(self, connection: asyncpg.Connection, progress: TableProgress, busy: asyncio.Task[Any]) -> None:
        """Show how far pg_dump is, once the one connection we may use for asking is free."""
        await asyncio.wait({busy})
        if busy.exception() is None:
            await progress.watch(connection, COPY_OUT, asyncio.Event())

    async def complete(self, tables: tuple[TableContent, ...], started: datetime) -> Manifest:
        """Write everything beside the archive, and the manifest last."""
        (self.partial / SUPABASE_ROOT.name).write_bytes(SUPABASE_ROOT.read_bytes())
        if self.request.plain:
            oldest = min(self.request.plain_for or self.found.server_major, self.found.server_major)
            await write_plain_sql(self.partial / ARCHIVE, self.partial / PLAIN, self.programs, oldest)
        if self.request.sealed_for:
            await seal_files(self.partial, self.request.sealed_for)
        manifest = Manifest(
            format=FORMAT,
            tool_version=__version__,
            name=self.request.name,
            ref=self.request.ref,
            host=self.request.url.host,
            database=self.found.database,
            user=self.found.user,
            server_version=self.found.server_version,
            dump_version=self.programs.version,
            schemas=self.request.schemas,
            snapshot=self.snapshot,
            snapshot_at=self.found.snapshot_at,
            started=_stamp(started),
            ended=_stamp(datetime.now(UTC)),
            tables=tables,
            files=(),
            roles=self.found.roles,
            extensions=self.found.extensions,
            functions=self.found.functions,
            sealed_for=self.request.sealed_for,
        )
        instructions = restore_instructions(manifest, plain=self.request.plain)
        (self.partial / INSTRUCTIONS).write_text(instructions, encoding="utf-8", newline="\n")
        clear_note(self.partial)
        return await asyncio.to_thread(write_manifest, self.partial, manifest)


async def _to_the_end(task: asyncio.Task[None]) -> None:
    """Await a task that must not be left half-way: a cancellation waits for its end."""
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _first_failure(*tasks: asyncio.Task[Any]) -> None:
    """Wait for all tasks, or raise what the first one that fails raises."""
    for done in asyncio.as_completed(tasks):
        await done


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
