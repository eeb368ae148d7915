"""Reads what is written as a name and options: collations, text search objects, aggregates, operators and casts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import PlainObject
from tekup_migrate.postgres.catalog.sql import USER_SCHEMAS, grants, key, not_of_extension, owner, read

if TYPE_CHECKING:
    import asyncpg

_OPERANDS = "format('%s, %s', coalesce(format_type(nullif(o.oprleft, 0), NULL), 'NONE'), format_type(o.oprright, NULL))"

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
               CASE p.proparallel WHEN 's' THEN 'PARALLEL = SAFE' WHEN 'r' THEN 'PARALLEL = RESTRICTED' END,
               CASE a.aggkind WHEN 'h' THEN 'HYPOTHETICAL' END
           )) AS definition
    FROM pg_aggregate AS a
    JOIN pg_proc AS p ON p.oid = a.aggfnoid
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE {USER_SCHEMAS} AND {not_of_extension("pg_proc", "p.oid")}
"""

_OPERATORS = f"""
    SELECT {key("'operator'", "n.nspname", "o.oprname", arguments=_OPERANDS)} AS key,
           o.oid::int8 AS oid, {owner("o.oprowner")}, obj_description(o.oid, 'pg_operator') AS comment,
           format('(%s)', concat_ws(', ',
               format('FUNCTION = %s', o.oprcode),
               'LEFTARG = ' || format_type(nullif(o.oprleft, 0), NULL),
               'RIGHTARG = ' || format_type(o.oprright, NULL),
               (SELECT format('COMMUTATOR = OPERATOR(%I.%s)', cn.nspname, c.oprname) FROM pg_operator AS c
                   JOIN pg_namespace AS cn ON cn.oid = c.oprnamespace WHERE c.oid = o.oprcom),
               (SELECT format('NEGATOR = OPERATOR(%I.%s)', cn.nspname, c.oprname) FROM pg_operator AS c
                   JOIN pg_namespace AS cn ON cn.oid = c.oprnamespace WHERE c.oid = o.oprnegate),
               'RESTRICT = ' || nullif(o.oprrest, 0)::regproc, 'JOIN = ' || nullif(o.oprjoin, 0)::regproc,
               CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END
           )) AS definition
    FROM pg_operator AS o
    JOIN pg_namespace AS n ON n.oid = o.oprnamespace
    WHERE o.oprcode <> 0 AND {USER_SCHEMAS} AND {not_of_extension("pg_operator", "o.oid")}
"""
"""One without a function is a name that another operator's commutator or negator has reserved."""

_CASTS = f"""
    SELECT {key("'cast'", "''", "format_type(c.castsource, NULL) || ' AS ' || format_type(c.casttarget, NULL)")} AS key,
           c.oid::int8 AS oid, obj_description(c.oid, 'pg_cast') AS comment,
           concat(CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::regprocedure
                   WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
               CASE c.castcontext WHEN 'i' THEN ' AS IMPLICIT' WHEN 'a' THEN ' AS ASSIGNMENT' END) AS definition
    FROM pg_cast AS c
    WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'i'))
"""
"""Neither an extension's nor the one that comes with a range type."""


async def read_plain(connection: asyncpg.Connection) -> list[PlainObject]:
    """Return every collation, text search dictionary and configuration, aggregate, operator and cast."""
    queries = (_COLLATIONS, _DICTIONARIES, _CONFIGURATIONS, _AGGREGATES, _OPERATORS, _CASTS)
    return [item for query in queries for item in await read(connection, query, PlainObject)]
