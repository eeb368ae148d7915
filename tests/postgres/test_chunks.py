"""How a table is cut into chunks: all of it, none too large, and without sorting it first."""

from __future__ import annotations

from tekup_migrate.postgres.chunks import MAX_CHUNK_BYTES, Chunk, ChunkSize, plan_chunks
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.table import read_table
from tests.postgres.sides import Pair

_MEGABYTE = 1 << 20


async def planned(sides: Pair, name: str, *, size: int = MAX_CHUNK_BYTES) -> list[Chunk]:
    wanted = ChunkSize()
    wanted.bytes = size
    async with sides.source.snapshot() as snapshot, sides.source.connection() as connection:
        table = await read_table(connection, Relation("public", name), where="here")
        return [chunk async for chunk in plan_chunks(snapshot, table, table.keys[0], wanted)]


async def test_the_chunks_follow_each_other_and_hold_every_row(sides: Pair) -> None:
    # The columns' names are those that a planner would like to use itself.
    await sides.on_source("CREATE TABLE places (place int, total int, weight text, PRIMARY KEY (place, total))")
    await sides.on_source("INSERT INTO places SELECT n, -n, 'x' FROM generate_series(1, 20000) AS n")
    chunks = await planned(sides, "places", size=2 * _MEGABYTE)
    assert len(chunks) > 3
    assert sum(chunk.rows for chunk in chunks) == 20000
    assert [chunk.part.low for chunk in chunks] == [None, *[chunk.part.high for chunk in chunks[:-1]]]
    assert chunks[-1].part.high is None


async def test_no_chunk_is_larger_than_allowed_but_one_that_is_a_single_row(sides: Pair) -> None:
    await sides.on_source("CREATE TABLE blobs (id int PRIMARY KEY, body bytea)")
    await sides.on_source("ALTER TABLE blobs ALTER body SET STORAGE EXTERNAL")
    await sides.on_source(
        f"INSERT INTO blobs SELECT n, convert_to(repeat('x', CASE n % 5 WHEN 0 THEN 15 ELSE 1 END * {_MEGABYTE}), 'UTF8')"
        " FROM generate_series(1, 8) AS n"
    )
    await sides.on_source(f"INSERT INTO blobs SELECT 100, convert_to(repeat('x', 20 * {_MEGABYTE}), 'UTF8')")
    chunks = await planned(sides, "blobs")
    assert sum(chunk.rows for chunk in chunks) == 9
    assert [chunk.rows for chunk in chunks if chunk.weight > MAX_CHUNK_BYTES] == [1]


async def test_planning_sorts_nothing_so_that_the_first_chunk_waits_for_no_other(sides: Pair) -> None:
    await sides.on_source("CREATE TABLE notes (id uuid PRIMARY KEY, body text)")
    await sides.on_source("INSERT INTO notes SELECT md5(n::text)::uuid, 'x' FROM generate_series(1, 30000) AS n")
    await sides.on_source("ANALYZE notes")
    written = "SELECT pg_stat_clear_snapshot(), temp_bytes FROM pg_stat_database WHERE datname = current_database()"
    async with sides.source.snapshot() as snapshot, sides.source.connection() as connection:
        await snapshot.keeper.execute("SET LOCAL work_mem = '64kB'")
        table = await read_table(connection, Relation("public", "notes"), where="here")
        assert sum([chunk.rows async for chunk in plan_chunks(snapshot, table, table.keys[0], ChunkSize())]) == 30000
    other = await sides.source_database.connect()
    try:
        assert [row["temp_bytes"] for row in await other.fetch(written)] == [0]
    finally:
        await other.close()
