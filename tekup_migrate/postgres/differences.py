"""Naming the rows and columns that differ, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.digest import RowDigest, column_digest
from tekup_migrate.postgres.keys import Key, among
from tekup_migrate.postgres.outcome import ColumnDifference, DifferenceKind, RowDifference
from tekup_migrate.postgres.table import Table, TablePair

if TYPE_CHECKING:
    import asyncpg

_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class RowsApart:
    """The keys of rows that differ between two sides, sorted."""

    only_source: tuple[Key, ...] = ()
    only_target: tuple[Key, ...] = ()
    changed: tuple[Key, ...] = ()

    @staticmethod
    def between(source: dict[Key, RowDigest], target: dict[Key, RowDigest]) -> RowsApart:
        """Compare the digests of rows by their keys."""
        return RowsApart(
            only_source=tuple(sorted(source.keys() - target.keys())),
            only_target=tuple(sorted(target.keys() - source.keys())),
            changed=tuple(sorted(key for key in source.keys() & target.keys() if source[key] != target[key])),
        )

    def __bool__(self) -> bool:
        return bool(self.only_source or self.only_target or self.changed)

    def first(self, count: int) -> list[tuple[DifferenceKind, Key]]:
        """Return up to ``count`` of the rows, those first that a write could lose."""
        found: list[tuple[DifferenceKind, Key]] = [(DifferenceKind.CHANGED, key) for key in self.changed[:count]]
        found += [(DifferenceKind.ONLY_TARGET, key) for key in self.only_target[:count]]
        found += [(DifferenceKind.ONLY_SOURCE, key) for key in self.only_source[:count]]
        return found[:count]


async def sample_rows(
    source: asyncpg.Connection, target: asyncpg.Connection, pair: TablePair, apart: RowsApart, count: int
) -> tuple[RowDifference, ...]:
    """Return up to ``count`` differing rows with the columns that differ."""
    wanted = apart.first(count)
    if not wanted:
        return ()
    keys = [key for _, key in wanted]
    ours = await _values(source, pair.source, pair, keys)
    theirs = await _values(target, pair.target, pair, keys)
    found = []
    for kind, key in wanted:
        columns = _columns(pair.names, ours.get(key), theirs.get(key))
        named = tuple(zip(pair.key, key, strict=True))
        found.append(RowDifference(kind=kind, key=named, columns=columns))
    return tuple(found)


_Values = tuple[Sequence[str], Sequence[str | None]]


async def _values(
    connection: asyncpg.Connection, table: Table, pair: TablePair, keys: Iterable[Key]
) -> dict[Key, _Values]:
    columns = table.pick(pair.names)
    where, values = among(table.pick(pair.key), keys)
    texts = ", ".join(f"{column.sql}::text" for column in table.pick(pair.key))
    digests = ", ".join(column_digest(column) for column in columns)
    shown = ", ".join(f"pg_catalog.left({column.sql}::text, {_SHOWN_CHARACTERS})" for column in columns)
    query = f"SELECT {texts}, ARRAY[{digests}], ARRAY[{shown}] FROM ONLY {table.relation.sql} WHERE {where}"
    return {tuple(row)[:-2]: (row[-2], row[-1]) for row in await connection.fetch(query, *values)}


def _columns(names: tuple[str, ...], ours: _Values | None, theirs: _Values | None) -> tuple[ColumnDifference, ...]:
    found = []
    for place, name in enumerate(names):
        if ours is not None and theirs is not None and ours[0][place] == theirs[0][place]:
            continue
        mine = ours[1][place] if ours is not None else None
        other = theirs[1][place] if theirs is not None else None
        found.append(ColumnDifference(name=name, source=mine, target=other))
    return tuple(found)
