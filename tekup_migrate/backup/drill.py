"""The restore drill: a backup counts when it has been restored and every row was found again."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tekup_migrate.backup.access import open_access
from tekup_migrate.backup.contents import digest_table
from tekup_migrate.backup.manifest import ARCHIVE, Manifest, TableContent
from tekup_migrate.backup.pg_restore import Restoration, RestoreProblem, run_pg_restore, without_schemas
from tekup_migrate.backup.programs import DumpPrograms, choose_programs
from tekup_migrate.backup.progress import COPY_IN, TableProgress
from tekup_migrate.backup.shims import Shims, install_shims
from tekup_migrate.backup.toc import ArchiveEntry, entries_of
from tekup_migrate.backup.verify import require_whole
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.events import Listener, Progress
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.connection import connect
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.programs import EMBEDDED_MAJORS
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.steps import Evidence, Figure, Verdict

if TYPE_CHECKING:
    import asyncpg

_MISSING = re.compile(
    r"(?P<kind>schema|relation|type|function|operator class|access method|table|role|text search \w+) "
    r'"?(?P<name>[^"( ]+)"?(?:\(.*\))? does not exist'
)


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
class LeftOut:
    """Something that could not be restored, and why.

    ``outside`` says that the reason is something the archive never held, such as a table of another schema.
    """

    entry: str
    reason: str
    outside: bool


@dataclass(frozen=True)
class DrillResult:
    """What a restore drill proved.

    Attributes:
        folder: the backup.
        server_version: the version of the server that it was restored into.
        tables: every table of the backup.
        left_out: what could not be restored.
        shims: what stood in for what the throw-away server lacks.
        seconds: how long the drill took.
    """

    folder: Path
    server_version: str
    tables: tuple[RestoredTable, ...]
    left_out: tuple[LeftOut, ...]
    shims: tuple[str, ...]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """``passed`` when every table came back equal and nothing is left out for a reason inside the archive."""
        if any(table.found is not None and not table.equal for table in self.tables):
            return Verdict.DIFFERS
        if any(not left.outside for left in self.left_out):
            return Verdict.DIFFERS
        # A table that needs an extension which this server cannot have: nothing is known of its rows.
        return Verdict.PASSED if all(table.equal for table in self.tables) else Verdict.UNVERIFIED

    @property
    def evidence(self) -> Evidence:
        """The result as a step's evidence."""
        equal = sum(table.equal for table in self.tables)
        rows = sum(table.rows for table in self.tables if table.equal)
        facts = [f"Restored into Postgres {self.server_version}; every column of every row compared by digest."]
        facts += [_fact(table) for table in self.tables]
        facts += [f"Not restored: {left.entry}: {left.reason}" for left in self.left_out]
        if self.shims:
            facts.append(f"Stood in for by the drill: {', '.join(self.shims)}.")
        return Evidence(
            verdict=self.verdict,
            summary=f"{equal} of {len(self.tables)} tables restored and equal, {rows:,} rows",
            facts=tuple(facts),
            figures=(Figure("rows", rows, "rows"), Figure("drill", round(self.seconds, 1), "seconds")),
        )


def drill_major(manifest: Manifest) -> int:
    """Return the embedded major version to restore a backup into: the oldest that its archive fits.

    The newest one where the source is newer still; the drill then says what it could not restore.
    """
    wanted = max(manifest.server_major, manifest.dump_major)
    return next((major for major in sorted(EMBEDDED_MAJORS) if major >= wanted), max(EMBEDDED_MAJORS))


def expected_seconds(manifest: Manifest) -> float:
    """Return how long a drill of a backup will take, to be shown beforehand.

    Measured on 100 000 documents and vectors, a drill takes twice as long as its dump took; a server is started too.
    """
    took = datetime.fromisoformat(manifest.ended) - datetime.fromisoformat(manifest.started)
    return 5 + 2 * took.total_seconds()


async def drill(folder: Path, target: RestoreTarget, *, listen: Listener, gate: Gate, jobs: int = 2) -> DrillResult:
    """Restore a backup into new databases of a throw-away server and compare every table's digest.

    The databases are dropped at the end, and at a pause; the drill then starts over.

    Raises:
        MigrationError: the backup is damaged, or pg_restore could not do its work at all.
        PauseRequested: a pause was asked for.
    """
    gate.check()
    return await gate.guard(_drill(folder, target, listen, jobs))


async def _drill(folder: Path, target: RestoreTarget, listen: Listener, jobs: int) -> DrillResult:
    began = time.monotonic()
    manifest = await require_whole(folder, rows=False)
    programs = await choose_programs(manifest.dump_major, restoring=True)
    version = await _version(target)
    work = _Drill(folder / ARCHIVE, target, manifest, programs, listen, jobs)
    entries = await entries_of(folder / ARCHIVE, programs)
    definitions = [entry for entry in entries if entry.kind != "TABLE DATA"]
    shims, undefined, _ = await work.restore(definitions, compare=False)
    _, unrestored, tables = await work.restore([entry for entry in entries if _matters_for_rows(entry)], compare=True)
    return DrillResult(
        folder=folder,
        server_version=version,
        tables=tables,
        left_out=_left_out((*undefined, *unrestored), manifest, shims),
        shims=shims.notes,
        seconds=time.monotonic() - began,
    )


