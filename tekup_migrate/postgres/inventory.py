"""Lists the tables of a schema with their sizes, for the operator to recognise their project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

COUNT_UP_TO_BYTES = 512 * 1024 * 1024
"""Tables up to this size are counted; above it the planner's estimate is shown, because counting reads them whole."""

_TABLES = """
    SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind, c.reltuples::int8 AS estimate,
           pg_total_relation_size(c.oid) AS bytes, pg_table_size(c.oid) AS table_bytes, c.relrowsecurity AS row_security,
           has_table_privilege(c.oid, 'SELECT') AS readable
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
          AND d.deptype = 'e')
    ORDER BY c.relname
"""


class TableSize(Struct, frozen=True, kw_only=True):
    """One table of the inventory.

    Attributes:
        relation_schema: its schema.
        name: its name.
        rows: its rows, or -1 where nothing is known.
        exact: whether ``rows`` was counted; else it is the planner's estimate.
        bytes: the table with its indexes and TOAST.
        row_security: whether row level security is on.
    """

    relation_schema: str
    name: str
    rows: int
    exact: bool
    bytes: int
    row_security: bool

    @property
    def relation(self) -> Relation:
        """The table's qualified name."""
        return Relation(self.relation_schema, self.name)


async def inventory(connection: asyncpg.Connection, schema: str = "public") -> tuple[TableSize, ...]:
    """Return the tables of a schema by name, with rows, bytes, and whether row level security is on."""
    found = []
    for row in await connection.fetch(_TABLES, schema):
        relation = Relation(row["schema"], row["name"])
        countable = row["readable"] and row["table_bytes"] <= COUNT_UP_TO_BYTES
        rows = await _count(connection, relation) if countable else row["estimate"]
        found.append(
            TableSize(
                relation_schema=relation.schema,
                name=relation.name,
                rows=rows,
                exact=countable,
                bytes=row["bytes"],
                row_security=row["row_security"],
            )
        )
    return tuple(found)


async def _count(connection: asyncpg.Connection, relation: Relation) -> int:
    count: int = await connection.fetchval(f"SELECT count(*) FROM {relation.sql}")  # noqa: S608 - quoted
    return count
