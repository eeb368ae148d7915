"""What a table looks like on one side, and whether two sides fit together."""

# ruff: noqa: SIM905 - names side by side read better than a column of quotes

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.quoting import Relation, quote_ident
from tekup_migrate.postgres.types import PgType, read_types

if TYPE_CHECKING:
    import asyncpg

_ORDERED_ALIKE = frozenset(
    "int2 int4 int8 oid uuid numeric float4 float8 bool date time timetz timestamp timestamptz interval bytea "
    "inet cidr macaddr macaddr8 pg_lsn".split()
)
"""Types whose order no collation, enum definition or setting changes."""
_TEXT = frozenset(("text", "varchar"))
_LISTED_FROM_BYTES = 16 << 20
"""A table that is about one chunk is read as a whole in any case."""
_KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "p": "a partitioned table",
    "f": "a foreign table",
    "S": "a sequence",
    "c": "a composite type",
    "i": "an index",
}


class TableUnfitError(MigrationError):
    """A table cannot be copied or compared as it is; nothing was written."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its name.
        type: its type in this database.
        typmod: the type's modifier (length, dimensions), -1 without.
        not_null: whether NULL is excluded.
        generated: whether the server computes it, so that it cannot be written.
        always_identity: whether it is GENERATED ALWAYS AS IDENTITY, so that UPDATE refuses it.
        byte_ordered: whether its own order is that of its bytes, so that an index on it serves ``COLLATE "C"``.
    """

    name: str
    type: PgType
    typmod: int
    not_null: bool
    generated: bool
    always_identity: bool
    byte_ordered: bool

    @property
    def sql(self) -> str:
        """The quoted name."""
        return quote_ident(self.name)

    @property
    def is_indexed_alike(self) -> bool:
        """Whether an index on this column is in an order that every database shares."""
        return self.order_sql == self.sql

    @property
    def order_sql(self) -> str:
        """SQL that orders this column alike in every database."""
        base = self.type.base
        if base.schema == "pg_catalog" and base.name in _ORDERED_ALIKE:
            return self.sql
        if base.schema == "pg_catalog" and base.name in _TEXT:
            return self.sql if self.byte_ordered else f'{self.sql} COLLATE "C"'
        return f'{self.sql}::text COLLATE "C"'

    def literal_cast(self, parameter: str) -> str:
        """Return SQL that turns a text parameter into something ``order_sql`` compares with."""
        base = self.type.base
        if base.schema == "pg_catalog" and base.name in _ORDERED_ALIKE:
            return f"({parameter}::text)::{base.sql}"
        if self.byte_ordered:
            return f"{parameter}::text"
        return f'{parameter}::text COLLATE "C"'


@dataclass(frozen=True)
class UniqueIndex:
    """A unique index on plain columns.

    Attributes:
        name: its name.
        columns: its columns' names.
        where: SQL for which rows it is about, empty for all of them.
        nulls_equal: whether it takes NULL for a value like any other (``NULLS NOT DISTINCT``).
    """

    name: str
    columns: tuple[str, ...]
    where: str
    nulls_equal: bool


@dataclass(frozen=True)
class Table:
    """A table on one side.

    Attributes:
        relation: its schema and name.
        columns: in the catalog's order, without dropped ones.
        keys: the column names of every unique, not-null index, the primary key first.
        unique: every unique index on plain columns but the primary key's.
        rules: the column names that every constraint and unique index is about, by its name, for errors.
        rows: the server's estimate, 0 when it has none.
        bytes: bytes on disk with TOAST, without indexes.
    """

    relation: Relation
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    unique: tuple[UniqueIndex, ...]
    rules: Mapping[str, tuple[str, ...]]
    rows: int
    bytes: int

    def column(self, name: str) -> Column:
        """Return a column by its name."""
        return next(column for column in self.columns if column.name == name)

    def without(self, names: Collection[str], other: Table) -> Table:
        """Return the table without those of the named columns that ``other`` lacks."""
        gone = set(names) - {column.name for column in other.columns}
        return replace(
            self,
            columns=tuple(column for column in self.columns if column.name not in gone),
            keys=tuple(key for key in self.keys if gone.isdisjoint(key)),
            unique=tuple(index for index in self.unique if gone.isdisjoint(index.columns)),
        )

    def pick(self, names: tuple[str, ...]) -> tuple[Column, ...]:
        """Return columns by their names, in that order."""
        return tuple(self.column(name) for name in names)


