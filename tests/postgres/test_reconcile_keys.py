"""Chunks by every kind of key, and tables without one."""

from __future__ import annotations

import pytest

from tekup_migrate.postgres import chunk_work
from tekup_migrate.postgres import table as table_module
from tekup_migrate.postgres.outcome import Policy
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair

WIDE = "repeat(md5(n::text), 20)"
KEYS = {
    "integer": ("k int PRIMARY KEY", "n * 3"),
    "bigint": ("k bigint PRIMARY KEY", "n::bigint * 1000000007"),
    "uuid": ("k uuid PRIMARY KEY", "md5(n::text)::uuid"),
    "timestamptz": ("k timestamptz PRIMARY KEY", "'2026-01-01'::timestamptz + n * interval '1.000001 s'"),
    "numeric": ("k numeric PRIMARY KEY", "n / 7.0"),
    "double precision": ("k float8 PRIMARY KEY", "n / 7.0::float8"),
    "text": (
        "k text PRIMARY KEY",
        "CASE n % 4 WHEN 0 THEN 'Æ' WHEN 1 THEN 'b' WHEN 2 THEN 'B' ELSE E'\\\\''' END || n",
    ),
    "libc text": ("k text COLLATE other PRIMARY KEY", "CASE n % 3 WHEN 0 THEN 'Æ' WHEN 1 THEN 'b-' ELSE 'B' END || n"),
    "char": ("k char(12) PRIMARY KEY", "'k' || n"),
    "bytea": ("k bytea PRIMARY KEY", "decode(md5(n::text), 'hex')"),
    "inet": ("k inet PRIMARY KEY", "'10.0.0.0'::inet + n"),
    "composite": ("a text, b int, k timestamptz DEFAULT 'infinity', PRIMARY KEY (b, a, k)", None),
    "a type of an extension": ("k extensions.vector(1) PRIMARY KEY", "ARRAY[n]::extensions.vector"),
    "unique index": ("k text NOT NULL UNIQUE, also int UNIQUE", "'k' || n"),
}


@pytest.mark.parametrize("kind", KEYS)
async def test_a_table_is_cut_by_its_key_copied_caught_up_and_equal(sides: Pair, kind: str) -> None:
    columns, value = KEYS[kind]
    for run in (sides.on_source, sides.on_target):
        await run("CREATE COLLATION other (provider = libc, locale = 'C.UTF-8')")
        await run(f"CREATE TABLE samples ({columns}, body text, n int)")
    inserted = "(k, body, n)" if value else "(a, b, body, n)"
    made = value or "chr(97 + n % 26), n / 26"
    await sides.on_source(
        f"INSERT INTO samples {inserted} SELECT {made}, {WIDE}, n FROM generate_series(1, 12000) AS n"
    )
    outcome = await sides.reconcile("samples")
    assert outcome.verdict is Verdict.PASSED
    assert outcome.tally.chunks > 1
    assert outcome.tally.sent.rows == 12000
    await sides.assert_equal("samples")

    await sides.on_source("UPDATE samples SET body = 'new' WHERE n % 1000 = 1; DELETE FROM samples WHERE n % 2000 = 2")
    await sides.on_target("DELETE FROM samples WHERE n = 77")
    outcome = await sides.reconcile("samples")
    assert (outcome.tally.changed, outcome.tally.only_target, outcome.tally.only_source) == (12, 6, 1)
    assert outcome.tally.sent.rows == 13
    await sides.assert_equal("samples")


