"""Digests that the servers compute over rows, equal exactly when the rows are equal.

A row's digest is the MD5 over all its columns in one fixed form: a column of fixed length as its ``send`` bytes behind
a NULL marker, any other as the MD5 of its ``send`` bytes. Types whose ``send`` form is not alike everywhere go by their
text form under our pinned settings. A set's digest is the count of its rows and the sums of both halves of their
digests: it does not depend on order, can be added up over chunks, and two equal changes do not cancel out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.keys import KeyRange
from tekup_migrate.postgres.table import Column, Table

if TYPE_CHECKING:
    import asyncpg

_HALF = 1 << 64
MAX_BUCKETS = 256


@dataclass(frozen=True)
class Digest:
    """The digest of a set of rows.

    Attributes:
        rows: how many there are.
        first: the sum of the first halves of their digests, modulo 2^64.
        second: the sum of the second halves.
    """

    rows: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: Digest) -> Digest:
        """The digest of both sets together."""
        return Digest(self.rows + other.rows, (self.first + other.first) % _HALF, (self.second + other.second) % _HALF)

    def __str__(self) -> str:
        return f"{self.rows}:{self.first:016x}{self.second:016x}"


def row_digest(columns: Sequence[Column]) -> str:
    """Return SQL for the digest of one row: 32 hexadecimal digits.

    Both sides must be given the same columns in the same order.
    """
    return f"pg_catalog.md5({_row_bytes(columns)})"


def column_digest(column: Column) -> str:
    """Return SQL for the digest of one column's value: hexadecimal digits, or ``-`` for NULL."""
    return f"coalesce(pg_catalog.md5({column.type.bytes_of(column.sql)}), '-')"


def bucket_of(key: Sequence[Column], buckets: int) -> str:
    """Return SQL for the bucket that a row's key falls into: narrows a difference down without sorting."""
    return f"('x' || pg_catalog.substr(pg_catalog.md5({_row_bytes(key)}), 1, 2))::bit(8)::int4 % {buckets}"


def _row_bytes(columns: Sequence[Column]) -> str:
    fixed = [_fixed_bytes(column) for column in columns if _is_fixed(column)]
    varying = [column_digest(column) for column in columns if not _is_fixed(column)]
    parts = [*fixed]
    if varying:
        parts.append(f"pg_catalog.textsend({' || '.join(varying)})")
    return " || ".join(parts) or r"'\x'::bytea"


def _is_fixed(column: Column) -> bool:
    return column.type.base.length > 0 and column.type.is_sent_alike


def _fixed_bytes(column: Column) -> str:
    sent = column.type.bytes_of(column.sql)
    # A column's NOT NULL may differ between the sides, the form of its bytes may not: always marked.
    return rf"coalesce('\x01'::bytea || {sent}, '\x00'::bytea)"


def _sums(digest: str) -> str:
    return (
        f"pg_catalog.sum(('x' || pg_catalog.substr({digest}, 1, 16))::bit(64)::int8), "
        f"pg_catalog.sum(('x' || pg_catalog.substr({digest}, 17, 16))::bit(64)::int8)"
    )


@dataclass(frozen=True)
class RowDigests:
    """Digest queries for one table on one side.

    Attributes:
        table: the table on that side.
        names: every compared column, in the order both sides use.
        key: the key's columns, empty for a table that is handled whole.
    """

    table: Table
    names: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def _columns(self) -> tuple[Column, ...]:
        return self.table.pick(self.names)

    @property
    def _key(self) -> tuple[Column, ...]:
        return self.table.pick(self.key)

    async def whole(self, connection: asyncpg.Connection) -> Digest:
        """Return the digest of all of the table's rows; that of no rows for an empty table."""
        return sum((await self.buckets(connection, KeyRange(), 1)).values(), Digest())

    async def buckets(self, connection: asyncpg.Connection, part: KeyRange, buckets: int) -> dict[int, Digest]:
        """Return the digest of every bucket of a key range that has rows; with one bucket, of the range."""
        where, bounds = part.where(self._key)
        bucket = bucket_of(self._key, buckets) if buckets > 1 else "0"
        query = f"""
            SELECT bucket, pg_catalog.count(*), {_sums("digest")}
            FROM (SELECT {bucket} AS bucket, {row_digest(self._columns)} AS digest
                  FROM ONLY {self.table.relation.sql} WHERE {where} OFFSET 0) AS rows
            GROUP BY bucket
        """
        rows = await connection.fetch(query, *bounds)
        return {row[0]: Digest(row[1], int(row[2]) % _HALF, int(row[3]) % _HALF) for row in rows}

    async def rows(
        self, connection: asyncpg.Connection, part: KeyRange, buckets: int, wanted: Sequence[int]
    ) -> dict[tuple[str, ...], str]:
        """Return the digest of every row of some buckets of a key range, by its key as text."""
        where, bounds = part.where(self._key)
        if buckets > 1:
            where += f" AND {bucket_of(self._key, buckets)} = ANY(${len(bounds) + 1}::int4[])"
            bounds = [*bounds, list(wanted)]
        keys = ", ".join(f"{column.sql}::text" for column in self._key)
        query = f"SELECT {keys}, {row_digest(self._columns)} FROM ONLY {self.table.relation.sql} WHERE {where}"
        return {tuple(row)[:-1]: row[-1] for row in await connection.fetch(query, *bounds)}