_RELATION = """
    SELECT c.oid::int8 AS oid, c.relkind::text AS kind, greatest(c.reltuples, 0)::int8 AS rows,
           pg_catalog.row_security_active(c.oid) AS hides_rows,
           pg_catalog.has_table_privilege(c.oid, 'SELECT') AS may_read,
           EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = c.oid) AS has_children,
           c.relispartition AS is_part,
           CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END AS bytes,
           current_user::text AS role, pg_catalog.pg_is_in_recovery() AS follows
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2
"""
_COLUMNS = """
    SELECT a.attname::text AS name, a.atttypid::int8 AS type, a.atttypmod AS typmod,
           -- NOT VALID since Postgres 18: the column is marked, and may hold NULLs all the same.
           a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS n
               WHERE n.conrelid = a.attrelid AND n.contype = 'n' AND NOT n.convalidated
                 AND a.attnum = ANY(n.conkey)) AS not_null,
           a.attgenerated <> '' AS generated, a.attidentity = 'a' AS always_identity,
           coalesce(l.collname IN ('C', 'POSIX', 'ucs_basic')
                    OR l.collname = 'default' AND d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX'),
                    false) AS byte_ordered
    FROM pg_catalog.pg_attribute AS a
    LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
    JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
    WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
_UNIQUE = """
    SELECT c.relname::text AS name, i.indisprimary AS is_primary,
           coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), '') AS where,
           -- Postgres 14 has no such column.
           coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) AS nulls_equal,
           ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
                 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                 WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS columns
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = $1::int8::oid AND i.indisunique AND i.indisvalid AND i.indexprs IS NULL
    ORDER BY i.indisprimary DESC, i.indnkeyatts, c.relname
"""
_CONSTRAINTS = """
    SELECT n.conname::text AS name,
           ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(n.conkey) WITH ORDINALITY AS k(attnum, place)
                 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = n.conrelid AND a.attnum = k.attnum
                 ORDER BY k.place) AS columns
    FROM pg_catalog.pg_constraint AS n
    WHERE n.conrelid = $1::int8::oid
