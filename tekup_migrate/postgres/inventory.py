"""What a schema holds: its tables with rows, bytes, and whether row-level security is on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

COUNTED_TO = 2_000_000
"""Tables that the server believes to be larger are estimated: counting one would keep it busy for long."""


@dataclass(frozen=True)
class StockedTable:
    """One table of the inventory.

    Attributes:
        name: without its schema.
        rows: how many there are.
        counted: whether ``rows`` was counted, or is the server's estimate.
        bytes: on disk, with indexes and TOAST.
        row_security: whether row-level security is on.
    """

    name: str
    rows: int
    counted: bool
    bytes: int
    row_security: bool


async def inventory(connection: asyncpg.Connection, schema: str = "public") -> tuple[StockedTable, ...]:
    """Return the ordinary and partitioned tables of a schema, by name.

    Raises:
        asyncpg.PostgresError: the role may not read one of them.
    """
    found = await connection.fetch(
        """
        SELECT c.relname AS name, c.reltuples::bigint AS estimate, c.relrowsecurity AS row_security,
               pg_catalog.pg_total_relation_size(c.oid) AS bytes
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        ORDER BY c.relname COLLATE "C"
        """,
        schema,
    )
    tables = []
    for row in found:
        counted = row["estimate"] <= COUNTED_TO
        relation = Relation(schema, row["name"])
        rows = await connection.fetchval(f"SELECT count(*) FROM {relation.sql}") if counted else row["estimate"]
        tables.append(StockedTable(row["name"], rows, counted, row["bytes"], row["row_security"]))
    return tuple(tables)
