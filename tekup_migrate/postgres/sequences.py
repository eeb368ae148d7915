"""Setting the sequences behind identity and serial columns past what was copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.postgres.quoting import Relation, quote_ident, quote_literal

if TYPE_CHECKING:
    import asyncpg

_OWNED = """
    SELECT a.attname::text AS column, n.nspname::text AS schema, s.relname::text AS name, q.seqincrement > 0 AS rises
    FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = s.oid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
      AND d.refobjid = $1::text::regclass AND d.deptype IN ('a', 'i')
"""


async def advance_sequences(connection: asyncpg.Connection, relation: Relation) -> tuple[str, ...]:
    """Set every sequence that a table's columns own past their largest value; never set one back.

    Returns:
        The statements that ran; none for sequences that were far enough.

    Raises:
        asyncpg.PostgresError: our role may not update a sequence.
    """
    ran = []
    for row in await connection.fetch(_OWNED, relation.sql):
        sequence = Relation(row["schema"], row["name"]).sql
        extreme, step = ("max", 1) if row["rises"] else ("min", -1)
        edge = await connection.fetchval(
            f"SELECT {extreme}({quote_ident(row['column'])})::int8 FROM ONLY {relation.sql}"
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
