"""Natural keys that both sides have under different ids, found before they break the load."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from tekup_migrate.postgres.digest import column_digest
from tekup_migrate.postgres.outcome import NaturalKeyClash
from tekup_migrate.postgres.table import Table, TablePair, UniqueIndex

if TYPE_CHECKING:
    import asyncpg

_SAMPLED = 5
_FETCHED = 2000
_cursor_numbers = itertools.count()


async def find_clashes(
    source: asyncpg.Connection, target: asyncpg.Connection, pair: TablePair
) -> tuple[NaturalKeyClash, ...]:
    """Return, for every unique index of the target but the key's, the values that both sides give to different rows.

    An index on some rows only is looked at where the source has it as well, or its condition might not be understood
    there. Both sides are walked in the order of the values' digests, so memory does not grow with the table.

    Args:
        source: in a transaction.
        target: in a transaction.
        pair: the table.
    """
    found = []
    for index in pair.target.unique:
        if set(index.columns) == set(pair.key) or not pair.key:
            continue
        if index.where and index.where not in {one.where for one in pair.source.unique}:
            continue
        ours, theirs = _walk(source, pair.source, pair.key, index), _walk(target, pair.target, pair.key, index)
        clash = await _compare(ours, theirs, index)
        if clash.count:
            found.append(clash)
    return tuple(found)


_Walk = AsyncGenerator[tuple[str, str, str], None]


async def _compare(ours: _Walk, theirs: _Walk, index: UniqueIndex) -> NaturalKeyClash:
    count, sample = 0, list[str]()
    left, right = await anext(ours, None), await anext(theirs, None)
    while left is not None and right is not None:
        if left[0] == right[0] and left[1] != right[1]:
            count += 1
            if len(sample) < _SAMPLED:
                sample.append(f"({left[2]}) is {left[1]} on the source and {right[1]} on the target")
        behind = left[0] <= right[0]
        ahead = right[0] <= left[0]
        left = await anext(ours, None) if behind else left
        right = await anext(theirs, None) if ahead else right
    await ours.aclose()
    await theirs.aclose()
    return NaturalKeyClash(index=index.name, columns=index.columns, count=count, sample=tuple(sample))


async def _walk(connection: asyncpg.Connection, table: Table, key: tuple[str, ...], index: UniqueIndex) -> _Walk:
    picked = table.pick(index.columns)
    digest = " || ".join(column_digest(column) for column in picked)
    keys = ", ".join(f"{column.sql}::text" for column in table.pick(key))
    shown = ", ".join(f"{column.sql}::text" for column in picked)
    filled = [] if index.nulls_equal else [f"{column.sql} IS NOT NULL" for column in picked]
    where = " AND ".join([f"({index.where or 'true'})", *filled])
    name = f"tekup_natural_{next(_cursor_numbers)}"
    await connection.execute(f"""
        DECLARE {name} NO SCROLL CURSOR FOR
        SELECT pg_catalog.md5({digest}) COLLATE "C", pg_catalog.concat_ws(', ', {keys}),
               pg_catalog.left(pg_catalog.concat_ws(', ', {shown}), 200)
        FROM ONLY {table.relation.sql} WHERE {where} ORDER BY 1
    """)
    while rows := await connection.fetch(f"FETCH {_FETCHED} FROM {name}"):
        for row in rows:
            yield row[0], row[1], row[2]
    await connection.execute(f"CLOSE {name}")
