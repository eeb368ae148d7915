"""What the tests of copying share: sides on the test databases, and a plain comparison that knows no digest."""

from __future__ import annotations

from tekup_migrate.events import ChunkChanged, Event
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.outcome import Policy, TableMove, TableOutcome
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.reconcile import reconcile
from tekup_migrate.postgres.side import Side
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.steps import Gate


def side(database: SupabaseDatabase) -> Side:
    """A side that logs in as postgres."""
    return Side(connection_url(database), database.password)


def connection_url(database: SupabaseDatabase) -> ConnectionUrl:
    return ConnectionUrl(user=database.user, host=database.host, port=database.port, database=database.database)


class Pair:
    """Two databases with the same table, and what a test does with them."""

    def __init__(self, source: SupabaseDatabase, target: SupabaseDatabase) -> None:
        self.source_database = source
        self.target_database = target
        self.source = side(source)
        self.target = side(target)
        self.events: list[Event] = []
        self.gate = Gate()

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
            self.source, self.target, move, write=write, policy=policy, emit=self.events.append, gate=self.gate
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

    async def close(self) -> None:
        await self.source.close()
        await self.target.close()


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
            "SET extra_float_digits = 3; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'"
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
