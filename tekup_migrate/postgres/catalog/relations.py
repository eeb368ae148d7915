"""Reads tables with their columns, views and sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import Sequence, Table, View
from tekup_migrate.postgres.catalog.sql import USER_SCHEMAS, grants, key, not_of_extension, owner, read

if TYPE_CHECKING:
    import asyncpg

_NOT_NULL_NAME = """coalesce((
    SELECT k.conname::text FROM pg_constraint AS k
    WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]
      AND k.conname <> c.relname || '_' || a.attname || '_not_null'
      AND NOT (octet_length(c.relname || a.attname) > 53 AND EXISTS (
          SELECT FROM regexp_replace(k.conname, '_not_null[0-9]*$', '') AS cut, generate_series(0, length(cut) - 1) AS n
          WHERE cut = left(c.relname, n) || '_' || left(a.attname, length(cut) - n - 1)))), '')"""
"""Since Postgres 18 a NOT NULL is a constraint with a name; earlier servers have none of that type.

The name that the server chooses is none to carry. It cuts whichever of both parts is longer, so that 63 bytes are
enough, and counts where such names are alike (``makeObjectName`` and ``ChooseConstraintName`` in its source).
"""


_NOT_NULL_STATE = """(
    SELECT CASE WHEN NOT k.convalidated THEN 'v' WHEN k.connoinherit THEN 'i' ELSE '' END FROM pg_constraint AS k
    WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum])"""


def columns() -> str:
    """Return SQL for the tuple of ``Column`` of the relation ``c``."""
    return f"""(
        SELECT coalesce(json_agg(json_build_object(
            'number', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
            'not_null', a.attnotnull, 'not_null_name', {_NOT_NULL_NAME},
            'not_null_state', coalesce({_NOT_NULL_STATE}, ''),
            'default', pg_get_expr(d.adbin, d.adrelid), 'generated', a.attgenerated::text,
            'identity', a.attidentity::text,
            'collation', CASE WHEN a.attcollation <> t.typcollation
                THEN quote_ident(ln.nspname) || '.' || quote_ident(l.collname) END,
            'storage', CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage
                WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
            'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE '' END,
            'statistics', CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END,
            'options', coalesce(a.attoptions, '{{}}'), 'comment', col_description(a.attrelid, a.attnum),
            'grants', CASE WHEN a.attacl IS NULL THEN '[]' ELSE {grants("a.attacl", "c", "c.relowner")} END
        ) ORDER BY a.attnum), '[]')
        FROM pg_attribute AS a
        JOIN pg_type AS t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
        LEFT JOIN pg_namespace AS ln ON ln.oid = l.collnamespace
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    )"""


_TABLES = f"""
    SELECT {
    key(
        "CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' ELSE 'foreign table' END",
        "n.nspname",
        "c.relname",
    )
} AS key,
           c.oid::int8 AS oid, {owner("c.relowner")}, obj_description(c.oid, 'pg_class') AS comment,
           {grants("c.relacl", "r", "c.relowner")} AS grants, {columns()} AS columns,
           c.relpersistence::text AS persistence,
           coalesce(c.reloptions, '{{}}') || coalesce((SELECT array_agg('toast.' || o ORDER BY place)
               FROM pg_class AS x, unnest(x.reloptions) WITH ORDINALITY AS u(o, place)
               WHERE x.oid = c.reltoastrelid), '{{}}') AS options,
           coalesce(m.amname::text, '') AS access_method, c.relrowsecurity AS row_security,
           c.relforcerowsecurity AS row_security_forced, c.relreplident::text AS replica_identity,
           coalesce((SELECT x.relname::text FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
               WHERE i.indrelid = c.oid AND i.indisreplident), '') AS replica_index,
           coalesce((SELECT x.relname::text FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
               WHERE i.indrelid = c.oid AND i.indisclustered), '') AS clustered_index,
           CASE WHEN c.relkind = 'p' THEN 'it is partitioned' WHEN c.relkind = 'f' THEN 'it is a foreign table'
                WHEN c.relispartition THEN 'it is a partition of another table'
                WHEN c.reloftype <> 0 THEN 'it is a typed table'
                WHEN EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid)
                    THEN 'it inherits from another table'
                WHEN EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid) THEN 'other tables inherit from it'
                ELSE '' END AS irregular,
           c.reltuples::int8 AS rows
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_am AS m ON m.oid = c.relam
    WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' AND {USER_SCHEMAS}
      AND {not_of_extension("pg_class", "c.oid")}
"""

_VIEWS = f"""
    SELECT {key("CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END", "n.nspname", "c.relname")} AS key,
           c.oid::int8 AS oid, {owner("c.relowner")}, obj_description(c.oid, 'pg_class') AS comment,
           {grants("c.relacl", "r", "c.relowner")} AS grants,
           rtrim(pg_get_viewdef(c.oid), ';') AS query,
           coalesce(c.reloptions, '{{}}') || coalesce((SELECT array_agg('toast.' || o ORDER BY place)
               FROM pg_class AS x, unnest(x.reloptions) WITH ORDINALITY AS u(o, place)
               WHERE x.oid = c.reltoastrelid), '{{}}') AS options,
           {columns()} AS columns, c.relispopulated AS populated,
           coalesce((SELECT x.relname::text FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
               WHERE i.indrelid = c.oid AND i.indisclustered), '') AS clustered_index
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm') AND {USER_SCHEMAS} AND {not_of_extension("pg_class", "c.oid")}
"""

_SEQUENCES = f"""
    SELECT {key("'sequence'", "n.nspname", "c.relname")} AS key,
           c.oid::int8 AS oid, {owner("c.relowner")}, obj_description(c.oid, 'pg_class') AS comment,
           {grants("c.relacl", "s", "c.relowner")} AS grants, c.relpersistence::text AS persistence,
           json_build_object('type', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement,
               'minimum', s.seqmin, 'maximum', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle) AS options,
           o.owned_by, coalesce(o.identity, false) AS identity
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_sequence AS s ON s.seqrelid = c.oid
    LEFT JOIN LATERAL (
        SELECT ARRAY[tn.nspname::text, t.relname::text, a.attname::text] AS owned_by, d.deptype = 'i' AS identity
        FROM pg_depend AS d
        JOIN pg_class AS t ON t.oid = d.refobjid
        JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
          AND d.deptype IN ('a', 'i')
    ) AS o ON true
    WHERE c.relkind = 'S' AND {USER_SCHEMAS} AND {not_of_extension("pg_class", "c.oid")}
"""


async def read_tables(connection: asyncpg.Connection) -> list[Table]:
    """Return every table outside Postgres' own schemas and extensions, partitioned and foreign ones too."""
    return await read(connection, _TABLES, Table)


async def read_views(connection: asyncpg.Connection) -> list[View]:
    """Return every view and materialized view outside Postgres' own schemas and extensions."""
    return await read(connection, _VIEWS, View)


async def read_sequences(connection: asyncpg.Connection) -> list[Sequence]:
    """Return every sequence outside Postgres' own schemas and extensions."""
    return await read(connection, _SEQUENCES, Sequence)
