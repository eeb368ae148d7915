"""What a database holds that a backup must know beforehand: its tables, and whether all rows can be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.backup.manifest import InstalledExtension, OutsideFunction, major_of
from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

_MEGABYTE = 1_000_000
_BASE_ROOM = 64 * _MEGABYTE


@dataclass(frozen=True)
class SourceTable:
    """A table that will be dumped; ``rows`` is the server's estimate, ``bytes`` its size without indexes.

    Attributes:
        bulky: whether it has vectors or bytes, which grow as text and barely compress.
        hidden: whether row-level security hides rows of it from us.
        readable: whether we may select from it.
    """

    oid: int
    relation: Relation
    rows: int
    bytes: int
    bulky: bool
    hidden: bool
    readable: bool


@dataclass(frozen=True)
class Survey:
    """What the database says about itself in the dump's snapshot.

    Attributes:
        user: the role we are.
        database: the database's name.
        server_version: as the server calls itself, without the distributor's words.
        snapshot_at: the snapshot's time, ISO 8601, UTC.
        tables: the tables in the schemas asked for, the largest first.
        roles: every role but the built-in ones.
        extensions: every extension but ``plpgsql``.
        functions: functions of other schemas that something calls.
    """

    user: str
    database: str
    server_version: str
    snapshot_at: str
    tables: tuple[SourceTable, ...]
    roles: tuple[str, ...]
    extensions: tuple[InstalledExtension, ...]
    functions: tuple[OutsideFunction, ...]

    @property
    def server_major(self) -> int:
        """The server's major version."""
        return major_of(self.server_version)

    @property
    def archive_bytes(self) -> int:
        """A careful estimate of the archive's size.

        A vector of float4 is three times as large in text and shrinks to 1.4 times its size under gzip:1; other
        rows, measured on text, stay under three quarters of their table's size.
        """
        return _BASE_ROOM + sum(table.bytes * 3 // 2 if table.bulky else table.bytes * 3 // 4 for table in self.tables)

    @property
    def plain_bytes(self) -> int:
        """A careful estimate of the size as plain SQL text."""
        return _BASE_ROOM + sum(table.bytes * 4 if table.bulky else table.bytes * 2 for table in self.tables)


async def survey(connection: asyncpg.Connection, schemas: tuple[str, ...]) -> Survey:
    """Read what will be dumped, in the connection's transaction.

    Raises:
        MigrationError: a schema does not exist, or rows would be missing from the dump.
    """
    known = await connection.fetch(
        "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname::text = ANY ($1::text[])", list(schemas)
    )
    missing = set(schemas) - {row["nspname"] for row in known}
    if missing:
        raise MigrationError(
            "A schema to back up does not exist",
            happened=f"The database has no schema {', '.join(sorted(missing))}.",
            unchanged="Nothing was dumped or written.",
            remedy="Correct the schema's name in the plan.",
        )
    [about] = await connection.fetch(_ABOUT)
    tables = tuple(_table(row) for row in await connection.fetch(_TABLES, list(schemas)))
    _refuse_hidden_rows(about["role"], tables)
    return Survey(
        user=about["role"],
        database=about["database"],
        server_version=about["version"].split(" ")[0],
        snapshot_at=about["at"],
        tables=tables,
        roles=tuple(row["rolname"] for row in await connection.fetch(_ROLES)),
        extensions=tuple(InstalledExtension(*row) for row in await connection.fetch(_EXTENSIONS)),
        functions=tuple(OutsideFunction(*row) for row in await connection.fetch(_OUTSIDE_FUNCTIONS, list(schemas))),
    )


def _table(row: asyncpg.Record) -> SourceTable:
    return SourceTable(
        oid=row["oid"],
        relation=Relation(row["schema"], row["name"]),
        rows=row["rows"],
        bytes=row["bytes"],
        bulky=row["bulky"],
        hidden=row["hidden"],
        readable=row["readable"],
    )


def _refuse_hidden_rows(role: str, tables: tuple[SourceTable, ...]) -> None:
    hidden = [str(table.relation) for table in tables if table.hidden]
    if hidden:
        raise MigrationError(
            f"The role {role} does not see every row",
            happened=f"Row-level security applies to {role}, which has no BYPASSRLS, on: {', '.join(hidden)}. "
            "A backup by this role would miss rows without saying so.",
            unchanged="Nothing was dumped or written.",
            remedy="Connect as the project's postgres role, or as another one with BYPASSRLS.",
        )
    unreadable = [str(table.relation) for table in tables if not table.readable]
    if unreadable:
        raise MigrationError(
            f"The role {role} may not read every table",
            happened=f"{role} has no SELECT on: {', '.join(unreadable)}.",
            unchanged="Nothing was dumped or written.",
            remedy="Connect as the tables' owner, or grant SELECT on them to this role.",
        )


_ABOUT = """
SELECT current_user::text AS role, pg_catalog.current_database()::text AS database,
       pg_catalog.current_setting('server_version') AS version,
       pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at
"""

_TABLES = """
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name,
       pg_catalog.pg_table_size(c.oid) AS bytes, greatest(c.reltuples, 0)::bigint AS rows,
       EXISTS (
           SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND t.typname IN ('vector', 'halfvec', 'bytea')
       ) AS bulky,
       c.relrowsecurity AND NOT (r.rolsuper OR r.rolbypassrls)
           AND (c.relforcerowsecurity OR NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')) AS hidden,
       pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles r ON r.rolname = current_user
WHERE c.relkind = 'r' AND n.nspname::text = ANY ($1::text[])
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
ORDER BY bytes DESC, schema, name
"""

_ROLES = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname"

_EXTENSIONS = """
SELECT e.extname::text, n.nspname::text, e.extversion
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql'
ORDER BY e.extname
"""

# Defaults, constraints, policies, views, triggers, index expressions and SQL-standard bodies record what they call.
_OUTSIDE_FUNCTIONS = """
SELECT DISTINCT n.nspname::text, p.proname::text, pg_catalog.pg_get_function_identity_arguments(p.oid),
       pg_catalog.pg_get_function_result(p.oid)
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype IN ('n', 'a') AND p.prokind = 'f'
  AND d.classid = ANY (ARRAY['pg_catalog.pg_attrdef', 'pg_catalog.pg_constraint', 'pg_catalog.pg_policy',
      'pg_catalog.pg_rewrite', 'pg_catalog.pg_trigger', 'pg_catalog.pg_class',
      'pg_catalog.pg_proc']::pg_catalog.regclass[])
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname::text <> ALL ($1::text[])
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e'
  )
ORDER BY 1, 2, 3
"""
