"""Digests by the servers' hash functions and by MD5: equal for equal rows on both versions, different for any other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from asyncpg import Connection, Record

from tekup_migrate.postgres import reconcile
from tekup_migrate.postgres.digest import Digest, RowDigests, hash_alike
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.table import read_table
from tests.postgres.sides import Pair

SAMPLES = "CREATE TABLE samples (id int PRIMARY KEY, a text, b text, vector extensions.vector(3))"
ROWS = "INSERT INTO samples VALUES (1, 'x', NULL, '[1,2,3]'), (2, '', 'y', NULL)"
OTHERS = {
    "a value in another column": "UPDATE samples SET a = b, b = a",
    "an empty text for a NULL": "UPDATE samples SET b = '' WHERE id = 1",
    "a NULL for an empty text": "UPDATE samples SET a = NULL WHERE id = 2",
    "text that moved over a column's edge": "UPDATE samples SET a = '', b = 'x' WHERE id = 1",
    "the next float": "UPDATE samples SET vector = '[1,2,3.0000002]' WHERE id = 1",
    "values that swapped their rows": "UPDATE samples AS s SET a = o.a FROM samples AS o WHERE o.id = 3 - s.id",
    "a row less": "DELETE FROM samples WHERE id = 1",
    "a key changed": "UPDATE samples SET id = 3 WHERE id = 2",
}


@pytest.fixture
async def samples(sides: Pair) -> AsyncIterator[tuple[Connection[Record], Connection[Record]]]:
    """Both servers' connections to a table with the same rows."""
    await sides.on_both(SAMPLES)
    await sides.on_both(ROWS)
    async with sides.source.connection() as source, sides.target.connection() as target:
        yield source, target


async def digest(connection: Connection[Record], *, hashed: bool) -> Digest:
    table = await read_table(connection, Relation("public", "samples"), where="here")
    names = tuple(column.name for column in table.columns)
    return await RowDigests(table, names, ("id",), hashed).whole(connection)


@pytest.mark.parametrize("hashed", [True, False])
async def test_equal_rows_have_equal_digests_on_both_versions(
    samples: tuple[Connection[Record], Connection[Record]], hashed: bool
) -> None:
    source, target = samples
    found = await digest(source, hashed=hashed)
    assert found.rows == 2
    assert found == await digest(target, hashed=hashed)


@pytest.mark.parametrize("hashed", [True, False])
async def test_any_other_rows_have_another_digest(
    samples: tuple[Connection[Record], Connection[Record]], hashed: bool
) -> None:
    source, target = samples
    wanted, seen = await digest(source, hashed=hashed), set()
    for change in OTHERS.values():
        transaction = target.transaction()
        await transaction.start()
        await target.execute(change.replace("samples", "public.samples"))
        seen.add(str(await digest(target, hashed=hashed)))
        await transaction.rollback()
    assert len(seen) == len(OTHERS)
    assert str(wanted) not in seen


async def test_both_versions_hash_alike(samples: tuple[Connection[Record], Connection[Record]]) -> None:
    assert await hash_alike(*samples)


async def test_where_servers_hash_differently_rows_are_digested_by_md5_and_that_is_said(
    sides: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def differently(*_: Connection[Record]) -> bool:
        """Stands for a server of another byte order, of which there is none here."""
        return False

    monkeypatch.setattr(reconcile, "hash_alike", differently)
    await sides.on_both(SAMPLES)
    await sides.on_source(ROWS)
    outcome = await sides.reconcile("samples")
    assert any("MD5" in note for note in outcome.notes)
    await sides.assert_equal("samples")
    await sides.on_target("UPDATE samples SET a = 'z' WHERE id = 2")
    assert (await sides.verify("samples")).tally.changed == 1
