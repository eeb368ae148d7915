"""Reads what is written as a name and a list of options: collations, text search objects and aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import PlainObject
from tekup_migrate.postgres.catalog.sql import USER_SCHEMAS, grants, key, not_of_extension, owner, read

if TYPE_CHECKING:
    import asyncpg

_COLLATIONS = f"""
    SELECT {key("'collation'", "n.nspname", "c.collname")} AS key, c.oid::int8 AS oid, {owner("c.collowner")},
           obj_description(c.oid, 'pg_collation') AS comment,
           format('(provider = %s, %s%s)',
               CASE c.collprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' ELSE 'builtin' END,
               CASE c.collprovider WHEN 'c' THEN format('lc_collate = %L, lc_ctype = %L', c.collcollate, c.collctype)
                   ELSE format('locale = %L', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale',
                       c.collcollate)) END,
               CASE WHEN c.collisdeterministic THEN '' ELSE ', deterministic = false' END
               || coalesce(', rules = ' || quote_literal(to_jsonb(c) ->> 'collicurules'), '')) AS definition
    FROM pg_collation AS c
    JOIN pg_namespace AS n ON n.oid = c.collnamespace
    WHERE {USER_SCHEMAS} AND {not_of_extension("pg_collation", "c.oid")}
"""
"""Where a collation's locale is kept has changed twice between Postgres 14 and 17."""

_DICTIONARIES = f"""
    SELECT {key("'text search dictionary'", "n.nspname", "x.dictname")} AS key, x.oid::int8 AS oid,
           {owner("x.dictowner")}, obj_description(x.oid, 'pg_ts_dict') AS comment,
           format('(TEMPLATE = %I.%I%s)', tn.nspname, t.tmplname, coalesce(', ' || x.dictinitoption, '')) AS definition
    FROM pg_ts_dict AS x
    JOIN pg_namespace AS n ON n.oid = x.dictnamespace
    JOIN pg_ts_template AS t ON t.oid = x.dicttemplate
    JOIN pg_namespace AS tn ON tn.oid = t.tmplnamespace
    WHERE {USER_SCHEMAS} AND {not_of_extension("pg_ts_dict", "x.oid")}
"""

_CONFIGURATIONS = f"""
    SELECT {key("'text search configuration'", "n.nspname", "c.cfgname")} AS key, c.oid::int8 AS oid,
           {owner("c.cfgowner")}, obj_description(c.oid, 'pg_ts_config') AS comment,
           format('(PARSER = %I.%I)', pn.nspname, p.prsname) AS definition,
           ARRAY(
               SELECT format('ADD MAPPING FOR %I WITH %s', t.alias,
                   string_agg(format('%I.%I', dn.nspname, d.dictname), ', ' ORDER BY m.mapseqno))
               FROM pg_ts_config_map AS m
               JOIN pg_ts_dict AS d ON d.oid = m.mapdict
               JOIN pg_namespace AS dn ON dn.oid = d.dictnamespace
               JOIN ts_token_type(p.oid) AS t ON t.tokid = m.maptokentype
               WHERE m.mapcfg = c.oid GROUP BY t.alias, t.tokid ORDER BY t.tokid
           ) AS changes
    FROM pg_ts_config AS c
    JOIN pg_namespace AS n ON n.oid = c.cfgnamespace
    JOIN pg_ts_parser AS p ON p.oid = c.cfgparser
    JOIN pg_namespace AS pn ON pn.oid = p.prsnamespace
    WHERE {USER_SCHEMAS} AND {not_of_extension("pg_ts_config", "c.oid")}
"""

_AGGREGATES = f"""
    SELECT {key("'aggregate'", "n.nspname", "p.proname", arguments="oidvectortypes(p.proargtypes)")} AS key,
           p.oid::int8 AS oid, {owner("p.proowner")}, obj_description(p.oid, 'pg_proc') AS comment,
           {grants("p.proacl", "f", "p.proowner")} AS grants,
           format('(%s) (%s)', coalesce(nullif(pg_get_function_arguments(p.oid), ''), '*'), concat_ws(', ',
               format('SFUNC = %s, STYPE = %s', a.aggtransfn, format_type(a.aggtranstype, NULL)),
               CASE WHEN a.aggtransspace > 0 THEN format('SSPACE = %s', a.aggtransspace) END,
               'FINALFUNC = ' || nullif(a.aggfinalfn, 0)::regproc,
               CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
               CASE WHEN a.aggfinalfn <> 0 THEN 'FINALFUNC_MODIFY = ' || CASE a.aggfinalmodify WHEN 'r' THEN 'READ_ONLY'
                   WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END,
               'COMBINEFUNC = ' || nullif(a.aggcombinefn, 0)::regproc,
               'SERIALFUNC = ' || nullif(a.aggserialfn, 0)::regproc,
               'DESERIALFUNC = ' || nullif(a.aggdeserialfn, 0)::regproc,
               'INITCOND = ' || quote_literal(a.agginitval),
               CASE WHEN a.aggmtransfn <> 0 THEN format('MSFUNC = %s, MINVFUNC = %s, MSTYPE = %s', a.aggmtransfn,
                   a.aggminvtransfn, format_type(a.aggmtranstype, NULL)) END,
               'MFINALFUNC = ' || nullif(a.aggmfinalfn, 0)::regproc,
               'MINITCOND = ' || quote_literal(a.aggminitval),
               (SELECT format('SORTOP = OPERATOR(%I.%s)', sn.nspname, o.oprname) FROM pg_operator AS o
                   JOIN pg_namespace AS sn ON sn.oid = o.oprnamespace WHERE o.oid = a.aggsortop),
               CASE p.proparallel WHEN 's' THEN 'PARALLEL = SAFE' WHEN 'r' THEN 'PARALLEL = RESTRICTED' END
           )) AS definition
    FROM pg_aggregate AS a
    JOIN pg_proc AS p ON p.oid = a.aggfnoid
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE a.aggkind = 'n' AND {USER_SCHEMAS} AND {not_of_extension("pg_proc", "p.oid")}
"""
"""Ordered-set aggregates are not among them: what needs one is told so."""


async def read_plain(connection: asyncpg.Connection) -> list[PlainObject]:
    """Return every collation, text search dictionary and configuration, and aggregate."""
    queries = (_COLLATIONS, _DICTIONARIES, _CONFIGURATIONS, _AGGREGATES)
    return [item for query in queries for item in await read(connection, query, PlainObject)]