"""


def _refuse_unfit(row: asyncpg.Record, relation: Relation, where: str) -> None:
    if row["follows"]:
        why = "It is on a read replica, which may lag behind and does not show who writes to the tables."
        raise _unfit(relation, where, why, "Connect to the primary database instead.")
    if row["kind"] != "r":
        kind = _KINDS.get(row["kind"], "no plain table")
        raise _unfit(relation, where, f"It is {kind}, not a plain table.", "Name plain tables as moves.")
    if row["is_part"]:
        # Foreign keys from and to the whole are its own, and other partitions hold rows that they are about.
        raise _unfit(relation, where, "It is a partition of another table.", "Move such tables by hand.")
    if row["has_children"]:
        raise _unfit(relation, where, "Other tables inherit from it.", "Move such tables by hand.")
    if not row["may_read"]:
        raise _unfit(relation, where, f"The role {row['role']} may not read it.", f"Grant SELECT to {row['role']}.")
    if row["hides_rows"]:
        why = f"Row-level security may hide rows from the role {row['role']}, and no error would tell."
        raise _unfit(relation, where, why, "Connect as postgres, or another role with BYPASSRLS.")


async def read_table(connection: asyncpg.Connection, relation: Relation, *, where: str) -> Table:
    """Read what a table looks like.

    Args:
        connection: to its database.
        relation: the table.
        where: the database's label, for errors.

    Raises:
        TableUnfitError: it does not exist, is no plain table, may not be read, or hides rows from our role.
    """
    row = await connection.fetchrow(_RELATION, relation.schema, relation.name)
    if row is None:
        raise _unfit(relation, where, "It does not exist.", "Check the table's name in the plan.")
    _refuse_unfit(row, relation, where)
    columns = await connection.fetch(_COLUMNS, row["oid"])
    types = await read_types(connection, {column["type"] for column in columns})
    made = tuple(
        Column(
            name=column["name"],
            type=types[column["type"]],
            typmod=column["typmod"],
            not_null=column["not_null"],
            generated=column["generated"],
            always_identity=column["always_identity"],
            byte_ordered=column["byte_ordered"],
        )
        for column in columns
    )
    unique = await connection.fetch(_UNIQUE, row["oid"])
    constraints = await connection.fetch(_CONSTRAINTS, row["oid"])
    not_null = {column.name for column in made if column.not_null}
    return Table(
        relation=relation,
        columns=made,
        keys=tuple(
            tuple(index["columns"]) for index in unique if not index["where"] and not_null.issuperset(index["columns"])
        ),
        unique=tuple(
            UniqueIndex(index["name"], tuple(index["columns"]), index["where"], index["nulls_equal"])
            for index in unique
            if not index["is_primary"]
        ),
        rules={each["name"]: tuple(each["columns"]) for each in (*unique, *constraints)},
        rows=row["rows"],
        bytes=row["bytes"],
    )


@dataclass(frozen=True)
class TablePair:
    """The same table on both sides, found to fit together.

    Attributes:
        source: the table on the source.
        target: the table on the target.
        key: names of the key's columns, unique on both sides; empty where the table is handled whole.
        binary: whether rows travel as binary COPY; as text where types carry OIDs or have no binary form.
        hashed: whether both servers' hash functions agree, so that rows are digested by them.
    """

    source: Table
    target: Table
    key: tuple[str, ...]
    binary: bool
    hashed: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Every column's name, in the source's order."""
        return tuple(column.name for column in self.source.columns)

    @property
    def written(self) -> tuple[str, ...]:
        """The columns that COPY can write, in the source's order."""
        return tuple(name for name in self.names if not self.target.column(name).generated)

    @property
    def listed(self) -> bool:
        """Whether its chunks are lists of keys: ranges would make a server read the whole table for each chunk."""
        large = max(self.source.bytes, self.target.bytes) > _LISTED_FROM_BYTES
        first = self.key[:1]
        return large and not all(c.is_indexed_alike for c in (*self.source.pick(first), *self.target.pick(first)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the screen must say about how this table is handled."""
        notes = []
        if not self.key:
            notes.append("has no unique key: copied and compared whole")
        elif self.key != (self.source.keys[0] if self.source.keys else ()) or not self.source.keys:
            notes.append(f"compared by the unique index on {', '.join(self.key)}")
        if self.listed:
            notes.append(
                f"is cut into lists of keys, because {self.key[0]} is not indexed in an order both sides share"
            )
        if not self.binary:
            oids = [column.name for column in self.source.columns if column.type.copies_with_oids]
            formless = [column.name for column in self.source.columns if not column.type.copies_as_binary]
            if oids:
                notes.append(f"copied as text, because {', '.join(oids)} would carry this database's type numbers")
            if formless:
                notes.append(f"copied as text, because {', '.join(formless)} cannot be sent in binary form")
        if not self.hashed:
            notes.append("digested by MD5, slower, because the two servers' hash functions disagree")
        return tuple(notes)


def pair(
    source: Table, target: Table, *, hashed: bool, added: Collection[str] = (), added_labels: Collection[str] = ()
) -> TablePair:
    """Check that two tables fit together; the columns' order may differ, because they are copied by name.

    A column of ``added`` that only one side has is left out; a label of ``added_labels`` may be missing.

    Raises:
        TableUnfitError: a column is missing, extra or of another type, or an enum lacks a label.
    """
    source, target = source.without(added, target), target.without(added, source)
    problems = [*_column_problems(source, target, added_labels)]
    if problems:
        raise TableUnfitError(
            f"{source.relation} and {target.relation} do not fit together",
            happened=" ".join(problems),
            unchanged=f"No row of {target.relation} was touched.",
            remedy="Change the target's table so that it has the source's columns, then start this step again.",
        )
    shared = [key for key in source.keys if any(set(key) == set(other) for other in target.keys)]
    types = [column.type for table in (source, target) for column in table.columns]
    binary = all(each.copies_as_binary and not each.copies_with_oids for each in types)
    return TablePair(source=source, target=target, key=shared[0] if shared else (), binary=binary, hashed=hashed)


def _column_problems(source: Table, target: Table, added_labels: Collection[str]) -> list[str]:
    ours = {column.name: column for column in source.columns}
    theirs = {column.name: column for column in target.columns}
    problems = [f"Column {name} is missing in the target." for name in ours if name not in theirs]
    problems += [f"Column {name} exists in the target only." for name in theirs if name not in ours]
    for name in ours.keys() & theirs.keys():
        problems += _type_problems(ours[name], theirs[name], added_labels)
    return problems


def _type_problems(ours: Column, theirs: Column, added_labels: Collection[str]) -> list[str]:
    if ours.type.signature != theirs.type.signature:
        return [f"Column {ours.name} is {ours.type.name} in the source and {theirs.type.name} in the target."]
    if theirs.typmod not in (ours.typmod, -1):
        return [f"Column {ours.name} of type {ours.type.name} has another length, precision or dimension."]
    problems = []
    for mine, other in zip(ours.type.enums, theirs.type.enums, strict=True):
        missing = [label for label in mine.labels if label not in {*other.labels, *added_labels}]
        if missing:
            problems.append(f"The target's enum {other.name} of column {ours.name} lacks: {', '.join(missing)}.")
    return problems


def rewritten(relation: Relation, where: str) -> TableUnfitError:
    """Say that a table does not show any more what it held at the moment that is copied."""
    return _unfit(
        relation,
        where,
        "It was truncated or rewritten after the moment that is being copied.",
        "Start this step again: it then copies what the table holds now.",
    )


def _unfit(relation: Relation, where: str, happened: str, remedy: str) -> TableUnfitError:
    return TableUnfitError(
        f"{relation} cannot be copied",
        happened=f"{relation} on {where}: {happened}",
        unchanged="No row was touched.",
        remedy=remedy,
    )
