"""A trial restore: an archive's definitions, then its rows, table by table, each compared as soon as it is in."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tekup_migrate.backup.access import open_access
from tekup_migrate.backup.contents import digest_table
from tekup_migrate.backup.manifest import Manifest, TableContent
from tekup_migrate.backup.pg_restore import Restoration, RestoreProblem, run_pg_restore, without_schemas
from tekup_migrate.backup.programs import DumpPrograms
from tekup_migrate.backup.progress import COPY_IN, TableProgress
from tekup_migrate.backup.shims import Shims, install_shims
from tekup_migrate.backup.toc import ArchiveEntry, by_table
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.events import Listener, Progress
from tekup_migrate.postgres.connection import connect
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

_AT_ONCE = 2
_PORTION_BYTES = 64_000_000
"""Tables that are smaller are restored together, because starting pg_restore for each takes longer than they do."""

_LATER = frozenset(
    (
        *("INDEX", "INDEX ATTACH", "TRIGGER", "EVENT TRIGGER", "POLICY", "ROW SECURITY", "RULE", "STATISTICS"),
        *("COMMENT", "ACL", "DEFAULT ACL", "MATERIALIZED VIEW DATA", "PUBLICATION", "PUBLICATION TABLE"),
    )
)
"""Entries that say nothing of which rows there are: a vector index over them takes minutes and proves nothing more.

Every definition, indexes included, is carried out on empty tables before.
"""


@dataclass(frozen=True)
class RestoreTarget:
    """A throw-away server to restore into.

    Attributes:
        url: of a superuser, on loopback; the database is the one to create others from.
        password: the superuser's.
    """

    url: ConnectionUrl
    password: Secret


@dataclass(frozen=True)
class RestoredTable:
    """One table of the backup, and what was found of it after the restore; ``found`` is None where it is missing."""

    expected: TableContent
    found: str | None
    rows: int

    @property
    def equal(self) -> bool:
        """Whether every column of every row came back."""
        return self.found == self.expected.digest


@dataclass(frozen=True)
class Trial:
    """The trial restore of one archive into a throw-away server.

    Attributes:
        archive: the directory archive.
        target: the server.
        manifest: of the backup.
        programs: Postgres' programs that read the archive.
        listen: takes events.
    """

    archive: Path
    target: RestoreTarget
    manifest: Manifest
    programs: DumpPrograms
    listen: Listener

    async def define(self, entries: Sequence[ArchiveEntry]) -> tuple[Shims, tuple[RestoreProblem, ...]]:
        """Carry every definition out on empty tables; return what stood in, and what could not be made."""
        async with self._room() as room:
            return room.shims, await room.restore([entry for entry in entries if entry.kind != "TABLE DATA"])

    async def prove(
        self, entries: Sequence[ArchiveEntry], tables: Collection[TableContent], note: Callable[[RestoredTable], None]
    ) -> tuple[tuple[RestoredTable, ...], tuple[RestoreProblem, ...]]:
        """Restore the rows of some tables and compare them; return what was found, and what could not be restored.

        Where it is all tables, foreign keys are made over their rows at the end; else rows would be missing to them.
        """
        if not tables:
            return (), ()
        attaching = _key_attachments(entries)
        wanted = [entry for entry in entries if entry.kind not in _LATER or entry in attaching]
        rows = by_table("TABLE DATA", wanted, self.manifest.tables)
        keys = by_table("CONSTRAINT", wanted, self.manifest.tables)
        # A CHECK that is an entry of its own is NOT VALID: rows that were there before it may break it.
        late = ("FK CONSTRAINT", "CHECK CONSTRAINT")
        after = [entry for entry in wanted if entry.kind in late or entry in attaching]
        apart = {entry for each in (rows, keys) for found in each.values() for entry in found} | set(after)
        progress = TableProgress.of_restore(tables, self.listen)
        async with self._room() as room, _watched(room, progress):
            problems = list(await room.restore([entry for entry in wanted if entry not in apart]))
            work = _Portions(room, rows, keys, progress, note, _portions(tables), len(tables), [], [])
            await _all(work.carry_out() for _ in range(_AT_ONCE))
            problems += work.problems
            if len(tables) == len(self.manifest.tables):
                problems += await room.restore(after)
        progress.complete()
        return tuple(work.found), tuple(problems)

    @asynccontextmanager
    async def _room(self) -> AsyncIterator[_Room]:
        """Make a new database with what the archive needs; it is gone afterwards."""
        name = f"drill_{secrets.token_hex(6)}"
        administrator = await connect(self.target.url, self.target.password)
        try:
            await administrator.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
            try:
                url = replace(self.target.url, database=name)
                connection = await connect(url, self.target.password)
                try:
                    yield _Room(self, url, await install_shims(connection, self.manifest))
                finally:
                    connection.terminate()
            finally:
                await asyncio.shield(administrator.execute(f"DROP DATABASE {name} WITH (FORCE)"))
        finally:
            administrator.terminate()


@dataclass(frozen=True)
class _Room:
    """A database of a trial, and what stands in there for what the server lacks."""

    trial: Trial
    url: ConnectionUrl
    shims: Shims

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[asyncpg.Connection]:
        """Connect to it."""
        connection = await connect(self.url, self.trial.target.password)
        try:
            yield connection
        finally:
            connection.terminate()

    async def restore(self, entries: Sequence[ArchiveEntry]) -> tuple[RestoreProblem, ...]:
        """Restore entries, and return what could not be restored."""
        chosen = without_schemas(entries, ("public", *self.shims.schemas))
        if not chosen:
            return ()
        restoration = Restoration(archive=self.trial.archive, entries=chosen, database=self.url.database)
        async with open_access(self.url, self.trial.target.password, self.trial.programs) as access:
            return await run_pg_restore(restoration, access, self.trial.programs, listen=self.trial.listen)


_Entries = dict[TableContent, list[ArchiveEntry]]


@dataclass(frozen=True)
class _Portions:
    """The tables that are still to be restored, portion by portion, and what was found so far."""

    room: _Room
    rows: _Entries
    keys: _Entries
    progress: TableProgress
    note: Callable[[RestoredTable], None]
    waiting: list[tuple[TableContent, ...]]
    total: int
    found: list[RestoredTable]
    problems: list[RestoreProblem]

    async def carry_out(self) -> None:
        """Take portions until none is left; several can do so at once."""
        async with self.room.connected() as connection:
            while self.waiting:
                portion = self.waiting.pop(0)
                entries = [
                    entry for kind in (self.rows, self.keys) for table in portion for entry in kind.get(table, ())
                ]
                problems = await self.room.restore(entries)
                self.problems.extend(problems)
                for table in portion:
                    self.progress.finished(Relation(table.schema, table.name))
                    restored = await self._compare(connection, table)
                    # A key that could not be made must be found again after a pause.
                    if restored.equal and not problems:
                        self.note(restored)

    async def _compare(self, connection: asyncpg.Connection, table: TableContent) -> RestoredTable:
        restored = await compare_table(connection, table)
        self.found.append(restored)
        self.room.trial.listen(Progress(label="comparison", done=len(self.found), total=self.total, unit="tables"))
        return restored


async def _all(works: Iterable[Coroutine[None, None, None]]) -> None:
    """Await all, or cancel the others and raise what the first one that fails raises."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        for done in asyncio.as_completed(tasks):
            await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _watched(room: _Room, progress: TableProgress) -> AsyncIterator[None]:
    """Show how far a restore is for the length of the block."""
    ended = asyncio.Event()
    async with room.connected() as connection:
        watching = asyncio.create_task(progress.watch(connection, COPY_IN, ended))
        try:
            yield
        finally:
            ended.set()
            await asyncio.gather(watching, return_exceptions=True)


