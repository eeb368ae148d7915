"""A whole table's digest, equal in every database and Postgres version that holds the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.postgres.digest import Digest, RowDigests
from tekup_migrate.postgres.keys import KeyRange
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.table import Column, Table
from tekup_migrate.postgres.types import read_types

if TYPE_CHECKING:
    import asyncpg


async def digest_table(connection: asyncpg.Connection, relation: Relation) -> Digest:
    """Return the digest of all rows of a table itself, in the connection's transaction and under pinned settings.

    Unlike a table that is moved, one that is backed up may have no key and may have children, whose rows are theirs.
    """
    rows = await connection.fetch(_COLUMNS, relation.schema, relation.name)
    types = await read_types(connection, {row["type"] for row in rows})
    columns = tuple(
        Column(
            name=row["name"],
            type=types[row["type"]],
            typmod=-1,
            not_null=False,
            generated=False,
            always_identity=False,
            byte_ordered=False,
        )
        for row in rows
    )
    table = Table(relation=relation, columns=columns, keys=(), unique=(), rules={}, rows=0, bytes=0)
    digests = RowDigests(table=table, names=tuple(column.name for column in columns), key=())
    found = await digests.buckets(connection, KeyRange(), 1)
    return found.get(0, Digest())


_COLUMNS = """
SELECT a.attname::text AS name, a.atttypid::bigint AS type
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
