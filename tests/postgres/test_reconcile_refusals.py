"""Wrong input gives a clear error that names the table, and leaves what was finished."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.rejections import CopyRefusedError
from tekup_migrate.postgres.table import TableUnfitError
from tekup_migrate.rehearsal.supabase import connect_as_superuser
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair, side

UNFIT = {
    "missing in the target": ("id int PRIMARY KEY, a int", "id int PRIMARY KEY", "Column a is missing in the target"),
    "extra in the target": ("id int PRIMARY KEY", "id int PRIMARY KEY, a int", "Column a exists in the target only"),
    "another type": ("id int PRIMARY KEY, a int", "id int PRIMARY KEY, a bigint", "a is int4 in the source and int8"),
    "json and jsonb": (
        "id int PRIMARY KEY, a json",
        "id int PRIMARY KEY, a jsonb",
        "a is json in the source and jsonb",
    ),
    "another dimension": (
        "id int PRIMARY KEY, a extensions.vector(3)",
        "id int PRIMARY KEY, a extensions.vector(4)",
        "Column a of type vector has another length, precision or dimension",
    ),
    "a shorter varchar": ("id int PRIMARY KEY, a varchar(9)", "id int PRIMARY KEY, a varchar(8)", "Column a"),
}


@pytest.mark.parametrize("case", UNFIT)
async def test_tables_that_do_not_fit_are_refused_by_column(sides: Pair, case: str) -> None:
    source, target, message = UNFIT[case]
    await sides.on_source(f"CREATE TABLE samples ({source}); INSERT INTO samples (id) VALUES (1)")
    await sides.on_target(f"CREATE TABLE samples ({target})")
    with pytest.raises(TableUnfitError) as refused:
        await sides.reconcile("samples")
    assert message in refused.value.happened
    assert "public.samples" in refused.value.title


async def test_an_enum_label_that_the_target_lacks_is_named(sides: Pair) -> None:
    await sides.on_source(
        "CREATE TYPE mood AS ENUM ('calm', 'keen'); CREATE TABLE samples (id int PRIMARY KEY, m mood[])"
    )
    await sides.on_target("CREATE TYPE mood AS ENUM ('calm'); CREATE TABLE samples (id int PRIMARY KEY, m mood[])")
    with pytest.raises(TableUnfitError, match="do not fit") as refused:
        await sides.reconcile("samples")
    assert "enum mood of column m lacks: keen" in refused.value.happened


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("CREATE VIEW samples AS SELECT 1 AS id", "It is a view"),
        ("CREATE MATERIALIZED VIEW samples AS SELECT 1 AS id", "It is a materialized view"),
        ("CREATE TABLE samples (id int) PARTITION BY HASH (id)", "It is a partitioned table"),
        (
            "CREATE TABLE all_of (id int) PARTITION BY LIST (id); CREATE TABLE samples PARTITION OF all_of DEFAULT",
            "It is a partition of another table",
        ),
        ("CREATE TABLE samples (id int); CREATE TABLE child () INHERITS (samples)", "Other tables inherit from it"),
        ("SELECT 1", "It does not exist"),
    ],
)
async def test_what_is_no_plain_table_is_refused(sides: Pair, made: str, message: str) -> None:
    await sides.on_source(made)
    await sides.on_target("CREATE TABLE samples (id int)")
    with pytest.raises(TableUnfitError) as refused:
        await sides.reconcile("samples")
    assert message in refused.value.happened


async def test_a_table_that_may_not_be_read_is_refused(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE samples (id int PRIMARY KEY)")
    await sides.without_silencing()
    connection = await sides.superuser_on_target()
    try:
        await connection.execute(f"REVOKE SELECT ON public.samples FROM {sides.extra_roles[0]}")
    finally:
        await connection.close()
    with pytest.raises(TableUnfitError) as refused:
        await sides.reconcile("samples")
    assert "may not read it" in refused.value.happened


async def test_a_foreign_table_is_refused(sides: Pair) -> None:
    connection = await sides.superuser_on_target()
    try:
        await connection.execute("""
            CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
            CREATE FOREIGN TABLE public.samples (id int) SERVER nowhere
        """)
    finally:
        await connection.close()
    await sides.on_source("CREATE TABLE samples (id int)")
    with pytest.raises(TableUnfitError) as refused:
        await sides.reconcile("samples")
    assert "It is a foreign table" in refused.value.happened


async def test_row_level_security_that_could_hide_rows_is_refused(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE samples (id int PRIMARY KEY)")
    await sides.on_target("ALTER TABLE samples ENABLE ROW LEVEL SECURITY")
    assert (await sides.reconcile("samples")).verdict is Verdict.PASSED
    await sides.without_silencing()
    connection = await sides.superuser_on_target()
    try:
        role = sides.extra_roles[0]
        await connection.execute(f"ALTER TABLE public.samples FORCE ROW LEVEL SECURITY; ALTER ROLE {role} NOBYPASSRLS")
    finally:
        await connection.close()
    for write in (True, False):
        with pytest.raises(TableUnfitError) as refused:
            await sides.reconcile("samples", write=write)
        assert "Row-level security may hide rows" in refused.value.happened


_ONE = "UPDATE samples SET n = 1 WHERE id = 9000"
REJECTED = {
    "a check": ("n int CHECK (n <> 9000)", "", ("column n, constraint samples_n_check",), "23514"),
    "a check of two columns": (
        "n int, CHECK (n + id <> 18000)",
        "",
        ("columns id, n, constraint samples_check", "columns n, id, constraint samples_check"),
        "23514",
    ),
    "not null": ("n int NOT NULL", "UPDATE samples SET n = NULL WHERE id = 9000", ("column n",), "23502"),
    "a unique key": ("n int UNIQUE", _ONE, ("column n, constraint samples_n_key",), "23505"),
    "an exclusion": ("n int, EXCLUDE USING btree (n WITH =)", _ONE, ("column n, constraint samples_n_excl",), "23P01"),
}


@pytest.mark.parametrize("case", REJECTED)
async def test_a_value_that_the_target_rejects_names_range_column_and_constraint(sides: Pair, case: str) -> None:
    rule, prepare, named, state = REJECTED[case]
    await sides.on_source("CREATE TABLE samples (id int PRIMARY KEY, n int, body text)")
    await sides.on_target(f"CREATE TABLE samples (id int PRIMARY KEY, body text, {rule})")
    await sides.on_source("INSERT INTO samples SELECT n, n, repeat('x', 900) FROM generate_series(1, 20000) AS n")
    if prepare:
        await sides.on_source(prepare)
    with pytest.raises(CopyRefusedError) as refused:
        await sides.reconcile("samples")
    for part in ("public.samples", "key range"):
        assert part in refused.value.happened
    assert any(part in refused.value.happened for part in named)
    assert state in refused.value.details
    # The cause is mended, and the copy goes on.
    await sides.on_source("UPDATE samples SET n = -1 WHERE id = 9000")
    assert (await sides.reconcile("samples")).verdict is Verdict.PASSED
    await sides.assert_equal("samples")


async def test_no_right_to_write_is_named_and_nothing_was_touched(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE samples (id int PRIMARY KEY)")
    await sides.on_source("INSERT INTO samples VALUES (1)")
    await sides.on_target("REVOKE INSERT ON samples FROM postgres")
    with pytest.raises(CopyRefusedError) as refused:
        await sides.reconcile("samples")
    assert "Permission denied" in refused.value.title
    assert (await sides.contents("samples"))[1] == []


async def test_what_the_source_cannot_send_is_said_of_the_source_whoever_else_is_still_reading(sides: Pair) -> None:
    superuser = await connect_as_superuser(sides.servers[0].server)
    # A database that knows no encoding takes any bytes as text.
    name = f"{sides.source_database.database}_any"
    await superuser.execute(f"CREATE DATABASE {name} OWNER postgres TEMPLATE template0 ENCODING sql_ascii LOCALE 'C'")
    try:
        sides.source_database = replace(sides.source_database, database=name)
        sides.source = side(sides.source_database)
        await sides.on_both("CREATE TABLE samples (id int PRIMARY KEY, body text)")
        await sides.on_both("INSERT INTO samples SELECT n, 'x' FROM generate_series(1, 1000) AS n")
        await sides.on_source(r"UPDATE samples SET body = E'\xff' WHERE id = 1")
        for write in (True, False):
            with pytest.raises(CopyRefusedError) as refused:
                await sides.reconcile("samples", write=write)
            assert "the source said: invalid byte sequence" in refused.value.happened
    finally:
        await sides.source.close()
        await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await superuser.close()


@pytest.mark.parametrize("width", [1, 3000], ids=["digested before", "digested as it is copied"])
async def test_a_column_that_the_target_computes_differently_is_named(sides: Pair, width: int) -> None:
    table = "CREATE TABLE samples (id int PRIMARY KEY, t text, d int GENERATED ALWAYS AS (id * {}) STORED)"
    await sides.on_source(table.format(2))
    await sides.on_target(table.format(3))
    await sides.on_source(f"INSERT INTO samples SELECT n, repeat('x', {width}) FROM generate_series(1, 2) AS n")
    with pytest.raises(MigrationError) as refused:
        await sides.reconcile("samples")
    assert "differs from the source in d" in refused.value.happened
    assert (await sides.contents("samples"))[1] == []


async def test_a_target_that_is_read_only_is_named(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE samples (id int PRIMARY KEY)")
    await sides.on_source("INSERT INTO samples VALUES (1)")
    database = sides.target_database.database
    await sides.on_target(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with pytest.raises(CopyRefusedError) as refused:
        await sides.reconcile("samples")
    assert "read-only" in refused.value.title
