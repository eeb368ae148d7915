"""Triggers, foreign keys, identity columns: asleep or respected, and proved at the end."""

from __future__ import annotations

import pytest

from tekup_migrate.postgres.foreign_keys import load_order, prove_foreign_keys, read_foreign_keys
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.rejections import CopyRefusedError
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair

TABLES = """
    CREATE TABLE authors (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE, updated_at timestamptz);
    CREATE TABLE books (
        id bigserial PRIMARY KEY, author int NOT NULL REFERENCES authors ON DELETE CASCADE, title text,
        updated_at timestamptz
    );
    CREATE TABLE journal (what text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO journal VALUES (TG_TABLE_NAME); NEW.updated_at = now(); RETURN NEW; END $$;
    CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON authors FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON books FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE books ENABLE ALWAYS TRIGGER touch;
    CREATE TRIGGER sleeping BEFORE INSERT ON books FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE books DISABLE TRIGGER sleeping
"""
STATES = """
    SELECT string_agg(shown, ' ' ORDER BY shown)
    FROM (SELECT tgrelid::regclass || '.' || tgname || '=' || tgenabled::text AS shown
          FROM pg_trigger WHERE NOT tgisinternal)
"""
RELATIONS = [Relation("public", "books"), Relation("public", "authors")]


@pytest.fixture(params=["may silence", "may not silence"])
async def library(sides: Pair, request: pytest.FixtureRequest) -> Pair:
    await sides.on_both(TABLES)
    await sides.on_source("""
        INSERT INTO authors (name) SELECT 'author ' || n FROM generate_series(1, 200) AS n;
        INSERT INTO books (author, title) SELECT 1 + n % 200, 'book ' || n FROM generate_series(1, 5000) AS n;
        TRUNCATE journal
    """)
    if request.param == "may not silence":
        await sides.without_silencing()
    return sides


async def test_no_trigger_fires_and_the_foreign_keys_are_proved(library: Pair) -> None:
    for table in ("authors", "books"):
        assert (await library.reconcile(table)).verdict is Verdict.PASSED
        await library.assert_equal(table)
    await library.on_source("UPDATE authors SET name = name || '!' WHERE id % 2 = 0; TRUNCATE journal")
    assert (await library.reconcile("authors")).verdict is Verdict.PASSED
    for table in ("authors", "books", "journal"):
        await library.assert_equal(table)
    async with library.target.connection() as connection:
        proofs = await prove_foreign_keys(connection, RELATIONS)
        assert [proof.holds for proof in proofs] == [True]
        states = await connection.fetchval(STATES)
        assert states == "public.authors.touch=O public.books.sleeping=D public.books.touch=A"


async def test_identity_and_serial_go_on_after_the_largest_value(library: Pair) -> None:
    for table in ("authors", "books"):
        await library.reconcile(table)
    connection = await library.superuser_on_target()
    try:
        await connection.execute("INSERT INTO authors (name) VALUES ('next'); INSERT INTO books (author) VALUES (201)")
    finally:
        await connection.close()
    ours, theirs = await library.contents("books")
    assert len(theirs) == len(ours) + 1


async def test_an_orphan_is_found_with_its_value(library: Pair) -> None:
    for table in ("authors", "books"):
        await library.reconcile(table)
    connection = await library.superuser_on_target()
    try:
        await connection.execute("SET session_replication_role = replica; DELETE FROM authors WHERE id = 7")
        proof = (await prove_foreign_keys(connection, RELATIONS))[0]
    finally:
        await connection.close()
    assert (proof.key.name, proof.orphans, set(proof.sample)) == ("books_author_fkey", 25, {"7"})


async def test_parents_are_ordered_before_children(library: Pair) -> None:
    async with library.target.connection() as connection:
        keys = await read_foreign_keys(connection, RELATIONS)
    assert [relation.name for relation in load_order(RELATIONS, keys)] == ["authors", "books"]


@pytest.mark.parametrize("silencing", [True, False])
async def test_a_table_that_refers_to_itself_is_copied_children_before_parents(sides: Pair, silencing: bool) -> None:
    await sides.on_both("CREATE TABLE nodes (id int PRIMARY KEY, parent int REFERENCES nodes, body text)")
    # Every parent is in a later chunk than its child.
    await sides.on_source("""
        INSERT INTO nodes SELECT n, nullif(least(n + 7000, 20000), n), repeat('x', 900)
        FROM generate_series(1, 20000) AS n
    """)
    if not silencing:
        await sides.without_silencing()
    outcome = await sides.reconcile("nodes")
    assert outcome.verdict is Verdict.PASSED
    await sides.assert_equal("nodes")


async def test_a_child_before_its_parent_is_refused_when_foreign_keys_are_awake(library: Pair) -> None:
    if library.extra_roles:
        with pytest.raises(CopyRefusedError, match="A foreign key has no parent"):
            await library.reconcile("books")
    else:
        assert (await library.reconcile("books")).verdict is Verdict.PASSED
        async with library.target.connection() as connection:
            proof = (await prove_foreign_keys(connection, RELATIONS))[0]
        assert proof.orphans == 5000


async def test_a_sequence_that_a_default_only_refers_to_is_advanced_within_its_bounds(sides: Pair) -> None:
    await sides.on_both("""
        CREATE SEQUENCE tickets MAXVALUE 1000;
        CREATE TABLE seats (id int PRIMARY KEY DEFAULT nextval('tickets'))
    """)
    await sides.on_source("INSERT INTO seats SELECT FROM generate_series(1, 50); INSERT INTO seats VALUES (5000)")
    await sides.reconcile("seats")
    await sides.on_target("INSERT INTO seats DEFAULT VALUES")
    ours, theirs = await sides.contents("seats")
    assert sorted(set(theirs) - set(ours)) == ["(51)"]


@pytest.mark.parametrize("rule", ["UNIQUE (code)", "EXCLUDE USING btree (code WITH =)"])
async def test_a_deferrable_constraint_lets_no_second_row_in(sides: Pair, rule: str) -> None:
    await sides.on_both(f"CREATE TABLE notes (id int PRIMARY KEY, code text, {rule} DEFERRABLE INITIALLY DEFERRED)")
    await sides.on_source("INSERT INTO notes VALUES (1, 'x')")
    # A row that must stay, because a table that does not move refers to it.
    await sides.on_target("INSERT INTO notes VALUES (9, 'x')")
    await sides.on_target("CREATE TABLE others (note int REFERENCES notes); INSERT INTO others VALUES (9)")
    with pytest.raises(CopyRefusedError, match=r"public\.notes"):
        await sides.reconcile("notes")
    assert (await sides.contents("notes"))[1] == ["(x,9)"]


async def test_rows_swap_what_an_exclusion_constraint_holds_apart(sides: Pair) -> None:
    await sides.on_both(
        "CREATE TABLE stays (id int PRIMARY KEY, r int4range, body text, EXCLUDE USING gist (r WITH &&))"
    )
    await sides.on_source("""
        INSERT INTO stays SELECT n, int4range(n * 10, n * 10 + 5), repeat('x', 2000) FROM generate_series(1, 3000) AS n
    """)
    assert (await sides.reconcile("stays")).tally.chunks > 1
    await sides.on_source("""
        UPDATE stays SET r = 'empty' WHERE id = 1;
        UPDATE stays SET r = int4range(10, 15) WHERE id = 3000;
        UPDATE stays SET r = int4range(30000, 30005) WHERE id = 1
    """)
    assert (await sides.reconcile("stays")).verdict is Verdict.PASSED
    await sides.assert_equal("stays")
