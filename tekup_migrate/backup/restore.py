"""The way back: a backup over the live database, or one of its tables under a new name."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tekup_migrate.backup.access import open_access
from tekup_migrate.backup.contents import digest_table
from tekup_migrate.backup.locking import nothing_written_since
from tekup_migrate.backup.manifest import ARCHIVE, Manifest, TableContent
from tekup_migrate.backup.programs import DumpPrograms, choose_programs
from tekup_migrate.backup.script import Script, read_sql, run_script
from tekup_migrate.backup.toc import ArchiveEntry, by_table, entries_of, write_list
from tekup_migrate.backup.trial import RestoredTable, compare_table
from tekup_migrate.backup.verify import require_whole
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError
from tekup_migrate.events import Listener, Progress
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.connection import connect
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.quoting import Relation, quote_ident
from tekup_migrate.steps import Verdict

if TYPE_CHECKING:
    import asyncpg

_SETTINGS = {"lock_timeout": "1min"}


@dataclass(frozen=True)
class TableChange:
    """What restoring would do to one table.

    Attributes:
        relation: its name.
        rows_now: rows in it now, or None where it does not exist.
        rows_then: rows in the backup, or None where the backup does not have it; it then stays as it is.
        equal: whether every column of every row is as in the backup, so that restoring loses nothing.
        digest: of the rows now, or empty where the table does not exist.
        snapshot: the server's snapshot in which they were counted.
    """

    relation: Relation
    rows_now: int | None
    rows_then: int | None
    equal: bool
    digest: str = ""
    snapshot: str = field(default="", compare=False)

    @property
    def table(self) -> str:
        """Its label, ``schema.name``."""
        return str(self.relation)

    @property
    def loses(self) -> bool:
        """Whether rows that are there now are replaced by others."""
        return bool(self.rows_now) and self.rows_then is not None and not self.equal

    def __str__(self) -> str:
        if self.rows_then is None:
            return f"{self.table}: not in the backup, {self.rows_now:,} rows stay"
        if self.rows_now is None:
            return f"{self.table}: does not exist now, {self.rows_then:,} rows come back"
        if self.equal:
            return f"{self.table}: unchanged since the backup, {self.rows_now:,} rows"
        return f"{self.table}: {self.rows_now:,} rows now are replaced by {self.rows_then:,} rows of the backup"


@dataclass(frozen=True)
class RestoreResult:
    """What a restore in place did: every table compared by digest, and the entries that were left alone."""

    tables: tuple[RestoredTable, ...]
    left_alone: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """``passed`` when every table of the backup is back, equal."""
        return Verdict.PASSED if all(table.equal for table in self.tables) else Verdict.DIFFERS


async def changes_since(
    folder: Path, url: ConnectionUrl, password: Secret, *, listen: Listener, gate: Gate
) -> tuple[TableChange, ...]:
    """Return, table by table, what a restore in place would lose: counted and digested now, in one snapshot.

    Raises:
        MigrationError: the folder is no backup, or the database cannot be read.
        PauseRequested: a pause was asked for.
    """
    manifest = await asyncio.to_thread(Manifest.load, folder)
    return await gate.guard(_changes(manifest, url, password, listen))


async def _changes(
    manifest: Manifest, url: ConnectionUrl, password: Secret, listen: Listener
) -> tuple[TableChange, ...]:
    connection = await connect(url, password, settings=_SETTINGS)
    try:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = await connection.fetchval("SELECT pg_catalog.pg_current_snapshot()::text")
        live = {Relation(*row) for row in await connection.fetch(_LIVE, list(manifest.schemas))}
        then = {Relation(table.schema, table.name): table for table in manifest.tables}
        changes = []
        for number, relation in enumerate(sorted(live | then.keys()), 1):
            change = await _change(connection, relation, relation in live, then.get(relation))
            changes.append(replace(change, snapshot=snapshot))
            listen(Progress(label="comparison", done=number, total=len(live | then.keys()), unit="tables"))
        return tuple(changes)
    finally:
        connection.terminate()


async def _change(
    connection: asyncpg.Connection, relation: Relation, exists: bool, then: TableContent | None
) -> TableChange:
    rows_then = then.rows if then else None
    if not exists:
        return TableChange(relation, None, rows_then, equal=False)
    digest = await digest_table(connection, relation)
    equal = then is not None and str(digest) == then.digest
    return TableChange(relation, digest.rows, rows_then, equal=equal, digest=str(digest))


async def restore_in_place(
    folder: Path,
    url: ConnectionUrl,
    password: Secret,
    *,
    listen: Listener,
    gate: Gate,
    counted: Collection[TableChange] = (),
) -> RestoreResult:
    """Replace what a backup holds in the live database by the backup; destructive, and all or nothing.

    Where ``counted`` says what would be lost, it fails if a row was written since: nothing uncounted is ever lost.

    One transaction drops every object of the archive, creates it anew and fills it, so that a failure, a pause or a
    lost connection leaves the database as it was. Objects that the backup does not have stay; one that depends on a
    table of the backup makes the restore fail. Entries that belong to a role which we cannot act as are left alone.

    Raises:
        MigrationError: the backup is damaged, or the restore failed and was rolled back.
        PauseRequested: a pause was asked for before the commit.
    """
    gate.check()
    manifest = await require_whole(folder)
    programs = await choose_programs(manifest.dump_major, restoring=True)
    before = nothing_written_since(counted)
    return await gate.guard(_restore_in_place(folder / ARCHIVE, manifest, programs, url, password, listen, before))


async def _restore_in_place(  # noqa: PLR0917 - the parts of one restore
    archive: Path,
    manifest: Manifest,
    programs: DumpPrograms,
    url: ConnectionUrl,
    password: Secret,
    listen: Listener,
    before: str,
) -> RestoreResult:
    there = await _read_target(url, password)
    entries = await entries_of(archive, programs)
    # A schema that exists stays: dropping it would fail on, or take, what the backup does not have.
    fitting = [entry for entry in entries if not entry.creates_schema(there.schemas)]
    left = tuple(entry for entry in fitting if _is_foreign(entry, there.foreign_roles))
    with tempfile.TemporaryDirectory(prefix="tekup-migrate-") as temporary:
        chosen = Path(temporary) / "entries.list"
        write_list(chosen, [entry for entry in fitting if entry not in left])
        script = Script(
            restore=("--clean", "--if-exists", f"--use-list={chosen}", str(archive)),
            where=url.label,
            server_major=there.major,
            before=before,
            rows=manifest.rows,
        )
        async with open_access(url, password, programs) as access:
            await run_script(script, access, programs, listen=listen)
    connection = await connect(url, password)
    try:
        tables = tuple([await compare_table(connection, table) for table in manifest.tables])
    finally:
        connection.terminate()
    return RestoreResult(tables, tuple(entry.rest for entry in left))


@dataclass(frozen=True)
class _Target:
    """What the database is: its major version, its schemas, and the roles that we cannot act as."""

    major: int
    schemas: tuple[str, ...]
    foreign_roles: tuple[str, ...]


async def _read_target(url: ConnectionUrl, password: Secret) -> _Target:
    connection = await connect(url, password)
    try:
        roles = await connection.fetch(_FOREIGN_ROLES)
        schemas = await connection.fetch("SELECT nspname::text FROM pg_catalog.pg_namespace")
        return _Target(
            major=connection.get_server_version().major,
            schemas=tuple(row["nspname"] for row in schemas),
            foreign_roles=tuple(row["rolname"] for row in roles),
        )
    finally:
        connection.terminate()


def _is_foreign(entry: ArchiveEntry, roles: tuple[str, ...]) -> bool:
    return any(entry.rest.endswith(f" {role}") for role in roles)


async def restore_table(
    folder: Path,
    table: Relation,
    new_name: str,
    url: ConnectionUrl,
    password: Secret,
    *,
    listen: Listener,
    gate: Gate,
) -> RestoredTable:
    """Restore one table of a backup beside the live one, under a new name in the same schema; nothing is replaced.

    It gets its columns, defaults aside, and its rows; no keys, indexes or policies. Row-level security is enabled on
    it, so that rows which were protected are not served by the API under another name.

    Raises:
        MigrationError: the backup is damaged or lacks the table, the new name is taken, or the restore failed.
        PauseRequested: a pause was asked for before the commit.
    """
    gate.check()
    manifest = await require_whole(folder)
    content = manifest.table(table.schema, table.name)
    if content is None:
        raise MigrationError(
            f"The backup does not hold {table}",
            happened=f"{folder.name} holds: {', '.join(each.label for each in manifest.tables)}.",
            unchanged="Nothing was restored.",
            remedy="Name one of these tables, or another backup.",
        )
    return await gate.guard(_restore_table(folder / ARCHIVE, content, new_name, url, password, listen))


async def _restore_table(  # noqa: PLR0917 - the parts of one restore
    archive: Path, content: TableContent, new_name: str, url: ConnectionUrl, password: Secret, listen: Listener
) -> RestoredTable:
    manifest = await asyncio.to_thread(Manifest.load, archive.parent)
    programs = await choose_programs(manifest.dump_major, restoring=True)
    entries = await entries_of(archive, programs)
    old, new = Relation(content.schema, content.name), Relation(content.schema, new_name)
    there = await _read_target(url, password)
    with tempfile.TemporaryDirectory(prefix="tekup-migrate-") as temporary:
        definition, rows = Path(temporary) / "definition.list", Path(temporary) / "rows.list"
        for file, kind in ((definition, "TABLE"), (rows, "TABLE DATA")):
            write_list(file, by_table(kind, entries, manifest.tables).get(content, ()))
        options = (f"--use-list={definition}", "--no-owner", "--no-tablespaces")
        sql = _statement(await read_sql(archive, options, programs), old, new)
        script = Script(
            restore=(f"--use-list={rows}", str(archive)),
            where=url.label,
            server_major=there.major,
            before=f"{sql}\nALTER TABLE {new.sql} ENABLE ROW LEVEL SECURITY;\n",
            edit=lambda head: _renamed(head.decode("utf-8", "surrogateescape"), "COPY", old, new).encode(
                "utf-8", "surrogateescape"
            ),
        )
        async with open_access(url, password, programs) as access:
            await run_script(script, access, programs, listen=listen)
    connection = await connect(url, password)
    try:
        digest = await digest_table(connection, new)
    finally:
        connection.terminate()
    return RestoredTable(content, str(digest), digest.rows)


def _statement(sql: str, old: Relation, new: Relation) -> str:
    """Return the CREATE TABLE statement out of a definition, with the new name."""
    found = re.search(rf"(?ms)^CREATE (?:UNLOGGED )?TABLE {_spelled(old)} \(.*?^\)[^\n]*;$", sql)
    if found is None:
        raise MigrationError(
            f"The definition of {old} was not understood",
            happened="pg_restore writes the table in a form that this program does not know.",
            unchanged="Nothing was restored.",
            remedy="Restore the table with pg_restore, as RESTORE.md in the backup's folder says.",
            details=sql,
        )
    return _renamed(found[0], "CREATE (?:UNLOGGED )?TABLE", old, new)


def _renamed(sql: str, command: str, old: Relation, new: Relation) -> str:
    pattern = re.compile(rf"(?m)^({command}) {_spelled(old)} \(")
    return pattern.sub(lambda match: f"{match[1]} {new.sql} (", sql, count=1)


def _spelled(relation: Relation) -> str:
    """Return a pattern for a qualified name as pg_restore spells it: each part quoted only where it must be."""
    parts = [f"(?:{re.escape(name)}|{re.escape(quote_ident(name))})" for name in (relation.schema, relation.name)]
    return r"\.".join(parts)


_LIVE = """
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname::text = ANY ($1::text[])
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
"""

_FOREIGN_ROLES = """
SELECT rolname::text FROM pg_catalog.pg_roles
WHERE NOT pg_catalog.pg_has_role(oid, 'MEMBER') ORDER BY rolname
"""
