"""A vector index is recommended, built after the load and measured, on real rows."""

from __future__ import annotations

import asyncpg
import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.events import Event, Progress, Ran
from tekup_migrate.postgres.catalog import read_catalog
from tekup_migrate.postgres.catalog.objects import Function
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.transplant import Created, undo
from tekup_migrate.postgres.vector_index import (
    Method,
    SearchQuality,
    build,
    is_search,
    measure,
    measure_function,
    measure_written_plan,
    recommend,
    server_memory,
    truth_of,
    vector_columns,
)
from tekup_migrate.postgres.vector_index.recommendation import ServerMemory
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.postgres.transplant.judge import connected

NOTES = Relation("public", "notes")
DIMENSIONS = 16
SCHEMA = f"""
CREATE TABLE public.notes (id int PRIMARY KEY, embedding extensions.vector({DIMENSIONS}));
CREATE FUNCTION public.match_notes(query extensions.vector({DIMENSIONS}), match_threshold float8, match_count int)
RETURNS TABLE (id int, similarity float8) LANGUAGE sql STABLE SET search_path TO 'public', 'extensions' AS $$
    SELECT n.id, 1 - (n.embedding <=> query) FROM notes AS n
    WHERE 1 - (n.embedding <=> query) > match_threshold ORDER BY n.embedding <=> query LIMIT match_count
$$;
"""
FILL = f"""
INSERT INTO public.notes SELECT n, (
    SELECT array_agg(noise - floor(noise) - 0.5)::extensions.vector
    FROM generate_series(1, {DIMENSIONS}) AS place,
        LATERAL (SELECT sin(n * 12.9898 + place * 78.233) * 43758.5453) AS s(noise))
FROM generate_series(1, 6000) AS n
"""


async def test_an_index_built_after_the_load_finds_what_one_built_before_it_misses(
    target_database: SupabaseDatabase,
) -> None:
    heard: list[Event] = []
    journal: list[Created] = []
    async with connected(target_database) as connection, connected(target_database) as watcher:
        await connection.execute(SCHEMA)
        await connection.execute(FILL)
        await connection.execute("ANALYZE public.notes")
        (column,) = await vector_columns(connection, [NOTES])
        assert (column.rows, column.dimensions) == (6000, DIMENSIONS)
        written_plan = await measure_written_plan(connection, column)
        chosen = recommend(column, await server_memory(connection))
        assert chosen.method is Method.HNSW
        settings = await connection.fetchval("SHOW maintenance_work_mem")
        made = await build(connection, chosen, record=journal.extend, listen=heard.append, watcher=watcher)
        assert await connection.fetchval("SHOW maintenance_work_mem") == settings
        truth = await truth_of(connection, column)
        assert written_plan is not None
        assert truth is not None
        finished = await measure(connection, column, truth)
        assert written_plan.recall < 0.7
        assert finished.recall >= 0.95
        assert finished.samples == 100
        function = next(f for f in (await read_catalog(connection)).of(Function) if is_search(f))
        through_function = await measure_function(connection, function, column, truth.vectors)
        assert isinstance(through_function, SearchQuality)
        assert through_function.recall >= 0.9
        assert journal == list(made)
        assert await build(connection, chosen, record=journal.extend, listen=heard.append) == ()
        await undo(connection, journal)
        assert await connection.fetchval("SELECT count(*) FROM pg_indexes WHERE tablename = 'notes'") == 1
    assert any(isinstance(event, Progress) and event.done == 6000 for event in heard)
    assert any(isinstance(event, Ran) and "maintenance_work_mem" in event.text for event in heard)


async def test_a_concurrent_build_that_was_cut_off_is_removed_and_begun_again(
    target_database: SupabaseDatabase,
) -> None:
    async with connected(target_database) as connection:
        await connection.execute(SCHEMA + FILL)
        (column,) = await vector_columns(connection, [NOTES])
        chosen = recommend(column, await server_memory(connection))
        await connection.execute("SET statement_timeout = '30ms'")
        with pytest.raises(asyncpg.QueryCanceledError):
            await connection.execute(chosen.statement(concurrently=True))
        await connection.execute("SET statement_timeout = 0")
        leftover = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)"
        assert await connection.fetchval(leftover, f"public.{chosen.name}") is False
        await build(connection, chosen, record=lambda _: None, listen=lambda _: None, concurrently=True)
        assert await connection.fetchval(leftover, f"public.{chosen.name}") is True


async def test_an_ivfflat_build_that_the_memory_cannot_hold_is_refused_before_it_starts(
    target_database: SupabaseDatabase,
) -> None:
    async with connected(target_database) as connection:
        await connection.execute(SCHEMA + FILL)
        (column,) = await vector_columns(connection, [NOTES])
        tiny = ServerMemory(total=1 << 20, maintenance_work_mem=64 << 10, parallel_workers=2)
        chosen = recommend(column, tiny, method=Method.IVFFLAT)
        assert not chosen.fits
        with pytest.raises(MigrationError, match="cannot be built"):
            await build(connection, chosen, record=lambda _: None, listen=lambda _: None)
