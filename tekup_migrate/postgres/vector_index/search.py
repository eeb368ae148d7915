"""Measures how much a search finds, and how fast, against an exact scan of the same rows."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from tekup_migrate.postgres.catalog.objects import Function
from tekup_migrate.postgres.quoting import Relation, quote_ident
from tekup_migrate.postgres.vector_index.columns import METRICS, VectorColumn

if TYPE_CHECKING:
    import asyncpg

NEIGHBOURS = 10
SAMPLES = 100

_ARGUMENTS = """
    SELECT coalesce(p.proargnames[u.place], '') AS name, format_type(u.type, NULL) AS type,
           u.place > p.pronargs - p.pronargdefaults AS optional
    FROM pg_proc AS p, unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(type, place)
    WHERE p.oid = $1::text::regprocedure
    ORDER BY u.place
"""
_COUNT_NAMES = ("count", "limit", "top_k", "k", "n", "results")
_DEFAULT_PATH = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'"

_HAS_INDEX = """
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
        JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
        WHERE i.indrelid = $1::text::regclass AND m.amname IN ('ivfflat', 'hnsw') AND i.indisvalid
    )
"""
"""Whether any vector index stands on a table: without one every search is exact by construction."""

_THRESHOLD_NAMES = ("threshold", "similarity", "min_score", "score")


class SearchQuality(Struct, frozen=True, kw_only=True):
    """How a search does on one side.

    Attributes:
        recall: the share of the ten true nearest that it found, 0 to 1, on average.
        milliseconds: a search's time as the app would run it, on average.
        exact_milliseconds: an exact scan's, on average.
        samples: how many rows' vectors were searched for.
        through: the function or the kind of query that was measured.
    """

    recall: float
    milliseconds: float
    exact_milliseconds: float
    samples: int
    through: str


async def measure(
    connection: asyncpg.Connection,
    column: VectorColumn,
    *,
    metric: str = "cosine",
    halfvec: bool = False,
    samples: int = SAMPLES,
    settings: dict[str, str] | None = None,
) -> SearchQuality | None:
    """Search for the vectors of some rows through the index and exactly; None where there are no vectors.

    The rows are chosen by the hash of their vectors, so both sides sample the same ones. A neighbour counts as found
    when it is as near as the tenth true one, so that equal vectors do no harm.

    Args:
        connection: to either side.
        column: the column to search.
        metric: the distance.
        halfvec: whether the index holds half-precision vectors of a full-precision column.
        samples: how many rows to search for.
        settings: settings for the searches through the index.
    """
    vectors = await sample_vectors(connection, column, samples)
    if not vectors:
        return None
    await _send_vectors_as_text(connection, column)
    query = _query(column, metric, halfvec=halfvec)
    exact_query = _query(column, metric, halfvec=False)
    async with _planned(connection, {"enable_indexscan": "off", "enable_bitmapscan": "off"}):
        exact, exact_milliseconds = await _search(connection, exact_query, vectors)
    if not await connection.fetchval(_HAS_INDEX, column.relation.sql):
        return SearchQuality(
            recall=1.0,
            milliseconds=exact_milliseconds,
            exact_milliseconds=exact_milliseconds,
            samples=len(vectors),
            through="exact scan, there is no index",
        )
    async with _planned(connection, {"enable_seqscan": "off", **(settings or {})}):
        approximate, milliseconds = await _search(connection, query, vectors)
    return SearchQuality(
        recall=_recall_by_distance(approximate, exact),
        milliseconds=milliseconds,
        exact_milliseconds=exact_milliseconds,
        samples=len(vectors),
        through="nearest-neighbour query",
    )


async def measure_function(
    connection: asyncpg.Connection, function: Function, column: VectorColumn, *, samples: int = SAMPLES
) -> SearchQuality | None:
    """Search through the app's own function, as it is planned by itself and with index scans switched off.

    Returns None where there are no vectors, or where the function wants arguments that cannot be guessed.
    """
    call = await search_call(connection, function)
    vectors = await sample_vectors(connection, column, samples)
    if call is None or not vectors:
        return None
    await _send_vectors_as_text(connection, column)
    # The app's sessions have the role's own search_path, which a function's body may rely on; ours is empty.
    path = {"search_path": await connection.fetchval(_DEFAULT_PATH)}
    async with _planned(connection, path):
        found, milliseconds = await _search(connection, call, vectors)
    exact, exact_milliseconds = found, milliseconds
    if await connection.fetchval(_HAS_INDEX, column.relation.sql):
        async with _planned(connection, {**path, "enable_indexscan": "off", "enable_bitmapscan": "off"}):
            exact, exact_milliseconds = await _search(connection, call, vectors)
    return SearchQuality(
        recall=_recall_by_identity(found, exact),
        milliseconds=milliseconds,
        exact_milliseconds=exact_milliseconds,
        samples=len(vectors),
        through=f"{function.key.schema}.{function.key.name}",
    )


async def measure_written_plan(
    connection: asyncpg.Connection,
    column: VectorColumn,
    *,
    lists: int = 100,
    metric: str = "cosine",
    rows: int = 20_000,
) -> SearchQuality | None:
    """Measure what an ivfflat index that is created before the load would have found, in a table that is gone after.

    Args:
        connection: to the side that has the rows.
        column: the loaded column; up to ``rows`` of its vectors are copied to the temporary table.
        lists: the written index's parameter.
        metric: its distance.
        rows: how many vectors to load at most.
    """
    schema, name = quote_ident(column.extension_schema), quote_ident(column.column)
    scratch = structs.replace(column, relation_schema="pg_temp", table="written_plan")
    type_ = f"{schema}.{column.type}({column.dimensions})"
    index = f"USING ivfflat ({name} {schema}.{column.type}_{metric}_ops) WITH (lists = {lists})"
    await connection.execute(f"CREATE TEMPORARY TABLE written_plan ({name} {type_})")
    try:
        await connection.execute(f"CREATE INDEX ON {scratch.relation.sql} {index}")
        vectors = f"SELECT {name} FROM {column.relation.sql} WHERE {name} IS NOT NULL LIMIT {rows}"
        await connection.execute(f"INSERT INTO {scratch.relation.sql} {vectors}")
        await connection.execute(f"ANALYZE {scratch.relation.sql}")
        return await measure(connection, scratch, metric=metric)
    finally:
        await connection.execute(f"DROP TABLE {scratch.relation.sql}")


def is_search(function: Function) -> bool:
    """Whether a function looks like a search: a vector first, rows out."""
    first = function.argument_types[0] if function.argument_types else ""
    base = first.rpartition(".")[2].strip('"')
    return function.returns_rows and base in ("vector", "halfvec")


async def search_call(connection: asyncpg.Connection, function: Function) -> str | None:
    """Return a query that calls a search function with ``$1`` as the vector, or None where it cannot be."""
    name = Relation(function.key.schema, function.key.name).sql
    arguments = await connection.fetch(_ARGUMENTS, f"{name}({function.key.arguments})")
    parts = []
    for place, argument in enumerate(arguments):
        value = f"$1::{argument['type']}" if place == 0 else _guess(argument["name"], argument["type"])
        if value is None and argument["optional"]:
            break
        if value is None:
            return None
        parts.append(value)
    call = f"{name}({', '.join(parts)})"
    # What a function calls its rows' key is its own affair: a row is known by all that it says.
    return f"SELECT md5(to_jsonb(r)::text) AS id, 0::float8 AS distance FROM {call} AS r LIMIT {NEIGHBOURS}"


def _guess(name: str, type_: str) -> str | None:
    """Return a value for an argument: ten rows, no threshold; None where its name does not tell."""
    lowered = name.lower()
    if type_ in ("integer", "bigint", "smallint") and any(word in lowered for word in _COUNT_NAMES):
        return str(NEIGHBOURS)
    if type_ in ("double precision", "real", "numeric") and any(word in lowered for word in _THRESHOLD_NAMES):
        return f"(-1)::{type_}"
    return None


async def sample_vectors(connection: asyncpg.Connection, column: VectorColumn, samples: int) -> list[str]:
    """Return the text of some rows' vectors; equal tables give equal samples."""
    name = quote_ident(column.column)
    # The bytes that travel are the same on both sides, and a quarter of the text.
    hashed = f"pg_catalog.md5({quote_ident(column.extension_schema)}.{column.type}_send({name}))"
    query = f"""
        SELECT {name}::text AS vector FROM {column.relation.sql} WHERE {name} IS NOT NULL ORDER BY {hashed} LIMIT $1
    """
    return [row["vector"] for row in await connection.fetch(query, samples)]


