"""What was measured of a search before a pause: kept while the same indexes and functions are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tekup_migrate.steps import Context, Figure

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.catalog.objects import Function
    from tekup_migrate.postgres.vector_index import VectorColumn

    Side = tuple[asyncpg.Connection, VectorColumn]
    """A column and the connection to the side that it is on."""

_FILES = """
    SELECT string_agg(concat_ws(' ', c.oid, pg_catalog.pg_relation_filenode(c.oid), i.indisvalid), ',' ORDER BY c.oid)
    FROM pg_catalog.pg_class AS c
    LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
    WHERE $1::text::regclass IN (c.oid, i.indrelid)
"""
"""A table made anew and an index built anew have other files."""


class Measured(Struct, frozen=True, kw_only=True):
    """What one measurement gives to the evidence; ``possible`` says whether others of the column make sense."""

    lines: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    good: bool = True
    possible: bool = True


class _Kept(Struct, frozen=True):
    """One measurement, and the world that it was made in."""

    world: str
    measured: Measured


@dataclass
class Notes:
    """The measurements that are done, by name, and the world that they were made in."""

    step: str
    world: str
    found: dict[str, Measured]

    @classmethod
    async def of(cls, context: Context, step: str, sides: Sequence[Side], functions: Iterable[Function]) -> Notes:
        """Return the notes of a step, without those that were made of other indexes or functions."""
        from hashlib import sha256

        parts = [str(await connection.fetchval(_FILES, column.relation.sql)) for connection, column in sides]
        parts += [function.head + function.body for function in functions]
        world = sha256("\0".join(parts).encode()).hexdigest()
        kept = _read(context, step)
        return cls(step, world, {name: each.measured for name, each in kept.items() if each.world == world})

    def note(self, context: Context, name: str, measured: Measured) -> None:
        """Keep one measurement durably."""
        self.found[name] = measured
        kept = {**_read(context, self.step), name: _Kept(self.world, measured)}
        context.memory.remember(_note(self.step), msgspec.json.encode(kept))

    @staticmethod
    def forget(context: Context, step: str) -> None:
        """Keep none: the next time all of it is measured anew."""
        context.memory.forget(_note(step))


def _read(context: Context, step: str) -> dict[str, _Kept]:
    kept = context.memory.recall(_note(step))
    return msgspec.json.decode(kept, type=dict[str, _Kept]) if kept else {}


def _note(step: str) -> str:
    return f"{step}:measured"
