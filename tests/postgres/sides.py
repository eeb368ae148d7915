"""What the tests of copying share: sides on the test databases, and a plain comparison that knows no digest."""

from __future__ import annotations

from dataclasses import replace

from asyncpg import Connection, Record

from tekup_migrate.events import ChunkChanged, Event
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.outcome import Policy, TableMove, TableOutcome
from tekup_migrate.postgres.proved_ranges import ProvedRanges
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.reconcile import reconcile
from tekup_migrate.postgres.side import Side
from tekup_migrate.rehearsal.supabase import SupabaseDatabase, connect_as_superuser
from tests.servers import SharedServer


def side(database: SupabaseDatabase) -> Side:
    """A side that logs in as postgres."""
    return Side(connection_url(database), database.password)


def connection_url(database: SupabaseDatabase) -> ConnectionUrl:
    return ConnectionUrl(user=database.user, host=database.host, port=database.port, database=database.database)


class Pair:
    """Two databases with the same table, and what a test does with them."""

    def __init__(
        self, source: SupabaseDatabase, target: SupabaseDatabase, servers: tuple[SharedServer, SharedServer]
    ) -> None:
        self.servers = servers
        self.extra_roles: list[str] = []
        self.source_database = source
        self.target_database = target
        self.source = side(source)
        self.target = side(target)
        self.events: list[Event] = []
        self.gate = Gate()
        self.proved: ProvedRanges | None = None

    async def on_source(self, statement: str) -> None:
        await _execute(self.source_database, statement)

    async def on_target(self, statement: str) -> None:
        await _execute(self.target_database, statement)

    async def on_both(self, statement: str) -> None:
        await self.on_source(statement)
        await self.on_target(statement)

    async def reconcile(
        self, source: str, target: str = "", *, write: bool = True, policy: Policy = Policy.OURS
    ) -> TableOutcome:
        """Reconcile one table of ``public``."""
        move = TableMove(source=Relation("public", source), target=Relation("public", target or source))
        return await reconcile(
            self.source,
            self.target,
            move,
            write=write,
            policy=policy,
            emit=self.events.append,
            gate=self.gate,
            proved=self.proved,
        )

    async def verify(self, source: str, target: str = "", *, policy: Policy = Policy.OURS) -> TableOutcome:
        """Compare one table of ``public``."""
        return await self.reconcile(source, target, write=False, policy=policy)

    async def contents(self, table: str) -> tuple[list[str], list[str]]:
        """Every row of both sides as text by a plain SELECT, sorted here: knows nothing of our digest."""
        return await _rows(self.source_database, table), await _rows(self.target_database, table)

    async def assert_equal(self, table: str) -> None:
        """Both sides hold the same rows, bit for bit as far as text under full precision shows."""
        ours, theirs = await self.contents(table)
        assert ours == theirs

    def chunk_events(self) -> list[ChunkChanged]:
        return [event for event in self.events if isinstance(event, ChunkChanged)]

    async def superuser_on_target(self) -> Connection[Record]:
        """Connect to the target's database as the bootstrap superuser; the caller closes it."""
        return await connect_as_superuser(self.servers[1].server, self.target_database.database)

    async def without_silencing(self) -> None:
        """Make the target's side log in as a role that may not set ``session_replication_role``."""
        role = f"loader_{self.target_database.database}"
        connection = await self.superuser_on_target()
        try:
            password = self.target_database.password.reveal().replace("'", "''")
            await connection.execute(f"CREATE ROLE {role} LOGIN BYPASSRLS PASSWORD '{password}'")
            await connection.execute(
                f"GRANT ALL ON SCHEMA public TO {role}; GRANT USAGE ON SCHEMA extensions TO {role}"
            )
            for row in await connection.fetch(
                "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            ):
                await connection.execute(f"ALTER TABLE {row[0]} OWNER TO {role}")
        finally:
            await connection.close()
        self.extra_roles.append(role)
        self.target = Side(replace(self.target.url, user=role), self.target_database.password)

    async def close(self) -> None:
        await self.source.close()
        await self.target.close()
        if self.extra_roles:
            connection = await self.superuser_on_target()
            try:
                for role in self.extra_roles:
                    await connection.execute(
                        f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}"
                    )
            finally:
                await connection.close()


async def _execute(database: SupabaseDatabase, statement: str) -> None:
    connection = await database.connect()
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _rows(database: SupabaseDatabase, table: str) -> list[str]:
    connection = await database.connect()
    try:
        await connection.execute(
            "SET extra_float_digits = 3; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; "
            "SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'"
        )
        # The columns may be in another order on the other side.
        names = await connection.fetch(
            "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 "
            "AND NOT attisdropped ORDER BY attname",
            table,
        )
        shown = ", ".join(name[0] for name in names)
        return sorted(row[0] for row in await connection.fetch(f"SELECT ROW({shown})::text FROM {table}"))
    finally:
        await connection.close()
