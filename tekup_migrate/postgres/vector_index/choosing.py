"""Weighs the index of every vector column that moved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import structs

from tekup_migrate.postgres.catalog.objects import Kind
from tekup_migrate.postgres.quoting import Relation, cut_name
from tekup_migrate.postgres.transplant.planning import TransplantPlan
from tekup_migrate.postgres.vector_index.columns import covers, metric_of, vector_columns
from tekup_migrate.postgres.vector_index.recommendation import Method, Recommendation, ServerMemory, recommend

if TYPE_CHECKING:
    import asyncpg


async def recommendations(
    target: asyncpg.Connection,
    plan: TransplantPlan,
    tables: Iterable[Relation],
    memory: ServerMemory,
    *,
    method: Method | None = None,
    halfvec: bool | None = None,
) -> tuple[Recommendation, ...]:
    """Return what to build on each vector column of the target's loaded tables.

    An index that the source has is kept in name, and where sensible in kind. The distance is its, else the one that a
    search function among what moved uses, else cosine.

    Args:
        target: where the rows are now.
        plan: what moved, for the source's indexes and search functions.
        tables: the target's names of the moved tables.
        memory: the target server's.
        method: the operator's own choice for every column.
        halfvec: whether that choice is of half precision.
    """
    names = plan.comparison.naming
    found = []
    for column in await vector_columns(target, tables):
        place = (column.relation_schema, column.table)
        indexes = [index for index in plan.vector_indexes if names.relation(index.key.schema, index.table) == place]
        existing = next((index for index in indexes if covers(index, column.column)), None)
        chosen = recommend(
            column,
            memory,
            source_indexes=indexes,
            metric=_metric_of_searches(plan, column.table),
            name=names.key(existing.key).name if existing else "",
            method=method,
            halfvec=halfvec,
        )
        found.append(await _beside_another(target, chosen))
    return tuple(found)


_METHOD = """
    SELECT m.amname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
    WHERE c.oid = to_regclass($1)
"""


async def _beside_another(target: asyncpg.Connection, chosen: Recommendation) -> Recommendation:
    """Give the index a name of its own where the target has one of that name but of another kind."""
    if chosen.method is Method.NONE:
        return chosen
    there = await target.fetchval(_METHOD, Relation(chosen.column.relation_schema, chosen.name).sql)
    if there in (None, chosen.method.value):
        return chosen
    return structs.replace(chosen, name=cut_name(chosen.name, f"_{chosen.method.value}"))


def _metric_of_searches(plan: TransplantPlan, table: str) -> str | None:
    """Return the distance that a function with the table in its text searches by."""
    texts = (item.definition for item in plan.items if item.kind is Kind.FUNCTION and table in item.definition)
    return next((metric for text in texts if (metric := metric_of(text))), None)