def _key_attachments(entries: Iterable[ArchiveEntry]) -> frozenset[ArchiveEntry]:
    """Return what completes the keys of partitioned tables: without it no foreign key can refer to one."""
    kept = tuple(entries)
    keys = tuple(entry.rest for entry in kept if entry.kind == "CONSTRAINT")
    # Both lists name the schema first, and the key's name and owner last.
    return frozenset(
        entry
        for entry in kept
        if entry.kind == "INDEX ATTACH" and any(key.endswith(f" {entry.rest.split(' ', 3)[-1]}") for key in keys)
    )


def _portions(tables: Collection[TableContent]) -> list[tuple[TableContent, ...]]:
    """Return the tables as they are restored: the largest first and alone, small ones together."""
    portions: list[tuple[TableContent, ...]] = []
    room = 0
    for table in sorted(tables, key=lambda table: table.bytes, reverse=True):
        if table.bytes > room:
            portions.append(())
            room = _PORTION_BYTES
        portions[-1] += (table,)
        room -= table.bytes
    return portions


async def compare_table(connection: asyncpg.Connection, table: TableContent) -> RestoredTable:
    """Look for a table of the backup in a database, and take its digest there."""
    relation = Relation(table.schema, table.name)
    exists = await connection.fetchval("SELECT pg_catalog.to_regclass($1) IS NOT NULL", relation.sql)
    if not exists:
        return RestoredTable(table, None, 0)
    digest = await digest_table(connection, relation)
    return RestoredTable(table, str(digest), digest.rows)
