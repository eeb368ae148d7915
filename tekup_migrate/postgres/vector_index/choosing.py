"""Weighs the index of every vector column that moved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import Kind
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.transplant.planning import TransplantPlan
from tekup_migrate.postgres.vector_index.columns import covers, metric_of, vector_columns
from tekup_migrate.postgres.vector_index.recommendation import Method, Recommendation, recommend, server_memory

if TYPE_CHECKING:
    import asyncpg


async def recommendations(
    target: asyncpg.Connection,
    plan: TransplantPlan,
    tables: Iterable[Relation],
    *,
    memory_bytes: int | None = None,
    method: Method | None = None,
) -> tuple[Recommendation, ...]:
    """Return what to build on each vector column of the target's loaded tables.

    An index that the source has is kept in name, and where sensible in kind. The distance is its, else the one that a
    search function among what moved uses, else cosine.

    Args:
        target: where the rows are now.
        plan: what moved, for the source's indexes and search functions.
        tables: the target's names of the moved tables.
        memory_bytes: the target server's memory, where the operator knows it.
        method: the operator's own choice for every column.
    """
    memory = await server_memory(target, total=memory_bytes)
    names = plan.comparison.naming
    found = []
    for column in await vector_columns(target, tables):
        place = (column.relation_schema, column.table)
        indexes = [index for index in plan.vector_indexes if names.relation(index.key.schema, index.table) == place]
        existing = next((index for index in indexes if covers(index, column.column)), None)
        found.append(
            recommend(
                column,
                memory,
                source_indexes=indexes,
                metric=_metric_of_searches(plan, column.table),
                name=names.key(existing.key).name if existing else "",
                method=method,
            )
        )
    return tuple(found)


def _metric_of_searches(plan: TransplantPlan, table: str) -> str | None:
    """Return the distance that a function with the table in its text searches by."""
    texts = (item.definition for item in plan.items if item.kind is Kind.FUNCTION and table in item.definition)
    return next((metric for text in texts if (metric := metric_of(text))), None)
