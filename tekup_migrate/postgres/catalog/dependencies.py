"""Reads which object needs which, as Postgres records it.

What Postgres does not record, the names inside a function's body, is found by ``tekup_migrate.postgres.mentions``.
Source: "Dependency Tracking" and "pg_depend" in the PostgreSQL manual.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import (
    TYPES,
    CatalogObject,
    Extension,
    Index,
    Kind,
    ObjectKey,
)

if TYPE_CHECKING:
    import asyncpg

Address = tuple[str, int]
"""A catalog's name and an OID in it."""

_CATALOG_OF = {
    Kind.SCHEMA: "pg_namespace",
    Kind.EXTENSION: "pg_extension",
    Kind.FUNCTION: "pg_proc",
    Kind.AGGREGATE: "pg_proc",
    Kind.OPERATOR: "pg_operator",
    Kind.CAST: "pg_cast",
    Kind.COLLATION: "pg_collation",
    Kind.DICTIONARY: "pg_ts_dict",
    Kind.CONFIGURATION: "pg_ts_config",
    Kind.CONSTRAINT: "pg_constraint",
    Kind.FOREIGN_KEY: "pg_constraint",
    Kind.TRIGGER: "pg_trigger",
    Kind.EVENT_TRIGGER: "pg_event_trigger",
    Kind.RULE: "pg_rewrite",
    Kind.POLICY: "pg_policy",
    Kind.STATISTICS: "pg_statistic_ext",
    Kind.PUBLICATION: "pg_publication_rel",
}

_INNER = """
    SELECT 'pg_type' AS catalog, t.oid::int8 AS oid, 'pg_class' AS of_catalog, t.typrelid::int8 AS of_oid
    FROM pg_type AS t WHERE t.typrelid <> 0 AND t.oid >= 16384
    UNION ALL
    SELECT 'pg_class', c.oid::int8, 'pg_type', c.reltype::int8 FROM pg_class AS c WHERE c.relkind = 'c'
    UNION ALL
    SELECT 'pg_type', t.typarray::int8, 'pg_type', t.oid::int8 FROM pg_type AS t
    WHERE t.typarray <> 0 AND t.oid >= 16384
    UNION ALL
    SELECT 'pg_type', r.rngmultitypid::int8, 'pg_type', r.rngtypid::int8 FROM pg_range AS r WHERE r.rngtypid >= 16384
    UNION ALL
    SELECT 'pg_rewrite', r.oid::int8, 'pg_class', r.ev_class::int8 FROM pg_rewrite AS r
    WHERE r.rulename = '_RETURN' AND r.oid >= 16384
    UNION ALL
    SELECT 'pg_attrdef', a.oid::int8, 'pg_class', a.adrelid::int8 FROM pg_attrdef AS a
    UNION ALL
    SELECT 'pg_constraint', c.oid::int8, 'pg_type', c.contypid::int8 FROM pg_constraint AS c WHERE c.contypid <> 0
    UNION ALL
    SELECT 'pg_proc', d.objid::int8, 'pg_type', d.refobjid::int8 FROM pg_depend AS d
    WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i'
    UNION ALL
    SELECT d.classid::regclass::text, d.objid::int8, 'pg_extension', d.refobjid::int8 FROM pg_depend AS d
    WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
"""
"""Parts of others: row types, composite types' relations, arrays, views' rules, domains' checks, extensions' own."""

_EDGES = """
    SELECT DISTINCT d.classid::regclass::text AS catalog, d.objid::int8 AS oid,
           d.refclassid::regclass::text AS of_catalog, d.refobjid::int8 AS of_oid
    FROM pg_depend AS d
    WHERE d.objid >= 16384 AND d.deptype IN ('n', 'a', 'i')
    UNION ALL
    SELECT 'pg_operator', o.oid::int8, 'pg_operator', related.oid::int8
    FROM pg_operator AS o, unnest(ARRAY[o.oprcom, o.oprnegate]) AS related(oid)
    WHERE o.oid >= 16384 AND related.oid NOT IN (0, o.oid)
"""
"""Commutators and negators need each other; Postgres does not record it."""

