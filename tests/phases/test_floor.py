"""The plan's floor: columns, indexes, enum labels and policies exist at the end, whatever the source has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tekup_migrate.plan import Move, Policy
from tekup_migrate.plan_floor import Floor, FloorColumn, FloorForeignKey, FloorIndex
from tekup_migrate.postgres.ddl.type_names import same_type
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.steps import Verdict
from tests.phases.moving import Moving, Picking, plan_of, run, value
from tests.postgres.transplant.judge import dump

FLOOR = Floor(
    columns=(
        FloorColumn(name="id", type="int"),
        FloorColumn(name="kind", type="kind", not_null=True, default="'github'"),
        FloorColumn(name="state", type="state", default="'new'"),
        FloorColumn(name="embedding", type="vector(3)"),
        FloorColumn(name="wanted", type="timestamptz", not_null=True),
        FloorColumn(name="userId", type="int"),
    ),
    indexes=(
        FloorIndex(columns=("kind", "body"), unique=True),
        FloorIndex(columns=("body",)),
        FloorIndex(columns=("userId",)),
        FloorIndex(columns=("lower(body)",), name="app_notes_lower"),
        FloorIndex(columns=("embedding",), method="ivfflat", parameters={"lists": 100}),
    ),
    enums={"kind": ("github", "chatgpt"), "state": ("new", "old")},
)
POLICY = Policy(name="reads", command="SELECT", roles=("authenticated",), using="true")
MOVES = (Move(app="app", sources=("notes",), target="app_notes", policies=(POLICY,), floor=FLOOR),)
SOURCE = """
CREATE TYPE public.kind AS ENUM ('local', 'github');
CREATE TABLE public.notes (id int PRIMARY KEY, body text, kind public.kind);
CREATE INDEX notes_body_idx ON public.notes (body) WHERE id > 3;
INSERT INTO public.notes SELECT n, 'note ' || n, 'local' FROM generate_series(1, 20) AS n;
"""


@pytest.fixture
def moving(source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path) -> Moving:
    return Moving(plan_of(source_database, target_database, MOVES), source_database, target_database, tmp_path)


async def test_what_the_source_lacks_of_the_floor_is_added_and_each_item_is_told(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    before = await dump(moving.target)
    compared = await moving.go("compare")
    assert compared.verdict is Verdict.PASSED
    assert "The plan asks for column app_notes.state; the source has none, so it is added" in compared.facts
    early = await moving.go("create")
    assert early.verdict is Verdict.PASSED, early
    assert "floor: column app_notes.kind: of the source" in early.facts
    assert "floor: column app_notes.state: added, the source has none" in early.facts
    assert "floor: enum kind, label 'chatgpt': added, the source has none" in early.facts
    assert "floor: policy reads on app_notes: added, the source has none" in early.facts
    wanted = next(fact for fact in early.facts if "app_notes.wanted" in fact)
    assert wanted.endswith("it may be NULL, because the source's rows have no value for it")
    late = await moving.go("copy", "attach")
    assert late.verdict is Verdict.PASSED, late
    assert "floor: unique index of app_notes on kind, body: added, the source has none" in late.facts
    assert "floor: index of app_notes on body: added, the source has none" in late.facts
    assert "floor: index of app_notes on userId: added, the source has none" in late.facts
    partial = "SELECT count(*) FROM pg_indexes WHERE tablename = 'app_notes' AND indexdef LIKE '% WHERE %'"
    assert await value(moving.target, partial) == 1, "the source's own, by the name that the floor's would have had"
    assert await value(moving.target, "SELECT enum_range(NULL::public.kind)::text") == "{local,github,chatgpt}"
    assert await value(moving.target, "SELECT count(*) FROM public.app_notes WHERE state = 'new'") == 20
    rows = await moving.go("rows")
    assert rows.verdict is Verdict.PASSED, rows
    again = await moving.step("create").verify(moving.context)
    assert again == early
    await moving.take_back("attach", "copy", "create")
    assert await dump(moving.target) == before


async def test_a_floor_item_that_is_dropped_afterwards_is_missed(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    await moving.go("compare", "create", "copy", "attach")
    await run(moving.target, "DROP INDEX public.app_notes_lower; DROP POLICY reads ON public.app_notes")
    evidence = await moving.step("attach").verify(moving.context)
    assert evidence.verdict is Verdict.DIFFERS
    assert "floor: index of app_notes on lower(body): not there yet" in evidence.facts
    assert "floor: policy reads on app_notes: not there yet" in evidence.facts


async def test_a_label_is_looked_for_under_the_name_that_its_type_got(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    await run(moving.target, "CREATE TYPE public.kind AS ENUM ('theirs')")
    Picking(moving, "Create it as app_kind")
    assert (await moving.go("compare", "create")).verdict is Verdict.PASSED
    assert await value(moving.target, "SELECT enum_range(NULL::public.app_kind)::text") == "{local,github,chatgpt}"


async def test_names_that_have_to_be_cut_keep_every_part_of_the_floor_apart_and_are_known_again(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path
) -> None:
    here, there = "ø" * 31, "æ" * 31
    floor = Floor(
        indexes=(FloorIndex(columns=("mother",)), FloorIndex(columns=("mother", "father"))),
        foreign_keys=tuple(FloorForeignKey(columns=(c,), references=there, keys=("id",)) for c in ("mother", "father")),
    )
    moves = (Move(app="app", sources=(here,), target=there, floor=floor),)
    moving = Moving(plan_of(source_database, target_database, moves), source_database, target_database, tmp_path)
    await run(
        moving.source,
        f'CREATE TABLE public."{here}" (id int PRIMARY KEY, mother int, father int, en_lang_nok_kolonne_1 int NOT NULL,'
        " en_lang_nok_kolonne_2 int NOT NULL)",
    )
    before = await dump(moving.target)
    for name in ("compare", "create", "attach"):
        seen = await moving.go(name)
        assert seen.verdict is Verdict.PASSED, seen
    made = (
        "SELECT (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) * 10"
        " + (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f')"
        " FROM pg_class AS c WHERE c.relname LIKE 'ææ%' AND c.relkind = 'r'"
    )
    assert await value(moving.target, made) == 32, "three indexes and two foreign keys"
    await moving.take_back("attach", "create")
    assert await dump(moving.target) == before


async def test_keys_comments_and_row_security_of_the_floor_are_added_to_a_table_that_has_none(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path
) -> None:
    floor = Floor(
        columns=(FloorColumn(name="id", type="int"), FloorColumn(name="at", type="timestamptz", comment="hvornår")),
        primary_key=("id",),
        foreign_keys=(
            FloorForeignKey(columns=("mother",), references="app_notes", keys=("id",), on_delete="set null"),
            FloorForeignKey(columns=("father",), references="app_notes", keys=("id",)),
        ),
        row_security=True,
        comment="Noter",
    )
    moves = (Move(app="app", sources=("notes",), target="app_notes", floor=floor),)
    moving = Moving(plan_of(source_database, target_database, moves), source_database, target_database, tmp_path)
    await run(
        moving.source,
        "CREATE TABLE public.notes (id int NOT NULL UNIQUE, mother int, father int REFERENCES public.notes (id))",
        "INSERT INTO public.notes SELECT n, 1, 1 FROM generate_series(1, 9) AS n",
    )
    before = await dump(moving.target)
    early = await moving.go("compare", "create")
    assert early.verdict is Verdict.PASSED, early
    late = await moving.go("copy", "attach")
    assert late.verdict is Verdict.PASSED, late
    assert "floor: unique index of app_notes on id: of the source" in late.facts
    assert "floor: foreign key of app_notes on mother to app_notes: added, the source has none" in late.facts
    assert "floor: foreign key of app_notes on father to app_notes: of the source" in late.facts
    keys = (
        "SELECT string_agg(confdeltype::text, '' ORDER BY conname) FROM pg_constraint"
        " WHERE contype = 'f' AND conrelid = 'public.app_notes'::regclass"
    )
    assert await value(moving.target, keys) == "an"
    described = (
        "SELECT obj_description(oid, 'pg_class') || col_description(oid, 4) || relrowsecurity"
        " FROM pg_class WHERE oid = 'public.app_notes'::regclass"
    )
    assert await value(moving.target, described) == "Noterhvornårtrue"
    assert await moving.step("attach").verify(moving.context) == late
    assert (await moving.go("rows")).verdict is Verdict.PASSED
    await moving.take_back("attach", "copy", "create")
    assert await dump(moving.target) == before


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [
        ("timestamp with time zone", "timestamptz", True),
        ("extensions.vector(1536)", "vector(1536)", True),
        ("extensions.vector(1536)", "vector(768)", False),
        ("character varying(20)", "varchar(20)", True),
        ("public.source_type", "source_type", True),
        ("numeric(10,2)", "decimal(10, 2)", True),
        ("text", "uuid", False),
        ("integer[]", "int[]", True),
        ("integer[]", "int", False),
        ("timestamp(3) without time zone", "timestamp (3)", True),
        ("timestamp(3) with time zone", "timestamptz(3)", True),
        ("character(1)", "char", True),
        ("character(1)", '"char"', False),
        ("numeric(10,0)", "dec(10)", True),
        ("real", "float(24)", True),
        ("bigint", "serial8", True),
    ],
)
def test_a_type_is_the_same_by_any_of_its_names(found: str, wanted: str, same: bool) -> None:
    assert same_type(found, wanted) is same
