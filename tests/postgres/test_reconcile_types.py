"""Every supported type copied, and a single changed bit in any of them found."""

from __future__ import annotations

import pytest

from tekup_migrate.postgres import chunk_work
from tekup_migrate.postgres.outcome import DifferenceKind
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair

# type, a value, and the value that is as near to it as the type allows
NEIGHBOURS = {
    "bool": ("true", "false"),
    "smallint": ("1", "0"),
    "integer": ("2147483647", "2147483646"),
    "bigint": ("9223372036854775807", "9223372036854775806"),
    "real": ("1.0", "1.00000012"),
    "double precision": ("0.1", "0.10000000000000002"),
    "numeric": ("1.0", "1.00"),
    "numeric(30,10)": ("1.0000000001", "1.0000000000"),
    "text": ("''", "NULL"),
    "varchar(20)": ("'a'", "'a '"),
    "char(5)": ("'a'", "'b'"),
    "bytea": (r"'\x00'", r"'\x01'"),
    "uuid": ("'00000000-0000-0000-0000-000000000000'", "'00000000-0000-0000-0000-000000000001'"),
    "json": ("""'{"a":1}'""", """'{"a": 1}'"""),
    "jsonb": ("""'{"a": 1}'""", """'{"a": 1.0}'"""),
    "date": ("'infinity'", "'-infinity'"),
    "time": ("'12:00'", "'12:00:00.000001'"),
    "timetz": ("'12:00+00'", "'13:00+01'"),
    "timestamp": ("'infinity'", "'294276-12-31 23:59:59.999999'"),
    "timestamptz": ("'2026-01-01 00:00+00'", "'2026-01-01 00:00:00.000001+00'"),
    "interval": ("'1 day'", "'24 hours'"),
    "inet": ("'10.0.0.1'", "'10.0.0.1/31'"),
    "cidr": ("'10.0.0.0/8'", "'10.0.0.0/9'"),
    "macaddr": ("'08:00:2b:01:02:03'", "'08:00:2b:01:02:02'"),
    "bit(3)": ("'101'", "'100'"),
    "varbit": ("'101'", "'1010'"),
    "money": ("'1.00'", "'1.01'"),
    "point": ("'(1,2)'", "'(1,2.0000000000000004)'"),
    "tsvector": ("'a:1'", "'a:2'"),
    "int4range": ("'[1,2)'", "'[1,3)'"),
    "tstzrange": ("'[2026-01-01,)'", "'(2026-01-01,)'"),
    "int4multirange": ("'{[1,2)}'", "'{}'"),
    "text[]": ("'{a,NULL}'", "'{a,\"NULL\"}'"),
    "integer[]": ("'{1,2}'", "'[2:3]={1,2}'"),
    "integer[][]": ("'{{1,2},{3,4}}'", "'{1,2,3,4}'"),
    "timestamptz[]": ("'{infinity}'", "'{-infinity}'"),
    "mood": ("'calm'", "'keen'"),
    "mood[]": ("'{calm}'", "'{keen}'"),
    "shape": ("'(1,calm)'", "'(1,keen)'"),
    "shape[]": ("""'{"(1,calm)"}'""", """'{"(2,calm)"}'"""),
    "score": ("5", "6"),
    "score[]": ("'{5}'", "'{6}'"),
    "temper": ("'calm'", "'keen'"),
    "aclitem": ("'postgres=r/postgres'", "'postgres=w/postgres'"),
    "moods": ("'[calm,keen]'", "'[calm,keen)'"),
    "regclass": ("'pg_class'", "'pg_type'"),
    "oid": ("1", "2"),
    "extensions.vector(3)": ("'[1,2,3]'", "'[1,2,3.0000002]'"),
    "extensions.halfvec(3)": ("'[1,2,3]'", "'[1,2,3.002]'"),
    "extensions.sparsevec(3)": ("'{1:1}/3'", "'{2:1}/3'"),
    "extensions.vector(2)[]": ("""'{"[1,2]"}'""", """'{"[1,3]"}'"""),
}
TYPES = """
    {before}
    CREATE TYPE mood AS ENUM ('calm', 'keen');
    CREATE TYPE shape AS (sides int, mood mood);
    CREATE DOMAIN score AS int CHECK (VALUE > 0);
    CREATE DOMAIN temper AS mood;
    CREATE TYPE moods AS RANGE (subtype = mood);
"""
SPECIAL = {
    "real": ["'NaN'", "'-0'", "'infinity'", "1e-45"],
    "double precision": ["'NaN'", "'-0'", "'-infinity'", "5e-324", "0.1::float8 + 0.2::float8"],
    "numeric": ["'NaN'", "'Infinity'", "'-Infinity'", "1e-1000", "0.10"],
    "timestamptz": ["'infinity'", "'-infinity'", "'0044-03-15 BC'"],
    "interval": ["'-1 mon 1 day -00:00:00.000001'", "'1 year'"],
    "text": ["'ø\\n\t\"'", "repeat('x', 300000)", "'NULL'", r"'\N'"],
    "jsonb": ["'null'", "'{}'", "'[1, \"\\u00e9\"]'"],
    "text[]": ["'{}'", "'{{a},{b}}'", "NULL"],
    "regclass": ["'public.samples'"],
    "bytea": ["''", "NULL", r"'\x5c4e'"],
}