_DESCRIBE = """
    SELECT a.catalog, a.oid, pg_describe_object(a.catalog::regclass, a.oid::oid, 0) AS description
    FROM ROWS FROM (unnest($1::text[]), unnest($2::int8[])) AS a(catalog, oid)
"""

_MEMBERS = """
    SELECT n.nspname::text AS schema, m.name::text AS name
    FROM pg_depend AS d
    JOIN LATERAL (
        SELECT t.typnamespace, t.typname FROM pg_type AS t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid
        UNION ALL
        SELECT p.pronamespace, p.proname FROM pg_proc AS p WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        UNION ALL
        SELECT o.oprnamespace, o.oprname FROM pg_operator AS o
        WHERE d.classid = 'pg_operator'::regclass AND o.oid = d.objid
        UNION ALL
        SELECT c.opcnamespace, c.opcname FROM pg_opclass AS c
        WHERE d.classid = 'pg_opclass'::regclass AND c.oid = d.objid
        UNION ALL
        SELECT r.relnamespace, r.relname FROM pg_class AS r WHERE d.classid = 'pg_class'::regclass AND r.oid = d.objid
    ) AS m(namespace, name) ON true
    JOIN pg_namespace AS n ON n.oid = m.namespace
    WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = $1::int8::oid
"""


async def read_extension_members(connection: asyncpg.Connection, extension: Extension) -> frozenset[tuple[str, str]]:
    """Return schema and name of every type, function, operator, operator class and relation of an extension."""
    rows = await connection.fetch(_MEMBERS, extension.oid)
    return frozenset((row["schema"], row["name"]) for row in rows)


async def read_dependencies(
    connection: asyncpg.Connection, objects: Iterable[CatalogObject]
) -> dict[ObjectKey, frozenset[ObjectKey]]:
    """Return what each of ``objects`` directly needs; an object that is not among them appears as ``Kind.OTHER``."""
    known = _addresses(objects)
    inner = {(r["catalog"], r["oid"]): (r["of_catalog"], r["of_oid"]) for r in await connection.fetch(_INNER)}
    edges = [
        ((row["catalog"], row["oid"]), (row["of_catalog"], row["of_oid"]))
        for row in await connection.fetch(_EDGES)
        if row["of_oid"] >= 16384 or row["of_catalog"] == "pg_namespace"
    ]
    unknown = {end for _, end in edges if _whole(end, known, inner) is None}
    others = await _describe(connection, unknown)
    found: defaultdict[ObjectKey, set[ObjectKey]] = defaultdict(set)
    for start, end in edges:
        needer = _whole(start, known, inner)
        needed = _whole(end, known, inner) or others.get(end)
        if needer is not None and needed is not None and needer != needed:
            found[needer].add(needed)
    return {key: frozenset(needs) for key, needs in found.items()}


def _addresses(objects: Iterable[CatalogObject]) -> dict[Address, ObjectKey]:
    known: dict[Address, ObjectKey] = {}
    for item in objects:
        catalog = "pg_type" if item.key.kind in TYPES else _CATALOG_OF.get(item.key.kind, "pg_class")
        known[catalog, item.oid] = item.key
        if isinstance(item, Index) and item.constraint:
            known[catalog, item.oid] = ObjectKey(Kind.CONSTRAINT, item.key.schema, item.constraint, item.table)
    return known


def _whole(address: Address, known: Mapping[Address, ObjectKey], inner: Mapping[Address, Address]) -> ObjectKey | None:
    """Return the object that an address is, or is a part of."""
    for _ in range(8):
        if address in known:
            return known[address]
        if address not in inner:
            return None
        address = inner[address]
    return None


async def _describe(connection: asyncpg.Connection, unknown: Iterable[Address]) -> dict[Address, ObjectKey]:
    addresses = sorted(unknown)
    rows = await connection.fetch(_DESCRIBE, [catalog for catalog, _ in addresses], [oid for _, oid in addresses])
    return {
        (row["catalog"], row["oid"]): ObjectKey(Kind.OTHER, "", row["description"])
        for row in rows
        if row["description"] is not None and not row["catalog"].endswith("pg_namespace")
    }
