"""Who is connected, and which tables are being written to."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

WATCH_SECONDS = 2.5
"""Long enough for a busy session to hand in its counts, which it does at most once a second."""
_LOOKS = 25
"""How often it is looked meanwhile who holds a lock: a transaction may be short."""

_SESSIONS = """
    SELECT coalesce(nullif(a.application_name, ''), '(no name)') AS application, a.usename::text AS user,
           count(*) AS sessions, count(*) FILTER (WHERE a.state = 'active') AS active,
           count(*) FILTER (WHERE a.state LIKE 'idle in transaction%') AS idle_in_transaction,
           max(extract(epoch FROM now() - a.xact_start))::float8 AS longest_transaction
    FROM pg_stat_activity AS a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
      -- Hidden from roles that may not read the statistics of others, whose sessions count all the same.
      AND coalesce(a.backend_type, 'client backend') = 'client backend'
    GROUP BY 1, 2
    ORDER BY 1, 2
"""

_WRITES = """
    SELECT w.schema, w.name, coalesce(s.n_tup_ins, 0) AS inserted, coalesce(s.n_tup_upd, 0) AS updated,
           coalesce(s.n_tup_del, 0) AS deleted
    FROM ROWS FROM (unnest($1::text[]), unnest($2::text[])) AS w(schema, name)
    LEFT JOIN pg_stat_all_tables AS s ON s.schemaname = w.schema AND s.relname = w.name
"""

_WRITERS = """
    WITH wanted AS (
        SELECT c.oid, w.name
        FROM ROWS FROM (unnest($1::text[]), unnest($2::text[])) AS w(schema, name)
        JOIN pg_namespace AS n ON n.nspname = w.schema
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
    )
    -- A lock is held until its transaction ends, however long that idles; a prepared one has no session.
    SELECT CASE WHEN l.pid IS NULL THEN '(a prepared transaction)'
                ELSE coalesce(nullif(a.application_name, ''), '(no name)') END AS application
    FROM pg_locks AS l
    JOIN wanted ON wanted.oid = l.relation
    LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.locktype = 'relation' AND l.mode IN ('RowExclusiveLock', 'ExclusiveLock')
      AND l.pid IS DISTINCT FROM pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION
    -- A short transaction is over before its lock is seen; its statement stays visible.
    SELECT coalesce(nullif(a.application_name, ''), '(no name)')
    FROM pg_stat_activity AS a
    JOIN wanted ON position(lower(wanted.name) IN lower(a.query)) > 0
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.query_start > $3
      AND a.query ~* '\\m(insert|update|delete|merge|truncate)\\M'
    ORDER BY 1
"""


class Sessions(Struct, frozen=True, kw_only=True):
    """The sessions of one application and user; ``longest_transaction`` is in seconds."""

    application: str
    user: str
    sessions: int
    active: int
    idle_in_transaction: int
    longest_transaction: float

    def __str__(self) -> str:
        return f"{self.application} as {self.user}: {self.sessions} connections"


class Writes(Struct, frozen=True, kw_only=True):
    """How many rows of a table have been written since the statistics were reset."""

    table: str
    inserted: int
    updated: int
    deleted: int

    @property
    def total(self) -> int:
        """All writes together."""
        return self.inserted + self.updated + self.deleted


async def connected(connection: asyncpg.Connection) -> tuple[Sessions, ...]:
    """Return who else is connected to this database, by application and user."""
    return tuple(
        Sessions(
            application=row["application"],
            user=row["user"] or "",
            sessions=row["sessions"],
            active=row["active"],
            idle_in_transaction=row["idle_in_transaction"],
            longest_transaction=row["longest_transaction"] or 0.0,
        )
        for row in await connection.fetch(_SESSIONS)
    )


async def writes(connection: asyncpg.Connection, tables: Iterable[Relation]) -> tuple[Writes, ...]:
    """Return the write counters of tables, freshly read.

    Two readings some seconds apart tell whether anybody still writes; a session reports at most once a second, and
    one that stays in a transaction not before it ends ("The Cumulative Statistics System" in the PostgreSQL manual).
    """
    wanted = tuple(tables)
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    rows = await connection.fetch(_WRITES, [t.schema for t in wanted], [t.name for t in wanted])
    return tuple(
        Writes(table=f"{r['schema']}.{r['name']}", inserted=r["inserted"], updated=r["updated"], deleted=r["deleted"])
        for r in rows
    )


def written_between(earlier: Iterable[Writes], later: Iterable[Writes]) -> tuple[Writes, ...]:
    """Return what was written from one reading to another, only for tables where anything was."""
    before = {entry.table: entry for entry in earlier}
    found = []
    for entry in later:
        first = before.get(entry.table, Writes(table=entry.table, inserted=0, updated=0, deleted=0))
        change = Writes(
            table=entry.table,
            inserted=entry.inserted - first.inserted,
            updated=entry.updated - first.updated,
            deleted=entry.deleted - first.deleted,
        )
        if change.total:
            found.append(change)
    return tuple(found)


class Watched(Struct, frozen=True, kw_only=True):
    """What was seen while tables were watched.

    Attributes:
        written: rows written and committed meanwhile, only for tables where any were.
        writers: applications that wrote meanwhile, or hold rows written and not yet committed.
    """

    written: tuple[Writes, ...]
    writers: tuple[str, ...]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was written and nobody is in the middle of it."""
        return not self.written and not self.writers


async def watch_writes(
    connection: asyncpg.Connection, tables: Iterable[Relation], *, seconds: float = WATCH_SECONDS
) -> Watched:
    """Watch tables for a while, and return what was written to them meanwhile and by whom."""
    wanted = tuple(tables)
    began = await connection.fetchval("SELECT clock_timestamp()")
    before = await writes(connection, wanted)
    writers = set[str]()
    for _ in range(_LOOKS):
        writers.update(await writing(connection, wanted, since=began))
        await asyncio.sleep(seconds / _LOOKS)
    writers.update(await writing(connection, wanted, since=began))
    written = written_between(before, await writes(connection, wanted))
    return Watched(written=written, writers=tuple(sorted(writers)))


async def writing(connection: asyncpg.Connection, tables: Iterable[Relation], *, since: dt.datetime) -> tuple[str, ...]:
    """Return the applications that hold a writer's lock on one of the tables, or wrote to one since."""
    wanted = tuple(tables)
    rows = await connection.fetch(_WRITERS, [t.schema for t in wanted], [t.name for t in wanted], since)
    return tuple(row["application"] for row in rows)
