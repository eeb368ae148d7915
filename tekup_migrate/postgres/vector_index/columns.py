"""Finds vector columns, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.postgres.catalog.objects import Index
from tekup_migrate.postgres.quoting import Relation, quote_ident

if TYPE_CHECKING:
    import asyncpg

_COLUMNS = """
    SELECT a.attname::text AS name, t.typname::text AS type, tn.nspname::text AS schema, a.atttypmod AS dimensions
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid AND t.typname IN ('vector', 'halfvec')
    JOIN pg_namespace AS tn ON tn.oid = t.typnamespace
    WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""

METRICS = {"l2": "<->", "ip": "<#>", "cosine": "<=>"}
"""pgvector's operator for each distance that its operator classes are named after (pgvector's README)."""


class VectorColumn(Struct, frozen=True, kw_only=True):
    """A column of vectors.

    Attributes:
        relation_schema: its table's schema.
        table: its table.
        column: its name.
        type: ``vector`` or ``halfvec``.
        extension_schema: where pgvector's objects are.
        dimensions: numbers in a vector; 0 where neither the type nor any row tells.
        rows: rows with a vector, counted.
    """

    relation_schema: str
    table: str
    column: str
    type: str
    extension_schema: str
    dimensions: int
    rows: int

    @property
    def relation(self) -> Relation:
        """The table's qualified name."""
        return Relation(self.relation_schema, self.table)


async def vector_columns(connection: asyncpg.Connection, tables: Iterable[Relation]) -> tuple[VectorColumn, ...]:
    """Return the vector columns of tables, with their rows counted."""
    found = []
    for table in tables:
        for row in await connection.fetch(_COLUMNS, table.sql):
            name = quote_ident(row["name"])
            rows = await connection.fetchval(f"SELECT count({name}) FROM {table.sql}")
            dimensions = row["dimensions"]
            if dimensions <= 0:
                dims = f"{quote_ident(row['schema'])}.vector_dims({name})"
                query = f"SELECT {dims} FROM {table.sql} WHERE {name} IS NOT NULL LIMIT 1"
                dimensions = await connection.fetchval(query) or 0
            found.append(
                VectorColumn(
                    relation_schema=table.schema,
                    table=table.name,
                    column=row["name"],
                    type=row["type"],
                    extension_schema=row["schema"],
                    dimensions=dimensions,
                    rows=rows,
                )
            )
    return tuple(found)


def covers(index: Index, column: str) -> bool:
    """Whether a vector index is on a column, or on an expression of it."""
    words = re.findall(r'"(?:[^"]|"")+"|\w+', index.definition.partition(" USING ")[2])
    return column in words or quote_ident(column) in words


def metric_of(text: str) -> str | None:
    """Return the distance that an index definition or a search function's body uses, or None."""
    for metric, operator in METRICS.items():
        if f"_{metric}_ops" in text or operator in text or f"({operator})" in text:
            return metric
    return None
