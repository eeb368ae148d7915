"""Measures how much a search finds, and how fast, against an exact scan of the same rows."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from tekup_migrate.postgres.catalog.objects import Function
from tekup_migrate.postgres.quoting import Relation, quote_ident
from tekup_migrate.postgres.vector_index.columns import VectorColumn
from tekup_migrate.postgres.vector_index.truth import (
    NEIGHBOURS,
    WITHOUT_INDEXES,
    Truth,
    nearest_query,
    planned,
    read_vectors_once,
    truth_of,
)

if TYPE_CHECKING:
    import asyncpg

FUNCTION_SECONDS = 90.0
"""How long a function is asked on one side, through the index and exactly together."""
_FEWEST = 10
"""Searches that are made whatever they take."""

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
        shares: for each of these vectors the share that was found, or None where there was nothing to find.
    """

    recall: float
    milliseconds: float
    exact_milliseconds: float
    samples: int
    through: str
    shares: tuple[float | None, ...] = ()

    def over(self, samples: int) -> SearchQuality:
        """Return the recall of the first ``samples`` searches; the times stay those of all."""
        if samples >= self.samples or not self.shares:
            return self
        shares = self.shares[:samples]
        return structs.replace(self, recall=_average(shares), samples=samples, shares=shares)


def over_the_same(before: SearchQuality, after: SearchQuality) -> tuple[SearchQuality, SearchQuality]:
    """Return both sides over the samples that both were asked for: equal tables give them in the same order."""
    samples = min(before.samples, after.samples)
    return before.over(samples), after.over(samples)


async def measure(
    connection: asyncpg.Connection,
    column: VectorColumn,
    truth: Truth,
    *,
    metric: str = "cosine",
    halfvec: bool = False,
    settings: dict[str, str] | None = None,
) -> SearchQuality:
    """Search for the vectors of some rows through the index, and hold what is found against the truth.

    A neighbour counts as found when it is as near as the tenth true one, so that equal vectors do no harm.

    Args:
        connection: to either side.
        column: the column to search.
        truth: the true neighbours there.
        metric: the distance.
        halfvec: whether the index holds half-precision vectors of a full-precision column.
        settings: settings for the searches through the index.
    """
    if not await connection.fetchval(_HAS_INDEX, column.relation.sql):
        return SearchQuality(
            recall=1.0,
            milliseconds=truth.milliseconds,
            exact_milliseconds=truth.milliseconds,
            samples=len(truth.vectors),
            through="exact scan, there is no index",
        )
    await read_vectors_once(connection, column)
    async with planned(connection, {"enable_seqscan": "off", **(settings or {})}):
        rows, milliseconds = await _search(connection, nearest_query(column, metric, halfvec=halfvec), truth.vectors)
    found = [[row["distance"] for row in each] for each in rows]
    return SearchQuality(
        recall=_recall_by_distance(found, truth.nearest),
        milliseconds=milliseconds,
        exact_milliseconds=truth.milliseconds,
        samples=len(found),
        through="nearest-neighbour query",
    )


async def measure_function(
    connection: asyncpg.Connection,
    function: Function,
    column: VectorColumn,
    vectors: Sequence[str],
    *,
    seconds: float = FUNCTION_SECONDS,
) -> SearchQuality | str:
    """Search through the app's own function, as it is planned by itself and with index scans switched off.

    What a function finds is its own affair, so it must itself be asked for the truth, one search at a time. Over
    many rows that takes long: as it is, it is asked for half of ``seconds`` at most, exactly for what is left of them,
    and no new search is begun after that; but ten of each kind are made whatever they take.

    Returns why not, where the function wants arguments that cannot be guessed, or refuses those that are: it may want
    a signed-in user, or write down who searched, which is not for us to do.
    """
    import asyncpg

    call = await search_call(connection, function)
    if call is None:
        return "what it wants to be given cannot be guessed"
    try:
        return await _measure_call(connection, call, function, column, vectors, seconds)
    except (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError):
        raise
    except asyncpg.PostgresError as error:
        return str(error)