async def test_a_table_without_a_key_is_copied_whole_and_says_so(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE samples (v int, body text)")
    await sides.on_source("INSERT INTO samples SELECT n % 10, NULL FROM generate_series(1, 1000) AS n")
    outcome = await sides.reconcile("samples")
    assert outcome.verdict is Verdict.PASSED
    assert "no unique key" in outcome.notes[0]
    await sides.assert_equal("samples")
    # One of a hundred equal rows too few: only their number differs.
    await sides.on_target("DELETE FROM samples WHERE ctid = (SELECT ctid FROM samples LIMIT 1)")
    assert (await sides.verify("samples")).verdict is Verdict.DIFFERS
    assert (await sides.reconcile("samples", policy=Policy.REFUSE)).verdict is Verdict.DIFFERS
    assert (await sides.reconcile("samples")).verdict is Verdict.PASSED
    await sides.assert_equal("samples")


async def test_columns_in_another_order_and_enums_of_another_name_are_copied_by_name(sides: Pair) -> None:
    await sides.on_source(
        "CREATE TYPE mood AS ENUM ('calm', 'keen'); CREATE TABLE samples (id int PRIMARY KEY, a mood, b text)"
    )
    await sides.on_target(
        "CREATE TYPE my_mood AS ENUM ('keen', 'new', 'calm'); "
        "CREATE TABLE samples (b text, a my_mood, id int PRIMARY KEY)"
    )
    await sides.on_source("INSERT INTO samples VALUES (1, 'calm', 'x'), (2, 'keen', NULL)")
    assert (await sides.reconcile("samples")).verdict is Verdict.PASSED
    await sides.assert_equal("samples")


async def test_rows_swap_a_unique_value_and_keys_move_between_chunks(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE samples (id int PRIMARY KEY, code text UNIQUE, body text)")
    await sides.on_source(f"INSERT INTO samples SELECT n, 'c' || n, {WIDE} FROM generate_series(1, 12000) AS n")
    assert (await sides.reconcile("samples")).tally.chunks > 2
    await sides.on_source("""
        UPDATE samples SET code = 'tmp' WHERE id = 1;
        UPDATE samples SET code = 'c1' WHERE id = 12000;
        UPDATE samples SET code = 'c12000' WHERE id = 1;
        UPDATE samples SET id = 20000 WHERE id = 6000;
        UPDATE samples SET id = -1 WHERE id = 11000
    """)
    outcome = await sides.reconcile("samples")
    assert outcome.verdict is Verdict.PASSED
    await sides.assert_equal("samples")


async def test_a_target_much_larger_than_the_source_is_cut_by_its_own_keys(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE samples (id int PRIMARY KEY, body text)")
    await sides.on_source("INSERT INTO samples SELECT n * 1000, 'kept' FROM generate_series(1, 50) AS n")
    await sides.on_target("INSERT INTO samples SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 60000) AS n")
    outcome = await sides.reconcile("samples")
    assert outcome.verdict is Verdict.PASSED
    assert outcome.tally.chunks > 3
    assert outcome.tally.deleted == 60000 - 50
    await sides.assert_equal("samples")


async def test_a_unique_column_whose_not_null_was_never_checked_is_no_key(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE samples (k int UNIQUE, body text)")
    await sides.on_source(f"INSERT INTO samples SELECT n, {WIDE} FROM generate_series(1, 12000) AS n")
    await sides.on_source("ALTER TABLE samples ALTER k SET NOT NULL")
    # Postgres 18 marks the column as NOT NULL here; a comparison by key ranges would never see this row.
    await sides.on_target("INSERT INTO samples VALUES (NULL, 'unseen')")
    await sides.on_target("ALTER TABLE samples ADD CONSTRAINT filled NOT NULL k NOT VALID")
    assert (await sides.verify("samples")).verdict is Verdict.DIFFERS
    assert "no unique key" in (await sides.reconcile("samples")).notes[0]
    await sides.assert_equal("samples")


async def test_as_many_columns_as_a_table_can_have(sides: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_work, "_WIDE_ROW_BYTES", 0)
    columns = ", ".join(f"c{n} {'text' if n % 2 else 'spot'}" for n in range(1599))
    await sides.on_both(f"CREATE TYPE spot AS (x int); CREATE TABLE samples (id int PRIMARY KEY, {columns})")
    await sides.on_source(
        "INSERT INTO samples (id, c5, c1598) SELECT n, n, ROW(n)::spot FROM generate_series(1, 50) AS n"
    )
    assert (await sides.reconcile("samples")).verdict is Verdict.PASSED
    await sides.on_target("UPDATE samples SET c1598 = ROW(8) WHERE id = 7")
    assert [str(row) for row in (await sides.verify("samples")).samples] == ["id = 7: different in c1598"]


@pytest.mark.parametrize("columns", ["", "one int GENERATED ALWAYS AS (1) STORED"])
async def test_rows_without_a_column_to_write_are_counted_and_copied(sides: Pair, columns: str) -> None:
    await sides.on_both(f"CREATE TABLE samples ({columns})")
    await sides.on_source("INSERT INTO samples SELECT FROM generate_series(1, 5)")
    outcome = await sides.reconcile("samples")
    assert (outcome.verdict, outcome.tally.target.rows) == (Verdict.PASSED, 5)
    await sides.on_target("INSERT INTO samples SELECT")
    assert (await sides.verify("samples")).verdict is Verdict.DIFFERS


LISTED = {
    "libc text": ("k text COLLATE other PRIMARY KEY", "chr(97 + n % 26) || n"),
    "char": ("k char(12) NOT NULL UNIQUE", "'k' || n"),
    "text first": ("k text COLLATE other, b int DEFAULT 7, PRIMARY KEY (k, b)", "'Æ' || n"),
}


@pytest.mark.parametrize("kind", LISTED)
async def test_a_key_in_an_order_that_is_not_shared_is_read_once_and_chunks_name_their_keys(
    sides: Pair, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "_LISTED_FROM_BYTES", -1)
    columns, value = LISTED[kind]
    for run in (sides.on_source, sides.on_target):
        await run("CREATE COLLATION other (provider = libc, locale = 'C.UTF-8')")
        await run(f"CREATE TABLE samples ({columns}, body text, n int)")
    await sides.on_source(
        f"INSERT INTO samples (k, body, n) SELECT {value}, {WIDE}, n FROM generate_series(1, 9000) AS n"
    )
    await sides.on_target(f"INSERT INTO samples (k, n) SELECT {value}, n FROM generate_series(9001, 9098) AS n")
    await sides.on_target("INSERT INTO samples (k, n) VALUES ('', 0), (U&'\\+01F600', 0)")
    seen = await sides.verify("samples")
    assert (seen.tally.only_source, seen.tally.only_target) == (9000, 100)
    outcome = await sides.reconcile("samples")
    assert (outcome.verdict, outcome.tally.sent.rows, outcome.tally.deleted) == (Verdict.PASSED, 9000, 100)
    assert outcome.tally.chunks > 1
    assert "is cut into lists of keys, because k is not indexed" in " ".join(outcome.notes)
    await sides.assert_equal("samples")
    await sides.on_source("UPDATE samples SET n = -1 WHERE n % 1000 = 1; UPDATE samples SET k = 'moved' WHERE n = 2")
    assert (await sides.reconcile("samples")).tally.sent.rows == 10
    await sides.assert_equal("samples")
