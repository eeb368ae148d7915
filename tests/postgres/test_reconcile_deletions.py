"""Rows that go away while others refer to them: no cascade, no orphan, whether triggers may be silenced or not."""

from __future__ import annotations

import pytest

from tekup_migrate.postgres.foreign_keys import prove_foreign_keys
from tekup_migrate.postgres.outcome import TableMove, TableOutcome
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.referrers import StillReferredError
from tekup_migrate.postgres.tables_together import in_order
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair

TABLES = """
    CREATE TABLE shelves (id int PRIMARY KEY, name text UNIQUE);
    CREATE TABLE books (id int PRIMARY KEY, shelf int REFERENCES shelves {action}, title text)
"""
WAYS = [("", False), ("ON DELETE CASCADE", False), ("ON DELETE SET NULL", False), ("ON DELETE CASCADE", True)]
"""What a foreign key does, and whether our role may silence it."""
MOVES = [TableMove(Relation("public", name), Relation("public", name)) for name in ("shelves", "books")]


async def copy(sides: Pair) -> tuple[TableOutcome, ...]:
    """Both tables as of one moment, as the copying step does it."""
    async with sides.source.snapshot():
        return await in_order(sides.target, MOVES, lambda move: sides.reconcile(move.source.name))


async def make(sides: Pair, action: str, *, silencing: bool) -> None:
    await sides.on_both(TABLES.format(action=action))
    await sides.on_source("""
        INSERT INTO shelves SELECT n, 'shelf ' || n FROM generate_series(1, 40) AS n;
        INSERT INTO books SELECT n, 1 + n % 40, 'book ' || n FROM generate_series(1, 400) AS n
    """)
    if not silencing:
        await sides.without_silencing()
    assert all(outcome.verdict is Verdict.PASSED for outcome in await copy(sides))


@pytest.mark.parametrize(("action", "silencing"), WAYS)
async def test_a_parent_and_its_children_that_are_gone_or_moved_are_caught_up_with(
    sides: Pair, action: str, silencing: bool
) -> None:
    await make(sides, action, silencing=silencing)
    await sides.on_source("""
        UPDATE books SET shelf = 2 WHERE shelf = 3 AND id % 80 = 2;
        DELETE FROM books WHERE shelf = 3;
        DELETE FROM shelves WHERE id = 3
    """)
    shelves, books = await copy(sides)
    assert (shelves.verdict, shelves.tally.deleted, shelves.tally.only_target) == (Verdict.PASSED, 1, 1)
    # The children were updated and deleted one by one: none went with its parent and had to be sent again.
    assert (books.verdict, books.tally.changed, books.tally.only_target, books.tally.only_source) == (
        Verdict.PASSED, 5, 5, 0,
    )  # fmt: skip
    for table in ("shelves", "books"):
        await sides.assert_equal(table)


@pytest.mark.parametrize(("action", "silencing"), WAYS[1:])
async def test_rows_of_a_table_that_does_not_move_are_neither_deleted_nor_orphaned(
    sides: Pair, action: str, silencing: bool
) -> None:
    await make(sides, "", silencing=silencing)
    superuser = await sides.superuser_on_target()
    try:
        await superuser.execute(f"""
            CREATE TABLE public.labels (id int PRIMARY KEY, shelf int REFERENCES public.shelves {action});
            INSERT INTO public.labels VALUES (1, 7), (2, NULL);
            GRANT ALL ON public.labels TO PUBLIC
        """)
        await sides.on_source("DELETE FROM books WHERE shelf IN (7, 8); DELETE FROM shelves WHERE id IN (7, 8)")
        with pytest.raises(StillReferredError) as refused:
            await copy(sides)
        assert "1 rows of public.shelves" in refused.value.happened
        assert "public.labels (labels_shelf_fkey)" in refused.value.happened
        assert await superuser.fetchval("SELECT count(*) FROM public.labels WHERE shelf = 7") == 1
        assert await superuser.fetchval("SELECT array_agg(id) FROM public.shelves WHERE id IN (7, 8)") == [7]
        assert all(proof.holds for proof in await prove_foreign_keys(superuser, [move.target for move in MOVES]))
        await superuser.execute("DELETE FROM public.labels WHERE shelf = 7")
        assert all(outcome.verdict is Verdict.PASSED for outcome in await copy(sides))
    finally:
        await superuser.close()
    for table in ("shelves", "books"):
        await sides.assert_equal(table)


@pytest.mark.parametrize("silencing", [True, False])
async def test_a_row_of_the_same_table_is_not_taken_along_by_a_cascade(sides: Pair, silencing: bool) -> None:
    await sides.on_both("""
        CREATE TABLE nodes (id int PRIMARY KEY, parent int REFERENCES nodes ON DELETE CASCADE, body text)
    """)
    await sides.on_source("INSERT INTO nodes SELECT n, NULL, repeat('x', 2000) FROM generate_series(1, 5000) AS n")
    # On the target a chain of rows that are to go leads through all chunks, and rows that stay hang on it.
    await sides.on_target("""
        INSERT INTO nodes SELECT n, NULL, repeat('x', 2000) FROM generate_series(1, 5000) AS n;
        INSERT INTO nodes VALUES (-3, NULL, ''), (10000, -3, ''), (-2, 10000, ''), (10001, -2, '');
        UPDATE nodes SET parent = 10001 WHERE id IN (1, 5000)
    """)
    if not silencing:
        await sides.without_silencing()
    outcome = await sides.reconcile("nodes")
    assert (outcome.verdict, outcome.tally.deleted, outcome.tally.sent.rows) == (Verdict.PASSED, 4, 2)
    await sides.assert_equal("nodes")


async def test_a_table_without_a_key_is_not_emptied_while_others_refer_to_it(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE shelves (id int UNIQUE, name text)")
    await sides.on_target("""
        CREATE TABLE labels (id int PRIMARY KEY, shelf int REFERENCES shelves (id) ON DELETE CASCADE);
        INSERT INTO shelves VALUES (1, 'old'); INSERT INTO labels VALUES (1, 1)
    """)
    await sides.on_source("INSERT INTO shelves VALUES (1, 'new')")
    await sides.without_silencing()
    with pytest.raises(StillReferredError, match=r"Rows of public\.shelves are still referred to"):
        await sides.reconcile("shelves")
    assert (await sides.contents("shelves"))[1] == ["(1,old)"]