async def _measure_call(  # noqa: PLR0917 - the parts of one measurement
    connection: asyncpg.Connection,
    call: str,
    function: Function,
    column: VectorColumn,
    vectors: Sequence[str],
    seconds: float,
) -> SearchQuality:
    await read_vectors_once(connection, column)
    # The app's sessions have the role's own search_path, which a function's body may rely on; ours is empty.
    path = {"search_path": await connection.fetchval(_DEFAULT_PATH)}
    started = time.perf_counter()
    async with planned(connection, path):
        found, milliseconds = await _search(connection, call, vectors, seconds=seconds / 2)
    exact, exact_milliseconds = found, milliseconds
    if await connection.fetchval(_HAS_INDEX, column.relation.sql):
        left = seconds - (time.perf_counter() - started)
        async with planned(connection, {**path, **WITHOUT_INDEXES}):
            exact, exact_milliseconds = await _search(connection, call, vectors[: len(found)], seconds=left)
    shares = _shares_by_identity(found[: len(exact)], exact)
    return SearchQuality(
        recall=_average(shares),
        shares=shares,
        milliseconds=milliseconds,
        exact_milliseconds=exact_milliseconds,
        samples=len(exact),
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
        truth = await truth_of(connection, scratch, metric=metric)
        return await measure(connection, scratch, truth, metric=metric) if truth else None
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
    return f"SELECT md5(to_jsonb(r)::text) AS id FROM {call} AS r LIMIT {NEIGHBOURS}"


def _guess(name: str, type_: str) -> str | None:
    """Return a value for an argument: ten rows, no threshold; None where its name does not tell."""
    lowered = name.lower()
    if type_ in ("integer", "bigint", "smallint") and any(word in lowered for word in _COUNT_NAMES):
        return str(NEIGHBOURS)
    if type_ in ("double precision", "real", "numeric") and any(word in lowered for word in _THRESHOLD_NAMES):
        return f"(-1)::{type_}"
    return None


async def _search(
    connection: asyncpg.Connection, query: str, vectors: Sequence[str], *, seconds: float = math.inf
) -> tuple[list[list[asyncpg.Record]], float]:
    """Return what is found for each vector, and the average milliseconds; see ``measure_function`` for ``seconds``."""
    statement = await connection.prepare(query)
    await statement.fetch(vectors[0])
    started = time.perf_counter()
    found: list[list[asyncpg.Record]] = []
    for vector in vectors:
        if len(found) >= _FEWEST and time.perf_counter() - started > seconds:
            break
        found.append(await statement.fetch(vector))
    return found, (time.perf_counter() - started) * 1000 / len(found)


def _recall_by_distance(found: Sequence[Sequence[float]], exact: Sequence[Sequence[float]]) -> float:
    """Return the average share of true neighbours; a vector that has no distance to anything, as zero, is left out."""
    shares = []
    for near, true in zip(found, exact, strict=True):
        if true and not math.isnan(true[-1]):
            limit = true[-1] + 1e-6 + abs(true[-1]) * 1e-4
            shares.append(min(1.0, sum(distance <= limit for distance in near) / len(true)))
    return sum(shares) / len(shares) if shares else 1.0


def _shares_by_identity(
    found: Sequence[Sequence[asyncpg.Record]], exact: Sequence[Sequence[asyncpg.Record]]
) -> tuple[float | None, ...]:
    shares: list[float | None] = []
    for near, true in zip(found, exact, strict=True):
        wanted = {row["id"] for row in true}
        shares.append(len(wanted & {row["id"] for row in near}) / len(wanted) if wanted else None)
    return tuple(shares)


def _average(shares: Sequence[float | None]) -> float:
    """Return the average share; where there was nothing to find, nothing was missed."""
    counted = [share for share in shares if share is not None]
    return sum(counted) / len(counted) if counted else 1.0
