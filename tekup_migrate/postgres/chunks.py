"""Splitting a table into chunks by key, streamed, so that memory does not grow with their number.

The server walks the keys in order once and reports the last key of every *grain* of about a megabyte; grains are
joined to chunks as large as the copy's present speed allows.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.digest import Digest
from tekup_migrate.postgres.keys import Key, KeyRange
from tekup_migrate.postgres.side import Snapshot
from tekup_migrate.postgres.table import Column, Table

if TYPE_CHECKING:
    import asyncpg

MAX_CHUNK_BYTES = 16 << 20
CHUNK_SECONDS = 0.5
_GRAIN_BYTES = 1 << 20
_FIRST_CHUNK_BYTES = 4 << 20
_ROW_BYTES = 800
"""Counted for every row on top of its values: bounds a chunk to about 20 000 rows, whose keys we may have to hold."""
_FETCHED_GRAINS = 32
_EVERYTHING = KeyRange()
_cursor_numbers = itertools.count()


@dataclass(frozen=True)
class Chunk:
    """A key range of one table.

    Attributes:
        index: its place in key order, from 0.
        part: its key range.
        rows: rows in it on the source when it was planned; -1 where that was not counted.
        weight: its size as planned, in bytes with ``_ROW_BYTES`` for every row.
        place: where it stands among the ranges that are remembered.
        proved: the digest that an earlier pass proved equal, where both sides are known to hold the same rows still.
    """

    index: int
    part: KeyRange
    rows: int
    weight: int
    place: tuple[int, int] = (0, 0)
    proved: Digest | None = None

    @property
    def row_bytes(self) -> float:
        """A row's size on average, as planned; that of a table which was not counted is not known, and counts as 0."""
        return self.weight / self.rows - _ROW_BYTES if self.rows > 0 else 0.0


class ChunkSize:
    """How large the next chunk shall be: half a second's worth at the speed of the last ones."""

    def __init__(self) -> None:
        self.bytes = _FIRST_CHUNK_BYTES

    def learn(self, weight: int, seconds: float) -> None:
        """Take into account how long a chunk took."""
        if seconds <= 0 or weight < _GRAIN_BYTES // 2:
            return
        fitting = weight / seconds * CHUNK_SECONDS
        self.bytes = int(min(MAX_CHUNK_BYTES, max(_GRAIN_BYTES, (self.bytes + fitting) / 2)))


@dataclass(frozen=True)
class _Grain:
    last: Key
    rows: int
    weight: int


async def plan_chunks(
    snapshot: Snapshot, table: Table, key: tuple[str, ...], size: ChunkSize, within: KeyRange = _EVERYTHING
) -> AsyncIterator[Chunk]:
    """Yield the chunks of a table, or of a range of it, in key order; together they cover every key of the range.

    Args:
        snapshot: the moment of the source that is copied.
        table: the table on the source.
        key: the key's columns; without any, the one chunk is the whole table.
        size: how large the next chunk shall be, read anew for each.
        within: the range.
    """
    if not key:
        yield Chunk(0, KeyRange(), -1, table.bytes)
        return
    index, low, rows, weight = 0, within.low, 0, 0
    last: Key | None = None
    async with snapshot.lock:
        async for grain in _grains(snapshot.keeper, table, table.pick(key), within):
            if last is not None and weight + grain.weight > size.bytes:
                yield Chunk(index, KeyRange(low, last), rows, weight)
                index, low, rows, weight = index + 1, last, 0, 0
            last, rows, weight = grain.last, rows + grain.rows, weight + grain.weight
    yield Chunk(index, KeyRange(low, within.high), rows, weight)


async def _grains(
    connection: asyncpg.Connection, table: Table, key: tuple[Column, ...], within: KeyRange
) -> AsyncIterator[_Grain]:
    order = ", ".join(column.order_sql for column in key)
    keys = ", ".join(column.sql for column in key)
    texts = ", ".join(f"{column.sql}::text" for column in key)
    name = f"tekup_grains_{next(_cursor_numbers)}"
    # One window and no other order: the index is walked once, and the first grain is there before the last is read.
    await connection.execute(f"""
        DECLARE {name} NO SCROLL CURSOR FOR
        SELECT {texts}, tekup_place, tekup_total
        FROM (SELECT {keys}, pg_catalog.row_number() OVER ordered AS tekup_place,
                     pg_catalog.sum(tekup_weight) OVER ordered AS tekup_total,
                     pg_catalog.lead(tekup_weight) OVER ordered AS tekup_next
              FROM (SELECT {keys}, {weight(table)} AS tekup_weight FROM ONLY {table.relation.sql}
                    WHERE {within.where_literal(key)}) AS weighed
              WINDOW ordered AS (ORDER BY {order} ROWS UNBOUNDED PRECEDING)) AS counted
        WHERE tekup_total / {_GRAIN_BYTES} IS DISTINCT FROM (tekup_total + tekup_next) / {_GRAIN_BYTES}
    """)
    place = total = 0
    while rows := await connection.fetch(f"FETCH {_FETCHED_GRAINS} FROM {name}"):
        for row in rows:
            *last, next_place, next_total = row
            yield _Grain(tuple(last), next_place - place, next_total - total)
            place, total = next_place, next_total
    await connection.execute(f"CLOSE {name}")


def weight(table: Table) -> str:
    """Return SQL for a row's size as it counts for a chunk, in bytes; reads no value that is stored apart."""
    fixed = _ROW_BYTES + sum(max(column.type.base.length, 0) for column in table.columns)
    varying = [_size(column) for column in table.columns if column.type.base.length < 0]
    total = " + ".join([str(fixed), *varying])
    return f"least({total}, 2000000000)::int4"


def _size(column: Column) -> str:
    base = column.type.base
    # octet_length knows a compressed value's size without fetching it; pg_column_size knows the stored size only.
    known = base.schema == "pg_catalog" and base.name in ("text", "varchar", "bytea")
    function = "octet_length" if known else "pg_column_size"
    return f"coalesce(pg_catalog.{function}({column.sql}), 0)::int8"
