"""Reads what hangs on tables and views: constraints, indexes, triggers, rules, policies, statistics, publications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import (
    Constraint,
    Index,
    PublicationTable,
    RowPolicy,
    Rule,
    StatisticsObject,
    Trigger,
)
from tekup_migrate.postgres.catalog.sql import USER_SCHEMAS, key, not_of_extension, owner, read

if TYPE_CHECKING:
    import asyncpg

_CONSTRAINTS = f"""
    SELECT {
    key(
        "CASE k.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END", "n.nspname", "k.conname", parent="c.relname"
    )
} AS key,
           k.oid::int8 AS oid, {owner("c.relowner")}, obj_description(k.oid, 'pg_constraint') AS comment,
           k.contype::text AS type, pg_get_constraintdef(k.oid) AS definition,
           CASE WHEN k.contype IN ('p', 'u') THEN coalesce(x.reloptions, '{{}}') ELSE '{{}}' END AS options
    FROM pg_constraint AS k
    LEFT JOIN pg_class AS x ON x.oid = k.conindid
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE k.contype IN ('p', 'u', 'c', 'x', 'f') AND k.conparentid = 0 AND {USER_SCHEMAS}
      AND {not_of_extension("pg_class", "c.oid")}
"""

_INDEXES = f"""
    SELECT {key("'index'", "n.nspname", "x.relname")} AS key,
           x.oid::int8 AS oid, {owner("c.relowner")}, obj_description(x.oid, 'pg_class') AS comment,
           c.relname AS table, i.indisunique AS unique, m.amname AS method,
           substr(pg_get_indexdef(x.oid), length(format('CREATE %sINDEX %I ON ',
               CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, x.relname)) + 1) AS definition,
           coalesce((SELECT k.conname::text FROM pg_constraint AS k WHERE k.conindid = x.oid
               AND k.contype IN ('p', 'u', 'x') LIMIT 1), '') AS constraint,
           ARRAY(SELECT json_build_array(a.attnum, a.attstattarget) FROM pg_attribute AS a
               WHERE a.attrelid = x.oid AND a.attstattarget >= 0 ORDER BY a.attnum) AS statistics,
           pg_relation_size(x.oid) AS bytes
    FROM pg_index AS i
    JOIN pg_class AS x ON x.oid = i.indexrelid
    JOIN pg_class AS c ON c.oid = i.indrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_am AS m ON m.oid = x.relam
    WHERE {USER_SCHEMAS} AND {not_of_extension("pg_class", "c.oid")}
"""

_TRIGGERS = f"""
    SELECT {key("'trigger'", "n.nspname", "g.tgname", parent="c.relname")} AS key,
           g.oid::int8 AS oid, {owner("c.relowner")}, obj_description(g.oid, 'pg_trigger') AS comment,
           pg_get_triggerdef(g.oid) AS definition, g.tgenabled::text AS enabled
    FROM pg_trigger AS g
    JOIN pg_class AS c ON c.oid = g.tgrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE NOT g.tgisinternal AND {USER_SCHEMAS} AND {not_of_extension("pg_class", "c.oid")}
"""

_RULES = f"""
    SELECT {key("'rule'", "n.nspname", "r.rulename", parent="c.relname")} AS key,
           r.oid::int8 AS oid, {owner("c.relowner")}, obj_description(r.oid, 'pg_rewrite') AS comment,
           rtrim(pg_get_ruledef(r.oid), ';') AS definition, r.ev_enabled::text AS enabled
    FROM pg_rewrite AS r
    JOIN pg_class AS c ON c.oid = r.ev_class
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE r.rulename <> '_RETURN' AND {USER_SCHEMAS} AND {not_of_extension("pg_class", "c.oid")}
"""

_POLICIES = f"""
    SELECT {key("'policy'", "n.nspname", "p.polname", parent="c.relname")} AS key,
           p.oid::int8 AS oid, {owner("c.relowner")}, obj_description(p.oid, 'pg_policy') AS comment,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
               WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command,
           p.polpermissive AS permissive,
           ARRAY(SELECT CASE WHEN o = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(o)::text END
               FROM unnest(p.polroles) AS o ORDER BY 1) AS roles,
           pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check
    FROM pg_policy AS p
    JOIN pg_class AS c ON c.oid = p.polrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE {USER_SCHEMAS} AND {not_of_extension("pg_class", "c.oid")}
