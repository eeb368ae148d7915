"""Splitting a table into lists of keys, where no index is in an order that both servers share.

A text key is indexed in its own collation; a range of it in byte order, which alone is the same everywhere, makes a
server read the whole table for every chunk. So both sides' keys are read once, in byte order, merged here, and every
chunk names its keys: equality finds them by the index whatever its collation is.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from tekup_migrate.postgres.chunks import Chunk, ChunkSize, weight
from tekup_migrate.postgres.keys import Key, KeyList, KeyRange
from tekup_migrate.postgres.side import Snapshot
from tekup_migrate.postgres.table import Table, TablePair

if TYPE_CHECKING:
    import asyncpg

_FETCHED = 2000
_cursor_numbers = itertools.count()


async def list_chunks(
    snapshot: Snapshot, target: asyncpg.Connection, pair: TablePair, size: ChunkSize
) -> AsyncIterator[Chunk]:
    """Yield chunks that together name every key of both sides, each key once.

    Args:
        snapshot: the moment of the source that is copied.
        target: in a transaction; its rows of that moment are named.
        pair: the table.
        size: how large the next chunk shall be, read anew for each.
    """
    index, heavy, keys = 0, 0, list[Key]()
    async with snapshot.lock:
        async for key, bytes_ in _merged(
            _walk(snapshot.keeper, pair.source, pair.key), _walk(target, pair.target, pair.key)
        ):
            if keys and heavy + bytes_ > size.bytes:
                yield _chunk(index, keys, heavy)
                index, heavy, keys = index + 1, 0, []
            keys.append(key)
            heavy += bytes_
    yield _chunk(index, keys, heavy) if keys else Chunk(index, KeyRange(), 0, 0)


def _chunk(index: int, keys: list[Key], heavy: int) -> Chunk:
    return Chunk(index, KeyList(keys[0], keys[-1], tuple(keys)), len(keys), heavy)


async def _merged(
    ours: AsyncIterator[tuple[Key, int]], theirs: AsyncIterator[tuple[Key, int]]
) -> AsyncIterator[tuple[Key, int]]:
    left, right = await anext(ours, None), await anext(theirs, None)
    while left is not None or right is not None:
        # Python orders text by code points, which is the order of UTF-8 bytes.
        takes_left = right is None or (left is not None and left[0] <= right[0])
        takes_right = left is None or (right is not None and right[0] <= left[0])
        taken = [side for side, takes in ((left, takes_left), (right, takes_right)) if takes and side is not None]
        yield taken[0][0], max(heavy for _, heavy in taken)
        left = await anext(ours, None) if takes_left else left
        right = await anext(theirs, None) if takes_right else right


async def _walk(connection: asyncpg.Connection, table: Table, key: tuple[str, ...]) -> AsyncIterator[tuple[Key, int]]:
    texts = [f"{column.sql}::text" for column in table.pick(key)]
    order = ", ".join(f'{text} COLLATE "C"' for text in texts)
    name = f"tekup_listed_{next(_cursor_numbers)}"
    await connection.execute(
        f"DECLARE {name} NO SCROLL CURSOR FOR"
        f" SELECT {', '.join(texts)}, {weight(table)} FROM ONLY {table.relation.sql} ORDER BY {order}"
    )
    while rows := await connection.fetch(f"FETCH {_FETCHED} FROM {name}"):
        for row in rows:
            *found, heavy = row
            yield tuple(found), heavy
    await connection.execute(f"CLOSE {name}")
