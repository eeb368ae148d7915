"""Streaming rows from one server to the other as raw COPY bytes; no row is decoded here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

_BUFFERS = 2
"""Buffers in flight; each may be as large as a row, so there are few."""


@dataclass(frozen=True)
class Sent:
    """What a stream carried, as the side that was read counted it."""

    rows: int = 0
    bytes: int = 0

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.rows + other.rows, self.bytes + other.bytes)


class SourceReadError(Exception):
    """The source failed; the driver's error is its cause."""


Ours = TypeVar("Ours")
Theirs = TypeVar("Theirs")


async def from_source(asked: Awaitable[Ours]) -> Ours:
    """Return what the source was asked for.

    Raises:
        SourceReadError: the source failed; a driver's error as such is the target's.
    """
    import asyncpg

    try:
        return await asked
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise SourceReadError(str(error)) from error


async def from_both(source: Awaitable[Ours], target: Awaitable[Theirs]) -> tuple[Ours, Theirs]:
    """Return what both sides were asked for at the same time.

    An error is raised when both have answered: a connection that is still asked something cannot end its transaction.

    Raises:
        SourceReadError: the source failed.
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: the target failed.
    """
    ours, theirs = await asyncio.gather(from_source(source), target, return_exceptions=True)
    if isinstance(ours, BaseException):
        raise ours
    if isinstance(theirs, BaseException):
        raise theirs
    return ours, theirs


class _Pipe:
    """Hands buffers from the reading to the writing half and counts their bytes; ``rows`` is known at the end."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | SourceReadError | None] = asyncio.Queue(_BUFFERS)
        self.bytes = 0
        self.rows = 0

    async def put(self, buffer: bytes) -> None:
        """Hand a buffer over; waits while the writing half is behind."""
        self.bytes += len(buffer)
        await self._queue.put(buffer)

    async def end(self, error: SourceReadError | None) -> None:
        """Say that nothing more comes: all is read, or reading ended with ``error``."""
        await self._queue.put(error)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (item := await self._queue.get()) is not None:
            if isinstance(item, SourceReadError):
                raise item
            yield item


async def stream(
    source: asyncpg.Connection,
    query: str,
    target: asyncpg.Connection,
    relation: Relation,
    columns: tuple[str, ...],
    *,
    binary: bool,
) -> Sent:
    """Copy a query's rows into a table and say how many rows and bytes that were.

    Args:
        source: reads; closed after an error.
        query: gives the columns in the order of ``columns``.
        target: writes, in the caller's transaction.
        relation: the table to write to.
        columns: its columns.
        binary: raw binary COPY; else text.

    Raises:
        SourceReadError: the source failed.
        asyncpg.PostgresError: the target refused a row, or its connection failed.
    """
    form: Literal["binary", "text"] = "binary" if binary else "text"
    pipe = _Pipe()
    reading = asyncio.create_task(_read(source, query, pipe, form))
    try:
        schema = relation.schema if relation.schema != "pg_temp" else None
        await target.copy_to_table(relation.name, source=pipe, columns=columns, schema_name=schema, format=form)
    except BaseException:
        # What it still sends would meet nobody who waits for it, which the driver reports as a fatal error of its own.
        source.terminate()
        raise
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return Sent(pipe.rows, pipe.bytes)


async def _read(source: asyncpg.Connection, query: str, pipe: _Pipe, form: Literal["binary", "text"]) -> None:
    try:
        status = await from_source(source.copy_from_query(query, output=pipe.put, format=form))
        pipe.rows = int(status.split()[-1])
    except SourceReadError as failed:
        await pipe.end(failed)
    else:
        await pipe.end(None)
