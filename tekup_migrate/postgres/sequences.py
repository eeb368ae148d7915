"""Setting the sequences that columns take their values from past what was copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.postgres.quoting import Relation, quote_ident, quote_literal

if TYPE_CHECKING:
    import asyncpg

_FEEDING = """
    WITH feeding AS (
        -- Identity and serial columns own their sequence.
        SELECT d.objid AS sequence, d.refobjsubid::int2 AS attnum
        FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
          AND d.refobjid = $1::text::regclass AND d.deptype IN ('a', 'i')
        UNION
        -- Any other default only refers to one.
        SELECT d.refobjid, v.adnum
        FROM pg_catalog.pg_attrdef AS v
        JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = v.oid
             AND d.refclassid = 'pg_catalog.pg_class'::regclass
        WHERE v.adrelid = $1::text::regclass
    )
    SELECT a.attname::text AS column, n.nspname::text AS schema, s.relname::text AS name, q.seqincrement > 0 AS rises,
           q.seqmin AS least, q.seqmax AS most
    FROM feeding
    JOIN pg_catalog.pg_class AS s ON s.oid = feeding.sequence AND s.relkind = 'S'
    JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = s.oid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = $1::text::regclass AND a.attnum = feeding.attnum
    WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
    ORDER BY a.attnum, s.relname
"""


async def advance_sequences(connection: asyncpg.Connection, relation: Relation) -> tuple[str, ...]:
    """Set every sequence that feeds a table's columns past their largest value; never set one back.

    Values that a sequence can never give out, because they lie beyond its bounds, cannot collide and do not count.

    Returns:
        The statements that ran; none for sequences that were far enough.

    Raises:
        asyncpg.PostgresError: our role may not update a sequence.
    """
    ran = []
    for row in await connection.fetch(_FEEDING, relation.sql):
        sequence = Relation(row["schema"], row["name"]).sql
        extreme, step = ("max", 1) if row["rises"] else ("min", -1)
        column = quote_ident(row["column"])
        edge = await connection.fetchval(
            f"SELECT {extreme}({column})::int8 FROM ONLY {relation.sql} WHERE {column} BETWEEN $1::int8 AND $2::int8",
            row["least"],
            row["most"],
        )
        state = await connection.fetchrow(f"SELECT last_value, is_called FROM {sequence}")
        assert state is not None, "a sequence is a relation of one row"
        # Not called means that last_value itself is still to be given out.
        free = state["last_value"] + (step if state["is_called"] else 0)
        if edge is None or (free - edge) * step > 0:
            continue
        statement = f"SELECT pg_catalog.setval({quote_literal(sequence)}, {edge})"
        await connection.execute(statement)
        ran.append(statement)
    return tuple(ran)
