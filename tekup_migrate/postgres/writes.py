"""Whether tables are being written to, and by whom: the server's own counters, and who is connected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

LOOK_SECONDS = 2.5
"""A session hands its counts in at most once a second while it is busy, and when it ends (pgstat.c)."""


@dataclass(frozen=True)
class Client:
    """Who is connected: one application and user, and how many connections they hold."""

    application: str
    user: str
    connections: int

    def __str__(self) -> str:
        return f"{self.application or '(no application name)'} as {self.user}: {self.connections} connections"


@dataclass(frozen=True)
class Written:
    """How many rows of a table were inserted, updated or deleted while it was watched."""

    relation: Relation
    rows: int


async def watch_writes(
    connection: asyncpg.Connection, relations: Sequence[Relation], *, seconds: float = LOOK_SECONDS
) -> tuple[Written, ...]:
    """Watch some tables for a while; return those that were written to."""
    before = await _counts(connection, relations)
    await asyncio.sleep(seconds)
    after = await _counts(connection, relations)
    changed = ((relation, after[relation] - before[relation]) for relation in relations)
    return tuple(Written(relation, rows) for relation, rows in changed if rows)


async def _counts(connection: asyncpg.Connection, relations: Sequence[Relation]) -> dict[Relation, int]:
    rows = await connection.fetch(
        """
        SELECT schemaname, relname, n_tup_ins + n_tup_upd + n_tup_del AS written
        FROM pg_catalog.pg_stat_all_tables
        WHERE (schemaname, relname) IN (SELECT s, t FROM unnest($1::text[], $2::text[]) AS wanted(s, t))
        """,
        [relation.schema for relation in relations],
        [relation.name for relation in relations],
    )
    found = {Relation(row["schemaname"], row["relname"]): int(row["written"]) for row in rows}
    return {relation: found.get(relation, 0) for relation in relations}


async def clients(connection: asyncpg.Connection) -> tuple[Client, ...]:
    """Return who else is connected to this database, most connections first; ourselves left out."""
    rows = await connection.fetch(
        """
        SELECT coalesce(application_name, '') AS application, coalesce(usename, '') AS "user", count(*) AS connections
        FROM pg_catalog.pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> $1
        GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
        """,
        "tekup-migrate",
    )
    return tuple(Client(row["application"], row["user"], row["connections"]) for row in rows)
