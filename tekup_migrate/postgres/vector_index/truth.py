"""The true nearest neighbours of some rows' vectors: what every search through an index is held against."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.postgres.quoting import quote_ident
from tekup_migrate.postgres.vector_index.columns import METRICS, VectorColumn

if TYPE_CHECKING:
    import asyncpg

NEIGHBOURS = 10
SAMPLES = 100
WITHOUT_INDEXES = {"enable_indexscan": "off", "enable_bitmapscan": "off"}

_FIRST_ROWS = 2_000
"""Rows that give each sample a first tenth neighbour; only what is nearer than that has to be sorted afterwards."""
_NO_BOUND = math.nan
"""Postgres sorts NaN behind every other number, so every distance is within it."""
_TIMED_SECONDS = 2.0
_TIMED_LEAST = 3


class Truth(Struct, frozen=True, kw_only=True):
    """Some rows' vectors with their true neighbours.

    Attributes:
        vectors: the vectors as text.
        nearest: the distances of each one's nearest rows, up to ten, the nearest first.
        milliseconds: one exact scan's time as the app would run it, on average.
    """

    vectors: tuple[str, ...]
    nearest: tuple[tuple[float, ...], ...]
    milliseconds: float


async def truth_of(
    connection: asyncpg.Connection, column: VectorColumn, *, metric: str = "cosine", samples: int = SAMPLES
) -> Truth | None:
    """Return the true neighbours of some rows of a column; None where it has no vectors.

    The table is read twice whatever the number of samples, and each of its vectors is unpacked once a time:
    a scan for each sample would unpack every vector again and again, and that is what takes the time.
    """
    async with planned(connection, WITHOUT_INDEXES):
        vectors = await sample_vectors(connection, column, samples)
        if not vectors:
            return None
        unbounded = [(vector, _NO_BOUND) for vector in vectors]
        first = await _nearest(connection, column, metric, unbounded, f"LIMIT {_FIRST_ROWS}")
        bounds = (each[-1] if len(each) == NEIGHBOURS else _NO_BOUND for each in first)
        nearest = await _nearest(connection, column, metric, list(zip(vectors, bounds, strict=True)), "OFFSET 0")
        await read_vectors_once(connection, column)
        milliseconds = await _time(connection, nearest_query(column, metric, halfvec=False), vectors)
    return Truth(vectors=tuple(vectors), nearest=tuple(nearest), milliseconds=milliseconds)


async def sample_vectors(connection: asyncpg.Connection, column: VectorColumn, samples: int = SAMPLES) -> list[str]:
    """Return the text of some rows' vectors; equal tables give equal samples."""
    name = quote_ident(column.column)
    # The bytes that travel are the same on both sides, and a quarter of the text.
    hashed = f"pg_catalog.md5({quote_ident(column.extension_schema)}.{column.type}_send({name}))"
    query = f"""
        SELECT {name}::text AS vector FROM {column.relation.sql} WHERE {name} IS NOT NULL ORDER BY {hashed} LIMIT $1
    """
    return [row["vector"] for row in await connection.fetch(query, samples)]


def nearest_query(column: VectorColumn, metric: str, *, halfvec: bool) -> str:
    """Return the query for the ten nearest of ``$1``, as an app would write it."""
    schema, name = quote_ident(column.extension_schema), quote_ident(column.column)
    type_ = "halfvec" if halfvec or column.type == "halfvec" else "vector"
    cast = f"{schema}.{type_}({column.dimensions})"
    subject = f"({name}::{cast})" if halfvec else name
    distance = f"{subject} OPERATOR({schema}.{METRICS[metric]}) $1::{schema}.{type_}"
    rows = f"SELECT ctid::text AS id, {distance} AS distance FROM {column.relation.sql}"
    return f"{rows} ORDER BY {distance} LIMIT {NEIGHBOURS}"


async def read_vectors_once(connection: asyncpg.Connection, column: VectorColumn) -> None:
    """Let a vector be a parameter, read once per search; a cast in the query would be read once per row."""
    for name in ("vector", "halfvec"):
        await connection.set_type_codec(name, schema=column.extension_schema, encoder=str, decoder=str, format="text")


@asynccontextmanager
async def planned(connection: asyncpg.Connection, settings: dict[str, str]) -> AsyncIterator[None]:
    """Read one state under planner settings that end with it; plans that functions keep go on both edges."""
    await connection.execute("DISCARD PLANS")
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for name, value in settings.items():
            await connection.execute("SELECT set_config($1, $2, true)", name, value)
        yield
    await connection.execute("DISCARD PLANS")


async def _nearest(
    connection: asyncpg.Connection,
    column: VectorColumn,
    metric: str,
    bounded: Sequence[tuple[str, float]],
    which: str,
) -> list[tuple[float, ...]]:
    """Return each vector's ten nearest distances among the rows of ``which``, as far as they are within its bound.

    ``OFFSET 0`` keeps the planner from taking a subquery apart: the outer one unpacks a vector, with the function
    behind the cast to a length because the planner leaves out a cast that changes nothing; the inner one keeps the
    distance from being computed once to be compared and once to be sorted by.
    """
    schema, name = quote_ident(column.extension_schema), quote_ident(column.column)
    query = f"""
        WITH sampled AS MATERIALIZED (
            SELECT place, vector::{schema}.{column.type} AS vector, bound
            FROM unnest($1::text[], $2::float8[]) WITH ORDINALITY AS s(vector, bound, place)
        )
        SELECT place, distance
        FROM (
            SELECT place, distance, row_number() OVER (PARTITION BY place ORDER BY distance) AS rank
            FROM (
                SELECT {schema}.{column.type}({name}, -1, false) AS vector
                FROM {column.relation.sql} WHERE {name} IS NOT NULL {which}
            ) AS r
            CROSS JOIN LATERAL (
                SELECT s.place, s.bound, r.vector OPERATOR({schema}.{METRICS[metric]}) s.vector AS distance
                FROM sampled AS s OFFSET 0
            ) AS d
            WHERE distance <= bound
        ) AS ranked
        WHERE rank <= {NEIGHBOURS}
        ORDER BY place, distance
    """
    found: list[list[float]] = [[] for _ in bounded]
    for row in await connection.fetch(query, *map(list, zip(*bounded, strict=True))):
        found[row["place"] - 1].append(row["distance"])
    return [tuple(each) for each in found]


async def _time(connection: asyncpg.Connection, query: str, vectors: Sequence[str]) -> float:
    """Return one exact search's average milliseconds; a slow one is timed a few times only."""
    statement = await connection.prepare(query)
    started, count = time.perf_counter(), 0
    for count, vector in enumerate(vectors, 1):
        await statement.fetch(vector)
        if count >= _TIMED_LEAST and time.perf_counter() - started > _TIMED_SECONDS:
            break
    return (time.perf_counter() - started) * 1000 / count
