"""One side of a copy: a database, the few connections we hold to it, and its shared snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.postgres.connection import connect
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.quoting import Relation, quote_literal

if TYPE_CHECKING:
    import asyncpg

# A query sees the catalog as it was at the snapshot's moment; the functions and the cast see it as it is now.
_SAME_FILE = """
    SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = $1::text::regclass
                   AND c.relfilenode = pg_catalog.pg_relation_filenode(c.oid))
"""
MAX_CONNECTIONS = 4
"""The smallest Supabase compute has 60 connections and its apps need them."""


class Side:
    """At most four connections to one database, opened when first needed.

    Inside ``snapshot()`` every connection that is handed out is in a read-only transaction that sees the same
    moment. Used as ``async with Side(url, password) as source``.
    """

    def __init__(self, url: ConnectionUrl, password: Secret, *, connections: int = MAX_CONNECTIONS) -> None:
        if not 2 <= connections <= MAX_CONNECTIONS:
            raise ValueError(f"a side holds 2 to {MAX_CONNECTIONS} connections")
        self.url = url
        self.connections = connections
        self._password = password
        self._free = asyncio.Semaphore(connections)
        self._idle: list[asyncpg.Connection] = []
        self._open: set[asyncpg.Connection] = set()
        self._snapshot: Snapshot | None = None
        self._snapshot_users = 0
        self._opening = asyncio.Lock()

    @property
    def label(self) -> str:
        """Host, port and database, as shown to the operator."""
        return self.url.label

    async def __aenter__(self) -> Side:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; what was not committed is rolled back by the server."""
        self._idle.clear()
        open_now, self._open = self._open, set()
        for connection in open_now:
            connection.terminate()
        # Lets the transports close before a test or a command ends its loop.
        await asyncio.sleep(0)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Hand out a connection, in the shared snapshot's transaction when there is one.

        Raises:
            ConnectionFailedError: a new one was needed and could not be opened.
        """
        async with self._free:
            connection = await self._take()
            healthy = False
            try:
                if self._snapshot is not None:
                    await self._snapshot.join(connection)
                yield connection
                healthy = True
            finally:
                self._give_back(connection, healthy=healthy)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Fix one moment that all connections of this side see until the last block ends; blocks may be nested.

        Raises:
            ConnectionFailedError: a new connection was needed and could not be opened.
        """
        async with self._opening:
            if self._snapshot is None:
                self._snapshot = await self._fix_moment()
            self._snapshot_users += 1
        try:
            yield self._snapshot
        finally:
            self._snapshot_users -= 1
            if self._snapshot_users == 0:
                self._snapshot = None
                self._free.release()
                # Every one of them may be in a transaction of the snapshot that has just ended.
                await self.close()

    async def _fix_moment(self) -> Snapshot:
        await self._free.acquire()
        with ExitStack() as unless_fixed:
            unless_fixed.callback(self._free.release)
            keeper = await self._take()
            await keeper.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = Snapshot(keeper, await keeper.fetchval("SELECT pg_catalog.pg_export_snapshot()"))
            unless_fixed.pop_all()
        return snapshot

    async def _take(self) -> asyncpg.Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._open.discard(connection)
        connection = await connect(self.url, self._password)
        self._open.add(connection)
        return connection

    def _give_back(self, connection: asyncpg.Connection, *, healthy: bool) -> None:
        if healthy and connection in self._open and not connection.is_closed():
            self._idle.append(connection)
            return
        self._open.discard(connection)
        connection.terminate()


class Snapshot:
    """A moment of a database, kept by a connection of its own that plans the chunks."""

    def __init__(self, keeper: asyncpg.Connection, name: str) -> None:
        self.keeper = keeper
        self.name = name
        self.lock = asyncio.Lock()

    async def join(self, connection: asyncpg.Connection) -> None:
        """Put a connection into a transaction that sees this snapshot, unless it is in one already."""
        if connection.is_in_transaction():
            return
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await connection.execute(f"SET TRANSACTION SNAPSHOT {quote_literal(self.name)}")

    async def hold(self, relation: Relation) -> bool:
        """Keep a table from being truncated or rewritten until the snapshot ends; False where it was so already.

        Such a table is empty for a snapshot that was taken before, whatever it held then and holds now.

        Raises:
            asyncpg.PostgresError: the table does not exist, or our role may not read it.
        """
        async with self.lock:
            await self.keeper.execute(f"LOCK TABLE ONLY {relation.sql} IN ACCESS SHARE MODE")
            return bool(await self.keeper.fetchval(_SAME_FILE, relation.sql))
