"""Digests that the servers compute over rows, equal exactly when the rows are equal.

Every value is turned into bytes: those of its type's ``send`` function or, where these are not alike everywhere, of its
text form under our pinned settings. A row's digest is Postgres' own 64-bit hash of these bytes as an array of
``bytea``, which tells order, length and NULL apart and reads the bytes several times faster than MD5. A set's digest
is the count of its rows, the sum of their digests, and the sum of the digests hashed once more: it does not depend on
order, can be added up over chunks, and two equal changes do not cancel out.

Postgres promises its hash functions to no other version or byte order, so both servers are asked whether they agree;
where they do not, the first half of an MD5 takes the hash's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from tekup_migrate.postgres.keys import Key, KeyRange
from tekup_migrate.postgres.table import Column, Table

if TYPE_CHECKING:
    import asyncpg

_HALF = 1 << 64
_SEED = 0x7465_6B75
MAX_BUCKETS = 256

RowDigest = int
"""One row's digest, signed as the server prints it."""


@dataclass(frozen=True)
class Digest:
    """The digest of a set of rows.

    Attributes:
        rows: how many there are.
        first: the sum of their digests, modulo 2^64.
        second: the sum of the hashes of their digests, modulo 2^64.
    """

    rows: int = 0
    first: int = 0
    second: int = 0

    @classmethod
    def of_sums(cls, rows: int, first: Decimal, second: Decimal) -> Digest:
        """Return the digest of which the server gave the sums, not yet modulo 2^64."""
        return cls(rows, int(first) % _HALF, int(second) % _HALF)

    @classmethod
    def read(cls, text: str) -> Digest:
        """Return the digest that was written as this text."""
        rows, _, sums = text.partition(":")
        return cls(int(rows), int(sums[:16], 16), int(sums[16:], 16))

    def __add__(self, other: Digest) -> Digest:
        """The digest of both sets together."""
        return Digest(self.rows + other.rows, (self.first + other.first) % _HALF, (self.second + other.second) % _HALF)

    def __str__(self) -> str:
        return f"{self.rows}:{self.first:016x}{self.second:016x}"


def column_digest(column: Column) -> str:
    """Return SQL for the digest of one column's value: hexadecimal digits, or ``-`` for NULL."""
    return f"coalesce(pg_catalog.md5({column.type.bytes_of(column.sql)}), '-')"


def _bytes_of(columns: Sequence[Column]) -> str:
    """Return SQL for what stands for a row's values, one ``bytea`` each, NULL for NULL."""
    return f"ARRAY[{', '.join(column.type.bytes_of(column.sql) for column in columns)}]::bytea[]"


def hash_of(values: str, *, hashed: bool) -> str:
    """Return SQL for the 64-bit hash of an array of ``bytea``."""
    if hashed:
        return f"pg_catalog.hash_array_extended({values}, {_SEED})"
    return f"('x' || pg_catalog.left(pg_catalog.md5(pg_catalog.array_send({values})), 16))::bit(64)::int8"


def mixed(digest: str, *, hashed: bool) -> str:
    """Return SQL that hashes a digest once more: a second sum in which other sets of rows would be alike."""
    return hash_of(f"ARRAY[pg_catalog.int8send({digest})]", hashed=hashed)


async def hash_alike(*connections: asyncpg.Connection) -> bool:
    """Whether all these servers' hash functions give the same for the same bytes."""
    known = hash_of(r"ARRAY['\x00', '', NULL, '\x0123456789abcdef00ff01']::bytea[]", hashed=True)
    said = [await connection.fetchval(f"SELECT {known}") for connection in connections]
    return all(value == said[0] for value in said)


@dataclass(frozen=True)
class RowDigests:
    """Digest queries for one table on one side.

    Attributes:
        table: the table on that side.
        names: every compared column, in the order both sides use.
        key: the key's columns, empty for a table that is handled whole.
        hashed: whether by the servers' hash functions; both sides must do alike.
    """

    table: Table
    names: tuple[str, ...]
    key: tuple[str, ...]
    hashed: bool = True

    @property
    def _columns(self) -> tuple[Column, ...]:
        return self.table.pick(self.names)

    @property
    def _key(self) -> tuple[Column, ...]:
        return self.table.pick(self.key)

    async def whole(self, connection: asyncpg.Connection) -> Digest:
        """Return the digest of all of the table's rows; that of no rows for an empty table."""
        return sum((await self.buckets(connection, KeyRange(), 1)).values(), Digest())

    async def any(self, connection: asyncpg.Connection, part: KeyRange) -> bool:
        """Whether a key range has rows."""
        where, bounds = part.where(self._key)
        query = f"SELECT EXISTS (SELECT FROM ONLY {self.table.relation.sql} WHERE {where})"
        return bool(await connection.fetchval(query, *bounds))

    async def buckets(self, connection: asyncpg.Connection, part: KeyRange, buckets: int) -> dict[int, Digest]:
        """Return the digest of every bucket of a key range that has rows; with one bucket, of the range."""
        where, bounds = part.where(self._key)
        query = f"""
            SELECT bucket, pg_catalog.count(*), pg_catalog.sum(digest),
                   pg_catalog.sum({mixed("digest", hashed=self.hashed)})
            FROM (SELECT {self._bucket(buckets)} AS bucket, {self._digest} AS digest
                  FROM ONLY {self.table.relation.sql} WHERE {where} OFFSET 0) AS rows
            GROUP BY bucket
        """
        rows = await connection.fetch(query, *bounds)
        return {row[0]: Digest.of_sums(*row[1:]) for row in rows}

    async def rows(
        self, connection: asyncpg.Connection, part: KeyRange, buckets: int, wanted: Sequence[int]
    ) -> dict[Key, RowDigest]:
        """Return the digest of every row of some buckets of a key range, by its key as text."""
        where, bounds = part.where(self._key)
        if buckets > 1:
            where += f" AND {self._bucket(buckets)} = ANY(${len(bounds) + 1}::int4[])"
            bounds = [*bounds, list(wanted)]
        keys = ", ".join(f"{column.sql}::text" for column in self._key)
        query = f"SELECT {keys}, {self._digest} FROM ONLY {self.table.relation.sql} WHERE {where}"
        return {tuple(row)[:-1]: row[-1] for row in await connection.fetch(query, *bounds)}

    @property
    def _digest(self) -> str:
        return hash_of(_bytes_of(self._columns), hashed=self.hashed)

    def _bucket(self, buckets: int) -> str:
        """Return SQL for the bucket that a row's key falls into: narrows a difference down without sorting."""
        if buckets == 1:
            return "0"
        return f"({hash_of(_bytes_of(self._key), hashed=self.hashed)} & 65535)::int4 % {buckets}"
