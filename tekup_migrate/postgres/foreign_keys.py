"""Proving foreign keys by looking for rows without a parent, because silenced ones were not checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.quoting import Relation, quote_ident

if TYPE_CHECKING:
    import asyncpg

_SAMPLED = 5
_FOREIGN_KEYS = """
    SELECT c.conname::text AS name, c.confmatchtype::text = 'f' AS match_full,
           cn.nspname::text AS child_schema, ct.relname::text AS child,
           pn.nspname::text AS parent_schema, pt.relname::text AS parent,
           ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k(n, place)
                 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.n
                 ORDER BY k.place) AS columns,
           ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY AS k(n, place)
                 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.n
                 ORDER BY k.place) AS parent_columns,
           -- By name and schema, because our search_path is empty and a type of an extension brings its own.
           ARRAY(SELECT pg_catalog.format('OPERATOR(%I.%s)', m.nspname, o.oprname)
                 FROM pg_catalog.unnest(c.conpfeqop) WITH ORDINALITY AS k(operator, place)
                 JOIN pg_catalog.pg_operator AS o ON o.oid = k.operator
                 JOIN pg_catalog.pg_namespace AS m ON m.oid = o.oprnamespace
                 ORDER BY k.place) AS operators
    FROM pg_catalog.pg_constraint AS c
    JOIN pg_catalog.pg_class AS ct ON ct.oid = c.conrelid
    JOIN pg_catalog.pg_namespace AS cn ON cn.oid = ct.relnamespace
    JOIN pg_catalog.pg_class AS pt ON pt.oid = c.confrelid
    JOIN pg_catalog.pg_namespace AS pn ON pn.oid = pt.relnamespace
    WHERE c.contype = 'f' AND c.conparentid = 0
      AND (c.conrelid = ANY($1::text[]::regclass[]) OR c.confrelid = ANY($1::text[]::regclass[]))
    ORDER BY cn.nspname, ct.relname, c.conname
"""


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of ``child`` to ``parent``; ``operators`` compare a parent's column with the child's."""

    name: str
    child: Relation
    columns: tuple[str, ...]
    parent: Relation
    parent_columns: tuple[str, ...]
    operators: tuple[str, ...]
    match_full: bool

    def joined(self, parent: str, child: str) -> str:
        """Return SQL that joins a row of the parent to the rows that refer to it, given both aliases."""
        triples = zip(self.parent_columns, self.operators, self.columns, strict=True)
        return " AND ".join(
            f"{parent}.{quote_ident(above)} {equals} {child}.{quote_ident(below)}" for above, equals, below in triples
        )

    def filled(self, child: str) -> str:
        """Return SQL for whether a row refers to anything, given its alias."""
        nulls = [f"{child}.{quote_ident(column)} IS NOT NULL" for column in self.columns]
        # MATCH FULL also forbids a mixture of NULL and other values; MATCH SIMPLE lets any NULL pass.
        return f"({(' OR ' if self.match_full else ' AND ').join(nulls)})"


@dataclass(frozen=True)
class ForeignKeyProof:
    """How many rows of the child have no parent, with the keys of some."""

    key: ForeignKey
    orphans: int
    sample: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every row has its parent."""
        return self.orphans == 0


async def read_foreign_keys(connection: asyncpg.Connection, relations: Sequence[Relation]) -> tuple[ForeignKey, ...]:
    """Return every foreign key from or to the tables."""
    rows = await connection.fetch(_FOREIGN_KEYS, [relation.sql for relation in relations])
    return tuple(
        ForeignKey(
            name=row["name"],
            child=Relation(row["child_schema"], row["child"]),
            columns=tuple(row["columns"]),
            parent=Relation(row["parent_schema"], row["parent"]),
            parent_columns=tuple(row["parent_columns"]),
            operators=tuple(row["operators"]),
            match_full=row["match_full"],
        )
        for row in rows
    )


async def prove_foreign_keys(
    connection: asyncpg.Connection, relations: Sequence[Relation]
) -> tuple[ForeignKeyProof, ...]:
    """Look for orphans in every foreign key from or to the tables, by an anti-join."""
    return tuple([await _prove(connection, key) for key in await read_foreign_keys(connection, relations)])


def load_order(relations: Sequence[Relation], keys: Sequence[ForeignKey]) -> tuple[Relation, ...]:
    """Return the tables with parents before children; tables in a circle keep the order they were given in."""
    left, ordered = list(relations), list[Relation]()
    while left:
        waiting = {key.child for key in keys if key.parent in left and key.parent != key.child}
        ready = [relation for relation in left if relation not in waiting] or left[:1]
        ordered += ready
        left = [relation for relation in left if relation not in ready]
    return tuple(ordered)


async def _prove(connection: asyncpg.Connection, key: ForeignKey) -> ForeignKeyProof:
    shown = ", ".join(f"c.{quote_ident(column)}::text" for column in key.columns)
    row = await connection.fetchrow(f"""
        SELECT pg_catalog.count(*) AS orphans, (pg_catalog.array_agg(shown))[1:{_SAMPLED}] AS sample
        FROM (SELECT pg_catalog.concat_ws(', ', {shown}) AS shown FROM {key.child.sql} AS c
              WHERE {key.filled("c")}
                AND NOT EXISTS (SELECT FROM {key.parent.sql} AS p WHERE {key.joined("p", "c")})) AS orphan
    """)
    assert row is not None, "an aggregate without GROUP BY has one row"
    return ForeignKeyProof(key=key, orphans=row["orphans"], sample=tuple(row["sample"] or ()))
