"""Reads schemas, extensions, types and functions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import (
    CompositeType,
    Domain,
    EnumType,
    Extension,
    Function,
    RangeType,
    Schema,
)
from tekup_migrate.postgres.catalog.relations import columns
from tekup_migrate.postgres.catalog.sql import USER_SCHEMAS, grants, key, not_of_extension, owner, read

if TYPE_CHECKING:
    import asyncpg

_SCHEMAS = f"""
    SELECT {key("'schema'", "''", "n.nspname")} AS key, n.oid::int8 AS oid, {owner("n.nspowner")},
           obj_description(n.oid, 'pg_namespace') AS comment, {grants("n.nspacl", "n", "n.nspowner")} AS grants,
           ARRAY(SELECT r.rolname::text FROM pg_roles AS r
               WHERE has_schema_privilege(r.oid, n.oid, 'USAGE')) AS open_to
    FROM pg_namespace AS n
    WHERE {USER_SCHEMAS}
"""

_EXTENSIONS = f"""
    SELECT {key("'extension'", "''", "e.extname")} AS key, e.oid::int8 AS oid, {owner("e.extowner")},
           e.extversion AS version, n.nspname AS schema
    FROM pg_extension AS e
    JOIN pg_namespace AS n ON n.oid = e.extnamespace
"""


def _type(kind: str, fields: str, joins: str, condition: str) -> str:
    return f"""
        SELECT {key(f"'{kind}'", "n.nspname", "t.typname")} AS key, t.oid::int8 AS oid, {owner("t.typowner")},
               obj_description(t.oid, 'pg_type') AS comment, {grants("t.typacl", "T", "t.typowner")} AS grants, {fields}
        FROM pg_type AS t
        JOIN pg_namespace AS n ON n.oid = t.typnamespace
        {joins}
        WHERE {condition} AND {USER_SCHEMAS} AND {not_of_extension("pg_type", "t.oid")}
    """


_COLLATION = """(SELECT quote_ident(ln.nspname) || '.' || quote_ident(l.collname) FROM pg_collation AS l
    JOIN pg_namespace AS ln ON ln.oid = l.collnamespace WHERE l.oid = {oid} AND {condition})"""

_ENUMS = _type(
    "enum type",
    "ARRAY(SELECT e.enumlabel::text FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels",
    "",
    "t.typtype = 'e'",
)

_DOMAINS = _type(
    "domain",
    f"""format_type(t.typbasetype, t.typtypmod) AS base, t.typnotnull AS not_null,
        pg_get_expr(t.typdefaultbin, 0) AS default,
        {_COLLATION.format(oid="t.typcollation", condition="t.typcollation <> b.typcollation")} AS collation,
        (SELECT coalesce(json_agg(json_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid),
            'comment', obj_description(k.oid, 'pg_constraint')) ORDER BY k.conname), '[]')
         FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c') AS checks""",
    "JOIN pg_type AS b ON b.oid = t.typbasetype",
    "t.typtype = 'd'",
)

_COMPOSITES = _type(
    "composite type",
    f"{columns()} AS columns",
    "JOIN pg_class AS c ON c.oid = t.typrelid AND c.relkind = 'c'",
    "t.typtype = 'c'",
)

_RANGES = _type(
    "range type",
    f"""format_type(r.rngsubtype, NULL) AS subtype,
        (SELECT quote_ident(pn.nspname) || '.' || quote_ident(p.opcname) FROM pg_opclass AS p
         JOIN pg_namespace AS pn ON pn.oid = p.opcnamespace
         WHERE p.oid = r.rngsubopc AND NOT p.opcdefault) AS opclass,
        {_COLLATION.format(oid="r.rngcollation", condition="r.rngcollation <> s.typcollation")} AS collation,
        nullif(r.rngsubdiff, 0)::regproc::text AS difference, nullif(r.rngcanonical, 0)::regproc::text AS canonical,
        (SELECT m.typname::text FROM pg_type AS m WHERE m.oid = r.rngmultitypid) AS multirange""",
    "JOIN pg_range AS r ON r.rngtypid = t.oid JOIN pg_type AS s ON s.oid = r.rngsubtype",
    "t.typtype = 'r'",
)

_FUNCTIONS = f"""
    SELECT {key("'function'", "n.nspname", "p.proname", arguments="oidvectortypes(p.proargtypes)")} AS key,
           p.oid::int8 AS oid, {owner("p.proowner")}, obj_description(p.oid, 'pg_proc') AS comment,
           {grants("p.proacl", "f", "p.proowner")} AS grants,
           pg_get_functiondef(p.oid) AS head, CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE '' END AS body,
           l.lanname AS language, p.proretset AS returns_rows, p.prokind = 'p' AS procedure,
           ARRAY(SELECT format_type(o, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u(o, place)
               ORDER BY place) AS argument_types
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    JOIN pg_language AS l ON l.oid = p.prolang
    WHERE p.prokind <> 'a' AND {USER_SCHEMAS} AND {not_of_extension("pg_proc", "p.oid")}
      AND NOT EXISTS (SELECT FROM pg_depend AS i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid
          AND i.deptype = 'i')
"""
"""A range type brings its own constructor functions, which depend on it internally."""


async def read_schemas(connection: asyncpg.Connection) -> list[Schema]:
    """Return every schema but Postgres' own."""
    return await read(connection, _SCHEMAS, Schema)


async def read_extensions(connection: asyncpg.Connection) -> list[Extension]:
    """Return the installed extensions."""
    return await read(connection, _EXTENSIONS, Extension)


async def read_enums(connection: asyncpg.Connection) -> list[EnumType]:
    """Return every enum type with its labels."""
    return await read(connection, _ENUMS, EnumType)


async def read_domains(connection: asyncpg.Connection) -> list[Domain]:
    """Return every domain with its checks."""
    return await read(connection, _DOMAINS, Domain)


async def read_composites(connection: asyncpg.Connection) -> list[CompositeType]:
    """Return every composite type that was created as such."""
    return await read(connection, _COMPOSITES, CompositeType)


async def read_ranges(connection: asyncpg.Connection) -> list[RangeType]:
    """Return every range type."""
    return await read(connection, _RANGES, RangeType)


async def read_functions(connection: asyncpg.Connection) -> list[Function]:
    """Return every function and procedure with its body; aggregates are not among them."""
    return [_split(function) for function in await read(connection, _FUNCTIONS, Function)]


def _split(function: Function) -> Function:
    """Cut the body off the definition, so that each can be rewritten by its own rules."""
    head = function.head.replace("CREATE OR REPLACE ", "CREATE ", 1)
    # From the end: what comes before the body may hold anything, in an argument's default for one.
    delimiter = _DELIMITER.search(head.rstrip("\n")) if function.body else None
    tail = f"AS {delimiter[0]}{function.body}{delimiter[0]}" if delimiter else ""
    if not tail or not head.rstrip("\n").endswith(tail):
        return replace(function, head=head.rstrip(), body="")
    return replace(function, head=head.rstrip("\n").removesuffix(tail))


_DELIMITER = re.compile(r"\$(?:function|procedure)x*\$\Z")
"""What the server quotes a body with."""
