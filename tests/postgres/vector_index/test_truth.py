"""The true neighbours are found in one pass, and are those that a scan for each sample finds."""

from __future__ import annotations

import math

import pytest
from msgspec import structs

from tekup_migrate.phases.searching import compared
from tekup_migrate.postgres.catalog import read_catalog
from tekup_migrate.postgres.catalog.objects import Function
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.vector_index import (
    SearchQuality,
    is_search,
    measure,
    measure_function,
    sample_vectors,
    truth_of,
    vector_columns,
)
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.postgres.transplant.judge import connected

NOTES = Relation("public", "the Notes")
METRICS = {"cosine": "<=>", "l2": "<->", "ip": "<#>"}
FUNCTION = """
CREATE FUNCTION public.match(query extensions.vector, match_count int) RETURNS TABLE (id int) LANGUAGE sql STABLE
AS $$ SELECT n.id FROM public."the Notes" AS n ORDER BY n.e OPERATOR(extensions.<=>) query LIMIT match_count $$
"""


async def fill(database: SupabaseDatabase, type_: str, rows: int) -> None:
    async with connected(database) as connection:
        await connection.execute(f"CREATE TABLE {NOTES.sql} (id int, e extensions.{type_}(3))")
        await connection.execute(
            f"INSERT INTO {NOTES.sql} SELECT n, CASE WHEN n % 9 = 0 THEN NULL ELSE"
            f" ARRAY[sin(n * n), cos(n / 7), n % 5]::extensions.{type_} END FROM generate_series(1, {rows}) AS n"
        )


@pytest.mark.parametrize(("type_", "rows"), [("vector", 7), ("vector", 2_600), ("halfvec", 60)])
@pytest.mark.parametrize("metric", METRICS)
async def test_the_truth_of_one_pass_is_that_of_a_scan_for_each_sample(
    target_database: SupabaseDatabase, type_: str, rows: int, metric: str
) -> None:
    await fill(target_database, type_, rows)
    async with connected(target_database) as connection:
        (column,) = await vector_columns(connection, [NOTES])
        truth = await truth_of(connection, column, metric=metric, samples=20)
        assert truth is not None
        assert len(truth.vectors) == min(20, rows)
        for vector, nearest in zip(truth.vectors, truth.nearest, strict=True):
            distance = f"e OPERATOR(extensions.{METRICS[metric]}) '{vector}'::extensions.{type_}"
            query = f"SELECT {distance} AS d FROM {NOTES.sql} WHERE e IS NOT NULL ORDER BY d LIMIT 10"
            assert nearest == tuple(row["d"] for row in await connection.fetch(query))


async def test_no_vectors_have_no_truth_and_one_without_a_direction_counts_on_neither_side(
    target_database: SupabaseDatabase,
) -> None:
    await fill(target_database, "vector", 0)
    async with connected(target_database) as connection:
        (column,) = await vector_columns(connection, [NOTES])
        assert await truth_of(connection, column) is None
        await connection.execute(
            f"INSERT INTO {NOTES.sql} SELECT n, ARRAY[n, 1, 0]::extensions.vector FROM generate_series(1, 30) AS n;"
            f" INSERT INTO {NOTES.sql} VALUES (0, '[0,0,0]');"
            f" CREATE INDEX ON {NOTES.sql} USING hnsw (e extensions.vector_cosine_ops)"
        )
        truth = await truth_of(connection, column)
        assert truth is not None
        assert sum(math.isnan(each[-1]) for each in truth.nearest) == 1
        assert (await measure(connection, column, truth)).recall == 1.0


async def test_a_slow_function_is_asked_less_often_but_never_less_than_ten_times(
    target_database: SupabaseDatabase,
) -> None:
    await fill(target_database, "vector", 200)
    async with connected(target_database) as connection:
        await connection.execute(FUNCTION)
        (column,) = await vector_columns(connection, [NOTES])
        truth = await truth_of(connection, column)
        function = next(f for f in (await read_catalog(connection)).of(Function) if is_search(f))
        assert truth is not None
        hurried = await measure_function(connection, function, column, truth.vectors, seconds=0)
        unhurried = await measure_function(connection, function, column, truth.vectors)
        assert isinstance(hurried, SearchQuality)
        assert isinstance(unhurried, SearchQuality)
        assert (hurried.samples, unhurried.samples) == (10, 100)


def test_two_sides_are_compared_over_the_samples_that_both_were_asked_for() -> None:
    cut = SearchQuality(
        recall=1.0, milliseconds=9.0, exact_milliseconds=9.0, samples=10, through="f", shares=(*(1.0,) * 9, None)
    )
    shares = (*(1.0,) * 10, *(0.0,) * 30)
    whole = SearchQuality(recall=0.25, milliseconds=1.0, exact_milliseconds=1.0, samples=40, through="f", shares=shares)
    assert compared("f", cut, whole, of=100).good, "the thirty that one side was never asked for say nothing"
    assert "10 of 100 searches on both sides, as 90 s were over" in compared("f", cut, whole, of=100).lines[1]
    better = structs.replace(whole, recall=1.0, shares=(1.0,) * 40)
    assert not compared("f", better, whole, of=40).good
    assert "; 40 searches, f" in compared("f", whole, better, of=40).lines[1]


async def test_the_time_for_a_function_is_shared_by_both_ways_of_asking_it(target_database: SupabaseDatabase) -> None:
    await fill(target_database, "vector", 200)
    async with connected(target_database) as connection:
        await connection.execute(f"CREATE INDEX ON {NOTES.sql} USING hnsw (e extensions.vector_cosine_ops)")
        # Ten times as slow where index scans are switched off.
        slow = "SELECT pg_sleep(CASE current_setting('enable_indexscan') WHEN 'off' THEN 0.1 ELSE 0.01 END)"
        await connection.execute(FUNCTION.replace("SELECT n.id FROM", f"SELECT n.id FROM ({slow} OFFSET 0) AS s,"))
        (column,) = await vector_columns(connection, [NOTES])
        vectors = await sample_vectors(connection, column)
        function = next(f for f in (await read_catalog(connection)).of(Function) if is_search(f))
        found = await measure_function(connection, function, column, vectors, seconds=2.0)
        assert isinstance(found, SearchQuality)
        assert 10 <= found.samples < 16, "what the first way used up is not there for the second"
