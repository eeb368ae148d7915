"""A whole table's rows and digest, equal in every database and Postgres version that holds the same rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tekup_migrate.postgres.quoting import Relation, quote_ident
from tekup_migrate.postgres.types import read_types

if TYPE_CHECKING:
    import asyncpg


async def digest_table(connection: asyncpg.Connection, relation: Relation) -> tuple[int, str]:
    """Return a table's rows and digest, in the connection's transaction and under our pinned settings.

    The digest covers every column of every row and does not depend on row order or OIDs: each row is an MD5 of its
    columns' MD5s, and the rows' MD5s are added up as two 64-bit halves.
    """
    columns = await connection.fetch(_COLUMNS, relation.schema, relation.name)
    types = await read_types(connection, {column["type"] for column in columns})
    parts = [
        f"coalesce(pg_catalog.md5({types[column['type']].bytes_of(quote_ident(column['name']))}), '-')"
        for column in columns
    ]
    row = f"pg_catalog.md5({' || '.join(parts)})" if parts else "pg_catalog.md5('')"
    [(rows, high, low)] = await connection.fetch(_DIGEST.format(row=row, table=relation.sql))
    return rows, hashlib.sha256(f"{rows} {high} {low}".encode()).hexdigest()


# OFFSET 0 keeps the planner from computing the row's digest twice.
_DIGEST = """
SELECT count(*),
       coalesce(sum(('x' || left(h, 16))::bit(64)::bigint::numeric), 0)::text,
       coalesce(sum(('x' || right(h, 16))::bit(64)::bigint::numeric), 0)::text
FROM (SELECT {row} AS h FROM ONLY {table} OFFSET 0) AS digested
"""

_COLUMNS = """
SELECT a.attname::text AS name, a.atttypid::bigint AS type
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