"""

_STATISTICS = f"""
    SELECT {key("'statistics object'", "n.nspname", "s.stxname")} AS key,
           s.oid::int8 AS oid, {owner("s.stxowner")}, obj_description(s.oid, 'pg_statistic_ext') AS comment,
           c.relname AS table, cn.nspname AS table_schema, pg_get_statisticsobjdef(s.oid) AS definition,
           CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END AS target
    FROM pg_statistic_ext AS s
    JOIN pg_namespace AS n ON n.oid = s.stxnamespace
    JOIN pg_class AS c ON c.oid = s.stxrelid
    JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
    WHERE {USER_SCHEMAS}
"""

_PUBLISHED_PART = """pg_get_expr(r.prqual, r.prrelid) AS where,
           ARRAY(SELECT a.attname::text FROM unnest(r.prattrs) AS number
               JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = number) AS columns"""
_PUBLISHED_WHOLE = "NULL AS where, '{}'::text[] AS columns"
"""Before Postgres 15 a publication took whole tables."""

_PUBLICATIONS = f"""
    SELECT {key("'publication'", "n.nspname", "p.pubname", parent="c.relname")} AS key,
           r.oid::int8 AS oid, {owner("p.pubowner")}, {{part}}
    FROM pg_publication_rel AS r
    JOIN pg_publication AS p ON p.oid = r.prpubid
    JOIN pg_class AS c ON c.oid = r.prrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
"""

_WIDE = f"""
    SELECT {key("'publication'", "n.nspname", "p.pubname", parent="c.relname")} AS key,
           0::int8 AS oid, {owner("p.pubowner")}, '[]'::json AS columns, NULL AS where
    FROM pg_publication AS p
    {{joined}}
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
    WHERE {USER_SCHEMAS}
"""
_PUBLISHED_WITH_ALL = _WIDE.replace("{joined}", "JOIN pg_namespace AS n ON p.puballtables")
_PUBLISHED_WITH_SCHEMA = _WIDE.replace(
    "{joined}",
    "JOIN pg_publication_namespace AS s ON s.pnpubid = p.oid JOIN pg_namespace AS n ON n.oid = s.pnnspid",
)


async def read_constraints(connection: asyncpg.Connection) -> list[Constraint]:
    """Return every table constraint but NOT NULL, which is a column's."""
    return await read(connection, _CONSTRAINTS, Constraint)


async def read_indexes(connection: asyncpg.Connection) -> list[Index]:
    """Return every index, those of constraints too."""
    return await read(connection, _INDEXES, Index)


async def read_triggers(connection: asyncpg.Connection) -> list[Trigger]:
    """Return every trigger but those that a constraint made."""
    return await read(connection, _TRIGGERS, Trigger)


async def read_rules(connection: asyncpg.Connection) -> list[Rule]:
    """Return every rewrite rule but those that make a view."""
    return await read(connection, _RULES, Rule)


async def read_policies(connection: asyncpg.Connection) -> list[RowPolicy]:
    """Return every row-level security policy."""
    return await read(connection, _POLICIES, RowPolicy)


async def read_statistics(connection: asyncpg.Connection) -> list[StatisticsObject]:
    """Return every extended statistics object."""
    return await read(connection, _STATISTICS, StatisticsObject)


async def read_publications(connection: asyncpg.Connection) -> list[PublicationTable]:
    """Return every table's membership in a publication, by its own name, with its schema, or with all tables."""
    new = connection.get_server_version().major >= 15
    named = _PUBLICATIONS.replace("{part}", _PUBLISHED_PART if new else _PUBLISHED_WHOLE)
    wide = [_PUBLISHED_WITH_ALL, _PUBLISHED_WITH_SCHEMA] if new else [_PUBLISHED_WITH_ALL]
    found = [await read(connection, query, PublicationTable) for query in (*wide, named)]
    return [item for each in found for item in each]
