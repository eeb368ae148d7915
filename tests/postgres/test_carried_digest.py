"""The digest that is taken while rows are copied: the one of the rows, at the cost of one reading."""

from __future__ import annotations

import asyncio

import pytest
from asyncpg import Connection, Record

from tekup_migrate.postgres.carried_digest import CarriedDigest
from tekup_migrate.postgres.digest import Digest, RowDigests
from tekup_migrate.postgres.quoting import Relation, quote_idents
from tekup_migrate.postgres.table import read_table
from tests.postgres.sides import Pair

# A value of its own bytes, one that is only told by its text, one that the server computes, and NULL for each.
SAMPLES = """
    CREATE TYPE shape AS (sides int, name text);
    CREATE TABLE "Sam ples" (
        id int PRIMARY KEY, "the ""text"" of it" text, raw bytea, shape shape, vector extensions.vector(3), tags text[],
        length int GENERATED ALWAYS AS (coalesce(pg_catalog.length("the ""text"" of it"), 0)) STORED
    );
    INSERT INTO "Sam ples" VALUES
        (1, 'blåbær', '\\x5c00', '(3,"a b")', '[1,2,3]', '{a,NULL}'), (2, NULL, NULL, NULL, NULL, NULL),
        (3, '', '', '(,)', '[0,0,1e-30]', '{}');
"""


async def _read(connection: Connection[Record], query: str) -> tuple[bytes, int]:
    found = bytearray()

    async def keep(data: bytes) -> None:
        """Take what COPY gives."""
        found.extend(data)

    status = await connection.copy_from_query(query, output=keep, format="binary")
    return bytes(found), int(status.split()[-1])


@pytest.mark.parametrize("hashed", [True, False])
async def test_what_is_copied_is_what_a_plain_copy_gives_and_its_digest_that_of_the_rows(
    sides: Pair, hashed: bool
) -> None:
    await sides.on_source(SAMPLES)
    async with sides.source.connection() as connection:
        table = await read_table(connection, Relation("public", "Sam ples"), where="here")
        names = tuple(column.name for column in table.columns)
        written = tuple(reversed(names[:-1]))
        carried = CarriedDigest(table, names, written, hashed)
        plain = f"SELECT {quote_idents(written)} FROM {table.relation.sql} WHERE id > 0"
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for _ in range(2):  # The second does not go on from the first.
                await carried.begin(connection)
                data, rows = await _read(connection, carried.query("id > 0"))
                assert data == (await _read(connection, plain))[0]
                assert await carried.end(connection, rows) == await RowDigests(table, names, ("id",), hashed).whole(
                    connection
                )
            await carried.begin(connection)
            assert (await _read(connection, carried.query("id > 5")))[1] == 0
            assert await carried.end(connection, 0) == Digest()


@pytest.mark.parametrize(("width", "readings"), [(30, 3), (3000, 2)])
async def test_wide_rows_that_the_target_lacks_are_read_once_to_be_cut_and_once_to_be_copied(
    sides: Pair, width: int, readings: int
) -> None:
    await sides.on_both("CREATE TABLE notes (id int PRIMARY KEY, body text)")
    fill = "INSERT INTO notes SELECT n, pg_catalog.repeat('x', {}) FROM pg_catalog.generate_series(1, 500) AS n"
    await sides.on_source(fill.format(width))
    assert (await sides.reconcile("notes")).tally.copied == 1
    await sides.source.close()
    assert await _rows_read(sides, "notes") == 500 * readings


async def _rows_read(sides: Pair, table: str) -> int:
    """Return how many rows the source read, once its counts stay as they are."""
    query = f"""
        SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_catalog.pg_stat_all_tables WHERE relname = '{table}'
    """
    read = -1
    for _ in range(50):
        async with sides.source.connection() as connection:
            before, read = read, int(await connection.fetchval(query))
        if read == before > 0:
            break
        await asyncio.sleep(0.1)
    return read
