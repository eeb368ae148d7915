"""A table that the plan names and the source lacks is made empty from the plan's floor, by somebody's word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tekup_migrate.errors import MigrationError, WorldChangedError
from tekup_migrate.phases.carrying_back import written_since
from tekup_migrate.phases.comparing import compare, rows_evidence
from tekup_migrate.phases.made_tables import made_tables, with_made
from tekup_migrate.phases.ownership import forget_cut_over, note_cut_over
from tekup_migrate.phases.resolutions import Choice, PlacedMove, all_moves, decide
from tekup_migrate.phases.since_cut_over import LateWrites, RowsKept
from tekup_migrate.plan import BUILT_IN, Move, Policy, read_plan
from tekup_migrate.plan_floor import Floor, FloorColumn, FloorForeignKey, FloorIndex
from tekup_migrate.postgres.catalog.objects import Kind, ObjectKey
from tekup_migrate.postgres.outcome import TableOutcome
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.steps import Context, Verdict
from tests.phases.moving import Moving, Picking, plan_of, run, value
from tests.postgres.transplant.judge import dump

FLOOR = Floor(
    columns=(
        FloorColumn(name="id", type="uuid", default="gen_random_uuid()"),
        FloorColumn(name="note_id", type="int", not_null=True),
        FloorColumn(name="kind", type="kind", not_null=True, default="'github'"),
        FloorColumn(name="state", type="state", default="'new'", comment="nyt eller gammelt"),
        FloorColumn(name="embedding", type="vector(3)"),
        FloorColumn(name="body", type="varchar(20)"),
        FloorColumn(name="number", type="serial8"),
        FloorColumn(name="at", type="timestamp(3)"),
        FloorColumn(name="kinds", type='"kind"[]', default="ARRAY['github'::kind]"),
        FloorColumn(name="norm", type="float8", default="vector_norm('[3,4]')"),
        FloorColumn(name="own", type="int", default="own_number()"),
    ),
    primary_key=("id",),
    foreign_keys=(FloorForeignKey(columns=("note_id",), references="app_notes", keys=("id",), on_delete="cascade"),),
    indexes=(
        FloorIndex(columns=("id",), unique=True),
        FloorIndex(columns=("kind", "body"), unique=True),
        FloorIndex(columns=("lower(body)",), name="app_marks_lower"),
        FloorIndex(columns=("embedding",), method="ivfflat", parameters={"lists": 100}),
    ),
    enums={"kind": ("github",), "state": ("new", "old")},
    comment="Mærker",
)
POLICIES = (
    Policy(name="does all", command="ALL", roles=("service_role",), using="true", check="true"),
    Policy(name="reads", command="SELECT", roles=("authenticated",), using="true"),
)
MOVES = (
    Move(app="app", sources=("notes",), target="app_notes"),
    Move(app="app", sources=("app_marks", "marks"), target="app_marks", policies=POLICIES, floor=FLOOR),
)
SOURCE = """
CREATE TYPE public.kind AS ENUM ('local', 'github');
CREATE TABLE public.notes (id int PRIMARY KEY, body text, kind public.kind);
CREATE TABLE public.maerker (id int);
CREATE FUNCTION public.own_number() RETURNS int LANGUAGE sql AS 'SELECT 7';
INSERT INTO public.notes SELECT n, 'note ' || n, 'local' FROM generate_series(1, 20) AS n;
"""
MADE = "(not on the source: made empty from the plan's DDL)"
WALK = ("create", "copy", "attach", "weigh", "index", "search", "rows", "access")


def world(source: SupabaseDatabase, target: SupabaseDatabase, folder: Path, moves: tuple[Move, ...] = MOVES) -> Moving:
    return Moving(plan_of(source, target, moves), source, target, folder)


@pytest.fixture
def moving(source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path) -> Moving:
    return world(source_database, target_database, tmp_path)


async def test_a_table_that_the_source_lacks_is_made_empty_when_the_operator_says_so(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    before = await dump(moving.target)
    preflight = await moving.go("preflight")
    assert any("the source has none of app_marks, marks" in fact for fact in preflight.facts)
    picking = Picking(moving, "Make it empty")
    compared = await moving.go("compare")
    assert "maerker" in picking.seen[0].text, "a table that may be meant is named"
    assert compared.verdict is Verdict.PASSED
    assert f"moves: table public.app_marks {MADE}" in compared.facts
    shown = await moving.shown("create")
    assert 'CREATE TABLE "public"."app_marks"' in shown
    assert "GRANT SELECT ON TABLE" in shown
    seen = {name: await moving.go(name) for name in WALK}
    assert {name: each.verdict for name, each in seen.items()} == dict.fromkeys(WALK, Verdict.PASSED), seen
    assert "floor: primary key of app_marks on id: added, the source has none" in seen["create"].facts
    assert "floor: foreign key of app_marks on note_id to app_notes: added, the source has none" in seen["attach"].facts
    for name in ("copy", "rows"):
        assert seen[name].summary.endswith("not on the source, made empty: app_marks"), seen[name]
        assert any("it is empty there, as the plan makes it" in fact for fact in seen[name].facts)
    assert "  authenticated: SELECT" in seen["access"].facts
    assert "  anon: nothing" in seen["access"].facts
    assert await value(moving.target, "SELECT count(*) FROM pg_indexes WHERE tablename = 'app_marks'") == 3
    again = await moving.step("create").verify(moving.context)
    assert again == seen["create"]
    await moving.take_back("index", "attach", "copy", "create")
    assert await dump(moving.target) == before


async def test_a_table_that_the_source_lacks_stays_undecided_where_nobody_says_so(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    compared = await moving.go("compare")
    assert compared.verdict is Verdict.DIFFERS
    assert compared.summary == "not on the source: app_marks"
    assert "tables of the source that no move takes: maerker" in compared.facts
    with pytest.raises(MigrationError, match="There is no table to move to app_marks"):
        await moving.step("create").preview(moving.context)
    assert await value(moving.target, "SELECT to_regclass('public.app_notes')") is None


async def test_a_plan_can_say_beforehand_that_a_table_may_be_absent(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path
) -> None:
    moves = (MOVES[0], msgspec.structs.replace(MOVES[1], may_be_absent=True))
    moving = world(source_database, target_database, tmp_path, moves)
    await run(moving.source, SOURCE)
    picking = Picking(moving)
    assert (await moving.go("compare", "create")).verdict is Verdict.PASSED
    assert [question.title for question in picking.seen] == ["What becomes of everything that hangs on the tables"]
    assert MADE in picking.seen[0].text
    assert await value(moving.target, "SELECT count(*) FROM public.app_marks") == 0


async def test_a_source_with_none_of_the_tables_is_refused_whatever_the_plan_allows(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path
) -> None:
    moves = (MOVES[0], msgspec.structs.replace(MOVES[1], may_be_absent=True))
    moving = world(source_database, target_database, tmp_path, moves)
    for name in ("preflight", "compare"):
        with pytest.raises(MigrationError, match="none of: notes, app_marks, marks"):
            await moving.step(name).verify(moving.context)


async def test_a_floor_without_columns_says_which_key_is_missing(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path
) -> None:
    moving = world(
        source_database, target_database, tmp_path, (MOVES[0], msgspec.structs.replace(MOVES[1], floor=Floor()))
    )
    await run(moving.source, SOURCE)
    with pytest.raises(MigrationError, match=r"moves\[1\]\.floor\.columns"):
        await moving.go("compare")


async def test_rows_written_to_a_made_table_are_told_and_never_go_unseen(
    moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(moving.source, SOURCE)
    Picking(moving, "Make it empty")
    await moving.go("compare", "create", "copy", "attach", "rows")
    await run(moving.target, "INSERT INTO public.app_marks (note_id) VALUES (1), (2)")
    for step in (RowsKept(moving.plan, moving.plan.phases[0]), LateWrites(moving.plan, moving.plan.phases[0])):
        seen = await step.verify(moving.context)
        assert seen.verdict is Verdict.PASSED
        assert seen.summary.endswith("made empty: app_marks (2 rows)"), seen
    note_cut_over(moving.context, "app")
    with pytest.raises(WorldChangedError, match="still uses the target"):
        await moving.step("copy").preview_revert(moving.context)
    env = await moving.step("env").preview_revert(moving.context)
    assert "2 rows were written to it at the target; they stay there" in str(env.actions)
    forget_cut_over(moving.context, "app")
    preview = await moving.step("copy").preview_revert(moving.context)
    assert any("2 rows were written to it at the target" in line for line in preview.destroys)
    assert preview.typed_name, "they exist nowhere else"

    async def written_meanwhile(context: Context, moves: Sequence[PlacedMove]) -> tuple[TableOutcome, ...]:
        """Compare, and write a row before anybody goes on."""
        found = await written_since(context, moves)
        await run(moving.target, "INSERT INTO public.app_notes VALUES (99)")
        return found

    monkeypatch.setattr("tekup_migrate.phases.rows.written_since", written_meanwhile)
    preview = await moving.step("copy").preview_revert(moving.context)
    assert '"public"."app_notes" is being written to: 20 rows became 21' in preview.destroys
    await run(moving.target, "INSERT INTO public.app_notes VALUES (100)")
    with pytest.raises(WorldChangedError, match="21 rows became 22"):
        await moving.step("copy").revert(moving.context)
    assert await value(moving.target, "SELECT count(*) FROM public.app_notes") == 22
    assert '"public"."app_notes": 21 rows' in preview.destroys
    await run(moving.target, "DROP TABLE public.app_marks")
    moves = all_moves(moving.context)
    gone = with_made(rows_evidence(await compare(moving.context, moves)), await made_tables(moving.context, moves))
    assert gone.verdict is Verdict.DIFFERS
    assert gone.summary == "app_marks: not at the target"


async def test_a_table_that_comes_to_the_source_afterwards_is_not_taken_for_absent(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    Picking(moving, "Make it empty")
    await moving.go("compare", "create", "copy")
    await run(moving.source, "CREATE TABLE public.marks (id uuid PRIMARY KEY)")
    evidence = await moving.step("copy").verify(moving.context)
    assert evidence.verdict is Verdict.DIFFERS
    assert any(fact.startswith("app_marks: it came to the source since") for fact in evidence.facts)


async def test_a_made_table_whose_name_is_taken_gets_another_and_refers_to_its_parent_wherever_that_went(
    moving: Moving,
) -> None:
    await run(moving.source, SOURCE)
    await run(moving.target, "CREATE TABLE public.app_marks (id int); CREATE TABLE public.app_notes (id int UNIQUE)")
    before = await dump(moving.target)
    moving.operator.texts = ['"Ny Skøle".Mærker']
    Picking(moving, "Make it empty", "Create it as app_notes_2", "a schema and a name")
    for name in ("compare", "create", "copy", "attach", "rows"):
        seen = await moving.go(name)
        assert seen.verdict is Verdict.PASSED, seen
    marks = '\'"Ny Skøle"."Mærker"\'::regclass'
    referring = f"SELECT confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND conrelid = {marks}"
    assert await value(moving.target, referring) == "app_notes_2", "a stranger's table has the parent's name"
    assert await value(moving.target, f"SELECT count(*) FROM pg_policy WHERE polrelid = {marks}") == 2
    await run(moving.target, 'SET ROLE service_role; INSERT INTO "Ny Skøle"."Mærker" (note_id) VALUES (1)')
    assert await value(moving.target, 'SELECT number FROM "Ny Skøle"."Mærker"') == 1
    await moving.take_back("attach", "copy", "create")
    assert await dump(moving.target) == before


async def test_a_floor_that_is_there_but_of_another_type_or_key_is_a_conflict(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    Picking(moving, "Make it empty")
    await moving.go("compare", "create")
    context = replace(moving.context, memory=moving.context.memory)
    await run(
        moving.target,
        "ALTER TABLE public.app_marks ALTER body TYPE text",
        "ALTER TABLE public.app_marks DROP CONSTRAINT app_marks_pkey, ADD PRIMARY KEY (id, number)",
    )
    evidence = await moving.step("create").verify(context)
    assert evidence.verdict is Verdict.DIFFERS
    assert any("the target has another table public.app_marks already" in fact for fact in evidence.facts)
    assert any("another constraint app_marks_pkey" in fact for fact in evidence.facts)


async def test_the_built_in_floor_makes_each_of_its_tables_from_nothing(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path
) -> None:
    built_in = [msgspec.structs.replace(move, app="app", may_be_absent=True) for move in read_plan(BUILT_IN).moves]
    moving = world(source_database, target_database, tmp_path, (MOVES[0], *built_in))
    await run(moving.source, SOURCE)
    assert (await moving.go("compare", "create")).verdict is Verdict.PASSED
    assert (await moving.go("copy", "attach")).verdict is Verdict.PASSED
    for move in built_in:
        columns = (
            "SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute"
            f" WHERE attnum > 0 AND attrelid = '{move.target}'::regclass"
        )
        assert await value(moving.target, columns) == [column.name for column in move.floor.columns]
        policies = f"SELECT count(*) FROM pg_policies WHERE tablename = '{move.target}'"
        assert await value(moving.target, policies) == len(move.policies)
        unique = f"SELECT count(*) FROM pg_index WHERE indisunique AND indrelid = '{move.target}'::regclass"
        assert await value(moving.target, unique) == 1 + sum(index.unique for index in move.floor.indexes)
    labels = "SELECT enum_range(NULL::source_type)::text || enum_range(NULL::sync_status)::text"
    assert await value(moving.target, labels) == "{github,supabase,chatgpt}{pending,in_progress,success,error}"


async def test_a_floor_refers_to_a_table_of_another_app_wherever_that_went(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path
) -> None:
    keys = (FloorForeignKey(columns=("note_id",), references="app_notes", keys=("id",)),)
    floor = Floor(columns=(FloorColumn(name="note_id", type="int"),), foreign_keys=keys)
    moves = (
        msgspec.structs.replace(MOVES[0], app="other"),
        Move(app="app", sources=("maerker",), target="app_maerker"),
        Move(app="app", sources=("marks",), target="app_marks", floor=floor, may_be_absent=True),
    )
    moving = world(source_database, target_database, tmp_path, moves)
    await run(moving.source, SOURCE)
    await run(moving.target, "CREATE SCHEMA apart; CREATE TABLE apart.notes (id int UNIQUE)")
    await run(moving.target, "CREATE TABLE public.app_notes (id int UNIQUE)")
    decide(moving.context, "other", ObjectKey(Kind.TABLE, "public", "notes"), Choice.PLACE, "apart.notes")
    assert (await moving.go("compare", "create", "attach")).verdict is Verdict.PASSED
    referring = "SELECT confrelid::regclass::text FROM pg_constraint WHERE conrelid = 'app_marks'::regclass"
    assert await value(moving.target, f"{referring} AND contype = 'f'") == "apart.notes"