async def _send_vectors_as_text(connection: asyncpg.Connection, column: VectorColumn) -> None:
    """Let a vector be a parameter, read once per search; a cast in the query would be read once per row."""
    for name in ("vector", "halfvec"):
        await connection.set_type_codec(name, schema=column.extension_schema, encoder=str, decoder=str, format="text")


def _query(column: VectorColumn, metric: str, *, halfvec: bool) -> str:
    schema, name = quote_ident(column.extension_schema), quote_ident(column.column)
    type_ = "halfvec" if halfvec or column.type == "halfvec" else "vector"
    cast = f"{schema}.{type_}({column.dimensions})"
    subject = f"({name}::{cast})" if halfvec else name
    distance = f"{subject} OPERATOR({schema}.{METRICS[metric]}) $1::{schema}.{type_}"
    rows = f"SELECT ctid::text AS id, {distance} AS distance FROM {column.relation.sql}"
    return f"{rows} ORDER BY {distance} LIMIT {NEIGHBOURS}"


@asynccontextmanager
async def _planned(connection: asyncpg.Connection, settings: dict[str, str]) -> AsyncIterator[None]:
    """Run under planner settings that end with it; plans that functions keep are thrown away on both edges."""
    await connection.execute("DISCARD PLANS")
    async with connection.transaction(readonly=True):
        for name, value in settings.items():
            await connection.execute("SELECT set_config($1, $2, true)", name, value)
        yield
    await connection.execute("DISCARD PLANS")


async def _search(
    connection: asyncpg.Connection, query: str, vectors: Sequence[str]
) -> tuple[list[list[tuple[str, float]]], float]:
    """Return each vector's neighbours with their distances, and the average milliseconds."""
    statement = await connection.prepare(query)
    await statement.fetch(vectors[0])
    started = time.perf_counter()
    found = [[(row["id"], row["distance"]) for row in await statement.fetch(vector)] for vector in vectors]
    return found, (time.perf_counter() - started) * 1000 / len(vectors)


def _recall_by_distance(found: list[list[tuple[str, float]]], exact: list[list[tuple[str, float]]]) -> float:
    shares = []
    for near, true in zip(found, exact, strict=True):
        if true:
            limit = true[-1][1] + 1e-6 + abs(true[-1][1]) * 1e-4
            shares.append(min(1.0, sum(distance <= limit for _, distance in near) / len(true)))
    return sum(shares) / len(shares) if shares else 1.0


def _recall_by_identity(found: list[list[tuple[str, float]]], exact: list[list[tuple[str, float]]]) -> float:
    shares = []
    for near, true in zip(found, exact, strict=True):
        wanted = {identity for identity, _ in true}
        if wanted:
            shares.append(len(wanted & {identity for identity, _ in near}) / len(wanted))
    return sum(shares) / len(shares) if shares else 1.0