def _matters_for_rows(entry: ArchiveEntry) -> bool:
    """Whether an entry decides what rows there are: a vector index over them takes minutes and proves nothing more.

    Every definition, indexes included, was carried out on the empty tables before.
    """
    return entry.kind not in _LATER


_LATER = frozenset(
    (
        *("INDEX", "INDEX ATTACH", "TRIGGER", "EVENT TRIGGER", "POLICY", "ROW SECURITY", "RULE", "STATISTICS"),
        *("COMMENT", "ACL", "DEFAULT ACL", "MATERIALIZED VIEW DATA", "PUBLICATION", "PUBLICATION TABLE"),
    )
)


@dataclass(frozen=True)
class _Drill:
    archive: Path
    target: RestoreTarget
    manifest: Manifest
    programs: DumpPrograms
    listen: Listener
    jobs: int

    async def restore(
        self, entries: list[ArchiveEntry], *, compare: bool
    ) -> tuple[Shims, tuple[RestoreProblem, ...], tuple[RestoredTable, ...]]:
        """Restore entries into a new database, which is gone afterwards; compare its rows where there are any."""
        async with self._database() as database:
            url = replace(self.target.url, database=database)
            connection = await connect(url, self.target.password)
            try:
                shims = await install_shims(connection, self.manifest)
                chosen = without_schemas(entries, ("public", *shims.schemas))
                restoration = Restoration(archive=self.archive, entries=chosen, database=database, jobs=self.jobs)
                problems = await self._run(restoration, url, connection, rows=compare)
                tables = await self._compare(connection) if compare else ()
            finally:
                connection.terminate()
        return shims, problems, tables

    async def _run(
        self, restoration: Restoration, url: ConnectionUrl, connection: asyncpg.Connection, *, rows: bool
    ) -> tuple[RestoreProblem, ...]:
        """Run pg_restore, and show how far it is where it restores rows."""
        progress = TableProgress.of_restore(self.manifest.tables, self.listen) if rows else None
        ended = asyncio.Event()
        watching = asyncio.create_task(progress.watch(connection, COPY_IN, ended)) if progress else None
        try:
            async with open_access(url, self.target.password, self.programs) as access:
                problems = await run_pg_restore(
                    restoration, access, self.programs, listen=self.listen, progress=progress
                )
        finally:
            if watching is not None:
                # The connection is needed again: its last look must end by itself.
                ended.set()
                await asyncio.gather(watching, return_exceptions=True)
        if progress is not None:
            progress.complete()
        return problems

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[str]:
        name = f"drill_{secrets.token_hex(6)}"
        administrator = await connect(self.target.url, self.target.password)
        try:
            await administrator.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
            try:
                yield name
            finally:
                await asyncio.shield(administrator.execute(f"DROP DATABASE {name} WITH (FORCE)"))
        finally:
            administrator.terminate()

    async def _compare(self, connection: asyncpg.Connection) -> tuple[RestoredTable, ...]:
        tables = []
        total = len(self.manifest.tables)
        for number, table in enumerate(self.manifest.tables, 1):
            tables.append(await compare_table(connection, table))
            self.listen(Progress(label="comparison", done=number, total=total, unit="tables"))
        return tuple(tables)


async def _version(target: RestoreTarget) -> str:
    connection = await connect(target.url, target.password)
    try:
        version: str = await connection.fetchval("SHOW server_version")
    finally:
        connection.terminate()
    return version.split(" ", maxsplit=1)[0]


async def compare_table(connection: asyncpg.Connection, table: TableContent) -> RestoredTable:
    """Look for a table of the backup in a database, and take its digest there."""
    relation = Relation(table.schema, table.name)
    exists = await connection.fetchval("SELECT pg_catalog.to_regclass($1) IS NOT NULL", relation.sql)
    if not exists:
        return RestoredTable(table, None, 0)
    digest = await digest_table(connection, relation)
    return RestoredTable(table, str(digest), digest.rows)


def _left_out(problems: Iterable[RestoreProblem], manifest: Manifest, shims: Shims) -> tuple[LeftOut, ...]:
    """Return each entry that failed once, with its first reason; what leans on such an entry has its reason too."""
    inside = set(manifest.schemas) - {extension.schema for extension in shims.lacking}
    found: dict[str, LeftOut] = {}
    for problem in problems:
        match = _MISSING.search(problem.error)
        schema, _, name = match["name"].rpartition(".") if match else ("", "", "")
        # A bare name is looked for nowhere while restoring; only these have no schema by nature.
        whose = schema or (name if match and match["kind"] in ("schema", "role", "access method") else "")
        outside = bool(whose) and whose not in inside
        leaning = bool(name) and any(left.outside and f" {name} " in left.entry for left in found.values())
        left = LeftOut(problem.entry, problem.error, outside=outside or leaning)
        found.setdefault(problem.entry, left)
    return tuple(found.values())


def _fact(table: RestoredTable) -> str:
    if table.equal:
        return f"{table.expected.label}: {table.rows:,} rows, equal"
    if table.found is None:
        return f"{table.expected.label}: not restored"
    return f"{table.expected.label}: differs; {table.rows:,} rows restored, {table.expected.rows:,} in the source"
