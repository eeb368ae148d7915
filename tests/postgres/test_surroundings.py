"""The inventory, the preflight, who is connected, and the positions of sequences."""

from __future__ import annotations

import asyncio

from tekup_migrate.postgres.activity import connected as sessions
from tekup_migrate.postgres.activity import watch_writes
from tekup_migrate.postgres.comparison import TableMove
from tekup_migrate.postgres.inventory import inventory
from tekup_migrate.postgres.preflight import preflight
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.transplant import plan_transplant
from tekup_migrate.postgres.transplant.positions import carry_positions
from tekup_migrate.rehearsal.supabase import SupabaseDatabase, connect_as_superuser
from tests.postgres.transplant.judge import connected
from tests.servers import SharedServer

NOTES = Relation("public", "notes")


async def test_the_inventory_counts_rows_and_tells_row_security(source_database: SupabaseDatabase) -> None:
    async with connected(source_database) as connection:
        await connection.execute(
            "CREATE TABLE public.notes (id int PRIMARY KEY); INSERT INTO public.notes VALUES (1), (2)"
        )
        await connection.execute('CREATE TABLE public."B [x]" (); ALTER TABLE public."B [x]" ENABLE ROW LEVEL SECURITY')
        found = await inventory(connection)
    assert [(t.name, t.rows, t.counted, t.row_security) for t in found] == [
        ("B [x]", 0, True, True),
        ("notes", 2, True, False),
    ]
    assert found[1].bytes > 0


async def test_preflight_says_when_there_is_no_room_and_what_is_older(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    async with connected(source_database) as there, connected(target_database) as here:
        await there.execute("CREATE TABLE public.notes AS SELECT n AS id FROM generate_series(1, 1000) AS n")
        for connection in (there, here):
            await connection.execute("SET statement_timeout = 0")
        generous = {f.subject: f for f in await preflight(there, here, [NOTES], disk_limit_bytes=1 << 40)}
        tight = {f.subject: f for f in await preflight(there, here, [NOTES], disk_limit_bytes=1 << 20)}
        unknown = {f.subject: f for f in await preflight(there, here, [NOTES])}
        backwards = {f.subject: f for f in await preflight(here, there, [])}
        await here.execute("SET statement_timeout = '2min'")
        slow = {f.subject: f for f in await preflight(there, here, [NOTES])}
    assert all(f.holds for f in generous.values())
    assert tight["room on the target"].holds is False
    assert unknown["room on the target"].holds is None
    assert backwards["server versions"].holds is False
    assert slow["statement_timeout on the target"].holds is False


async def test_preflight_tells_limits_older_extensions_and_a_target_that_takes_no_writes(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, target_server: SharedServer
) -> None:
    idle = await target_database.connect(application_name="somebody's psql")
    superuser = await connect_as_superuser(target_server.server, target_database.database)
    try:
        await idle.execute("BEGIN; SELECT 1")
        name = target_database.database
        # There is only one pgvector here: what an older one calls itself is what is read.
        await superuser.execute("UPDATE pg_extension SET extversion = '0.5.1' WHERE extname = 'vector'")
        await superuser.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 4")
        await superuser.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await superuser.execute(f"ALTER DATABASE {name} SET statement_timeout = '2min'")
        async with connected(source_database) as there, connected(target_database) as here:
            await here.execute("SET statement_timeout = 0")
            found = {f.subject: f for f in await preflight(there, here, [], disk_limit_bytes=1 << 40)}
            await superuser.execute("DROP EXTENSION vector")
            absent = {f.subject: f for f in await preflight(there, here, [])}
    finally:
        await superuser.close()
        await idle.close()
    assert found["extension vector"].holds is False
    assert found["extension vector"].text.endswith("0.5.1 on the target, which is older")
    assert found["connections to the target"].holds is False
    assert "of the 4 that this role or database may have" in found["connections to the target"].text
    assert found["writing to the target"].holds is False
    assert found["statement_timeout on the target"].text == "none for us, 120 s for others"
    assert found["connected to the target: somebody's psql"].holds is False
    assert "idle in a transaction" in found["connected to the target: somebody's psql"].text
    assert "not installed on the target; 0." in absent["extension vector"].text


async def test_room_is_needed_for_indexes_that_the_source_does_not_have(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    async with connected(source_database) as there, connected(target_database) as here:
        await there.execute("CREATE TABLE public.notes AS SELECT n AS id FROM generate_series(1, 1000) AS n")
        limit = await here.fetchval("SELECT pg_database_size(current_database())") + (10 << 20)
        rooms = [
            next(f for f in await preflight(there, here, [NOTES], disk_limit_bytes=limit, vector_index_bytes=bytes_))
            for bytes_ in (0, 4 << 20, 9 << 20)
        ]
    # The last one fits but for its WAL.
    assert [room.holds for room in rooms] == [True, True, False]
    assert "9 MB are needed for tables and indexes, 9 MB for WAL meanwhile; 10 MB of" in rooms[-1].text


async def test_it_is_seen_who_is_connected_and_who_writes(source_database: SupabaseDatabase) -> None:
    worker = await source_database.connect(application_name="notes-worker")
    try:
        async with connected(source_database) as connection:
            await connection.execute("CREATE TABLE public.notes (id int)")
            assert "notes-worker" in {entry.application for entry in await sessions(connection)}
            assert (await watch_writes(connection, [NOTES], seconds=0.2)).is_quiet
            async with worker.transaction():
                await worker.execute("INSERT INTO public.notes VALUES (1), (2)")
                await worker.fetchval("SELECT 1")
                # Not committed: no counter shows it, and the last pass would not see these rows.
                open_one = await watch_writes(connection, [NOTES], seconds=0.2)
                assert (open_one.written, open_one.writers) == ((), ("notes-worker",))
            watching = asyncio.create_task(watch_writes(connection, [NOTES], seconds=1.5))
            await asyncio.sleep(0.3)
            await worker.execute("INSERT INTO public.notes VALUES (3)")
            await worker.execute("SELECT pg_stat_force_next_flush()")
            await worker.execute("UPDATE public.notes SET id = 4 WHERE id = 3")
            watched = await watching
            assert watched.writers == ("notes-worker",)
            assert [(each.table, each.inserted > 0) for each in watched.written] == [("public.notes", True)]
    finally:
        await worker.close()


async def test_a_sequence_that_stands_alone_goes_on_where_the_source_stands_and_never_back(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    schema = """
    CREATE SEQUENCE public.number; CREATE SEQUENCE public.down INCREMENT -2 START -1 MAXVALUE -1; CREATE SEQUENCE public.new;
    CREATE TABLE public.notes (
        id int DEFAULT nextval('public.number'), d int DEFAULT nextval('public.down'), n int DEFAULT nextval('public.new')
    );
    """
    async with connected(source_database) as there, connected(target_database) as here:
        await there.execute(schema + "SELECT setval('public.number', 41), setval('public.down', -9)")
        await here.execute(schema)
        items = (await plan_transplant(there, here, [TableMove(NOTES, NOTES)])).items
        assert sorted(await carry_positions(there, here, items)) == [
            'SELECT pg_catalog.setval(\'"public"."down"\', -9, true)',
            'SELECT pg_catalog.setval(\'"public"."number"\', 41, true)',
        ]
        assert await here.fetchval("SELECT nextval('public.number')") == 42
        assert await here.fetchval("SELECT nextval('public.down')") == -11
        assert await here.fetchval("SELECT nextval('public.new')") == 1
        assert await carry_positions(there, here, items) == ()