async def _make(sides: Pair, column_type: str) -> None:
    # Different OIDs and an extra dropped column on one side: neither may show in a digest.
    await sides.on_source(TYPES.format(before="CREATE TYPE first AS ENUM ('x', 'y', 'z', 'u', 'v');"))
    await sides.on_target(TYPES.format(before="CREATE TABLE first (gone int);"))
    await sides.on_source(f"CREATE TABLE samples (gone int, id int PRIMARY KEY, v {column_type})")
    await sides.on_source("ALTER TABLE samples DROP COLUMN gone")
    await sides.on_target(f"CREATE TABLE samples (id int PRIMARY KEY, v {column_type})")


@pytest.mark.parametrize("column_type", NEIGHBOURS)
async def test_a_value_arrives_as_it_was_and_its_neighbour_is_told_from_it(
    sides: Pair, column_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However narrow they are, these rows are digested as they are copied; the look afterwards reads them by themselves.
    monkeypatch.setattr(chunk_work, "_WIDE_ROW_BYTES", 0)
    value, neighbour = NEIGHBOURS[column_type]
    await _make(sides, column_type)
    values = [value, neighbour, "NULL", *SPECIAL.get(column_type, [])]
    for number, each in enumerate(values):
        await sides.on_source(f"INSERT INTO samples VALUES ({number}, {each}::{column_type})")
    outcome = await sides.reconcile("samples")
    assert outcome.verdict is Verdict.PASSED
    await sides.assert_equal("samples")

    await sides.on_target(f"UPDATE samples SET v = {neighbour}::{column_type} WHERE id = 0")
    outcome = await sides.verify("samples")
    assert [row.kind for row in outcome.samples] == [DifferenceKind.CHANGED]
    assert [column.name for column in outcome.samples[0].columns] == ["v"]
    assert (await sides.reconcile("samples")).tally.sent.rows == 1
    await sides.assert_equal("samples")


async def test_a_digest_does_not_depend_on_the_settings_of_the_role(sides: Pair) -> None:
    # A composite goes by its text form, which every one of these settings changes; with an enum in it also as text.
    await sides.on_both("CREATE TYPE size AS ENUM ('small')")
    await sides.on_both(
        "CREATE TYPE moment AS (at timestamptz, how float8, raw bytea, long interval, tags text[], size size)"
    )
    await _make(sides, "moment")
    moment = "now(), 0.1::float8 + 0.2, 'x', '1 day 1 hour', '{NULL}', 'small'"
    await sides.on_source(f"INSERT INTO samples VALUES (1, ({moment}))")
    ours = f"ALTER ROLE postgres IN DATABASE {sides.source_database.database} SET"
    theirs = f"ALTER ROLE postgres IN DATABASE {sides.target_database.database} SET"
    await sides.on_source(f"{ours} TimeZone = 'Asia/Tokyo'; {ours} bytea_output = 'escape'")
    await sides.on_source(f"{ours} IntervalStyle = 'iso_8601'")
    await sides.on_target(f"{theirs} DateStyle = 'German'; {theirs} extra_float_digits = -3")
    await sides.on_target(f"{theirs} array_nulls = off")
    assert (await sides.reconcile("samples")).verdict is Verdict.PASSED
    assert (await sides.verify("samples")).verdict is Verdict.PASSED
    await sides.assert_equal("samples")


@pytest.mark.parametrize("column_type", ["integer", "text", "timestamptz"])
async def test_a_value_that_changed_columns_is_told_from_one_that_did_not(sides: Pair, column_type: str) -> None:
    value = {"integer": "5", "text": "''", "timestamptz": "'2026-01-01'"}[column_type]
    await sides.on_both(f"CREATE TABLE samples (id int PRIMARY KEY, a {column_type}, b {column_type})")
    await sides.on_source(f"INSERT INTO samples VALUES (1, {value}, NULL)")
    await sides.on_target(f"INSERT INTO samples VALUES (1, NULL, {value})")
    outcome = await sides.verify("samples")
    assert [column.name for column in outcome.samples[0].columns] == ["a", "b"]


@pytest.mark.parametrize(
    ("column_type", "why"),
    [("mood[]", "would carry this database's type numbers"), ("aclitem[]", "cannot be sent in binary form")],
)
async def test_a_table_whose_types_do_not_travel_in_binary_form_is_copied_as_text_and_says_so(
    sides: Pair, column_type: str, why: str
) -> None:
    await _make(sides, column_type)
    assert (await sides.reconcile("samples")).notes == (f"copied as text, because v {why}",)


async def test_a_cast_of_the_users_own_that_shows_less_than_the_value_hides_nothing(sides: Pair) -> None:
    await sides.on_both("""
        CREATE TYPE spot AS (x int, y int); CREATE TABLE samples (id int PRIMARY KEY, v spot);
        CREATE FUNCTION shown(spot) RETURNS text LANGUAGE sql AS $$SELECT 'x = ' || $1.x$$;
        CREATE CAST (spot AS text) WITH FUNCTION shown(spot);
    """)
    await sides.on_source("INSERT INTO samples VALUES (1, '(1,2)'), (2, '(,)')")
    await sides.on_target("INSERT INTO samples VALUES (1, '(1,3)'), (2, NULL)")
    assert (await sides.verify("samples")).tally.changed == 2
    assert (await sides.reconcile("samples")).verdict is Verdict.PASSED
    await sides.assert_equal("samples")


async def test_two_equal_changes_do_not_cancel_out(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE samples (v int)")
    await sides.on_source("INSERT INTO samples VALUES (1), (1), (2), (2)")
    await sides.on_target("INSERT INTO samples VALUES (3), (3), (4), (4)")
    assert (await sides.verify("samples")).verdict is Verdict.DIFFERS
