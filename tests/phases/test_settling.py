"""The comparison as the operator settles it, and that every later step follows what was decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from tekup_migrate.events import ChunkChanged, TableStarted
from tekup_migrate.phases.backing_up import request_of
from tekup_migrate.phases.since_cut_over import RowsKept
from tekup_migrate.phases.target_state import target_state
from tekup_migrate.real import decisions
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.steps import Sql, Verdict
from tests.phases.moving import Moving, Picking, plan_of, run, value
from tests.phases.notes_world import CARRIED, MOVES, SOURCE
from tests.postgres.transplant.judge import connected, dump


@pytest.fixture
def moving(source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path) -> Moving:
    return Moving(plan_of(source_database, target_database, MOVES), source_database, target_database, tmp_path)


async def test_a_table_whose_name_is_taken_moves_under_another_and_everything_follows(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    await run(moving.target, "CREATE TABLE public.app_notes (theirs int); INSERT INTO public.app_notes VALUES (7)")
    before = await dump(moving.target)
    Picking(moving, "Create it as app_notes_2")
    compared = await moving.go("compare")
    assert compared.verdict is Verdict.PASSED
    assert "moves: table public.notes → table public.app_notes_2" in compared.facts
    await moving.go("create")
    copying = [each for each in (await moving.step("copy").preview(moving.context)).actions if isinstance(each, Sql)]
    reading, writing = (next(each for each in copying if way in each.statement) for way in ("TO STDOUT", "FROM STDIN"))
    assert (reading.where[:6], writing.where[:6]) == ("Source", "Target"), "each with the server that it runs on"
    rows = await moving.go("copy", "attach", "rows")
    assert rows.verdict is Verdict.PASSED, rows
    assert await value(moving.target, "SELECT count(*) FROM public.app_notes_2") == 50
    assert await value(moving.target, "SELECT public.count_notes()") == 50
    assert await value(moving.target, "SELECT theirs FROM public.app_notes") == 7
    assert (await moving.go("access")).verdict is Verdict.PASSED
    # The command that compares later, in a process of its own, knows the name as well.
    assert b"app_notes_2" in decisions(moving.plan, moving.folder)["resolutions:app"]
    await moving.take_back("attach", "copy", "create")
    assert await dump(moving.target) == before


@pytest.mark.parametrize(
    ("offer", "typed", "place"),
    [
        ("Put it into schema app", "", '"app"."app_notes"'),
        ("a schema and a name", '"my schema"."Notes of"', '"my schema"."Notes of"'),
    ],
)
async def test_a_table_whose_name_is_taken_moves_into_another_schema_and_everything_follows(
    moving: Moving, offer: str, typed: str, place: str
) -> None:
    await run(
        moving.source,
        SOURCE,
        "GRANT SELECT ON public.notes TO authenticated; CREATE VIEW public.few AS SELECT * FROM public.notes LIMIT 3",
    )
    await run(moving.source, "ALTER TABLE public.notes ADD mother int REFERENCES public.notes, ADD counted serial")
    await run(moving.target, "CREATE TABLE public.app_notes (theirs int); INSERT INTO public.app_notes VALUES (7)")
    before = await dump(moving.target)
    moving.operator.texts = [typed]
    picking = Picking(moving, offer)
    compared = await moving.go("compare")
    assert compared.verdict is Verdict.PASSED
    shown = place.replace('"', "")
    assert f"moves: table public.notes → table {shown}" in compared.facts
    told = next(option.consequence for option in picking.seen[0].options if "schema app" in option.label)
    assert told.endswith("where that schema is among its exposed ones.")
    rows = await moving.go(*CARRIED)
    assert rows.verdict is Verdict.PASSED, rows
    assert any(fact.startswith(f"{shown}: 50 rows at the source, 50 at the target") for fact in rows.facts)
    drawn = {event.table for event in moving.events if isinstance(event, TableStarted | ChunkChanged)}
    assert drawn == {shown}, "a table of that name in another schema has a map of its own"
    assert await value(moving.target, f"SELECT count(*) FROM {place}") == 50
    assert await value(moving.target, "SELECT public.count_notes()") == 50
    assert await value(moving.target, "SELECT count(*) FROM public.few") == 3
    assert await value(moving.target, "SELECT theirs FROM public.app_notes") == 7
    access = await moving.go("access")
    assert access.verdict is Verdict.PASSED, access
    # What compares or backs up later, in this process or another, knows the place as well.
    memory = decisions(moving.plan, moving.folder)["resolutions:app"]
    assert shown.partition(".")[0].encode() in memory
    request = await request_of(moving.context, "new")
    assert request.schemas == ("public", shown.partition(".")[0])
    async with connected(moving.target) as connection:
        # What is looked at around a push by Prisma.
        assert (await target_state(moving.context, connection)).tables[shown] == 50
    assert (await RowsKept(moving.plan, moving.plan.phases[0]).verify(moving.context)).verdict is Verdict.PASSED
    await run(moving.target, f"UPDATE {place} SET body = 'changed' WHERE id = 1")
    assert (await moving.step("rows").verify(moving.context)).verdict is Verdict.DIFFERS
    preview = await moving.step("copy").preview_revert(moving.context)
    assert any(f"TRUNCATE {place}" in action.statement for action in preview.actions if isinstance(action, Sql))
    await moving.take_back("attach", "copy", "create")
    assert await dump(moving.target) == before


async def test_each_item_of_the_comparison_can_be_changed_and_what_stays_is_reported_with_its_reason(
    moving: Moving,
) -> None:
    await run(moving.source, SOURCE)
    changes = (
        ("index public.notes_body", "Leave it behind"),
        ("function public.mixed()", "Move it too"),
        ("function public.count_notes()", "Put it into schema app"),
        ("enum type public.kind", "Create it as app_kind"),
    )
    answers = [each for item, what in changes for each in ("Change one", item, what)]
    picking = Picking(moving, *answers, "Go on")
    facts = (await moving.go("compare")).facts
    overview = picking.seen[-1].text
    assert overview.index("stays behind: ") < overview.index("moves: "), "what is lost is seen without scrolling"
    assert "stays behind: index public.notes_body → index public.app_notes_body (left behind by the operator)" in facts
    warned = "function public.mixed() uses public.people, which does not move and is not in the target"
    assert f"moves: function public.mixed() ({warned})" in facts
    assert "moves: function public.count_notes() → function app.count_notes()" in facts
    assert "moves: enum type public.kind → enum type public.app_kind" in facts
    assert (await moving.go(*CARRIED)).verdict is Verdict.PASSED
    assert await value(moving.target, "SELECT app.count_notes()") == 50
    assert await value(moving.target, "SELECT to_regclass('public.app_notes_body')") is None


async def test_what_a_moved_table_is_made_of_cannot_stay_behind_and_a_decision_can_be_forgotten(
    moving: Moving,
) -> None:
    await run(moving.source, SOURCE)
    picking = Picking(
        moving,
        *("Change one", "enum type public.kind", "Leave it behind"),
        *("Change one", "index public.notes_body", "Leave it behind"),
        *("Change one", "index public.notes_body", "As it was found"),
    )
    compared = await moving.go("compare")
    assert compared.verdict is Verdict.PASSED
    assert not [fact for fact in compared.facts if "operator" in fact]
    assert any("kind cannot stay behind: table public.notes" in question.text for question in picking.seen)


async def test_every_page_of_items_and_every_answer_fits_a_small_terminal(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    picking = Picking(moving, "Change one", "policy reads", "Leave it as it is")
    await moving.go("compare")
    assert len(picking.seen) > 3
    assert all(len(question.options) <= 7 for question in picking.seen)


async def test_the_operator_can_type_a_name_or_a_schema_and_everything_follows(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    await run(moving.target, "CREATE TYPE public.kind AS ENUM ('x'); CREATE SCHEMA auth_too")
    before = await dump(moving.target)
    moving.operator.texts = [
        "auth.kind",
        "a.b.c",
        "x" * 64,
        '"my schema".Kind of',
        "auth_too.again",
        "counts",
        "notes2",
    ]
    picking = Picking(
        moving,
        "a schema and a name",
        *("Change one", "index public.notes_body", "Type another name"),
        *("Change one", "table public.notes", "Type another name"),
        "Go on",
    )
    facts = (await moving.go("compare")).facts
    assert not picking.labels
    troubles = [request.trouble for request in moving.operator.written]
    assert [bool(trouble) for trouble in troubles] == [False, True, True, True, False, True, False]
    assert "auth: it is Postgres' or Supabase's own" in troubles[1]
    assert "moves: enum type public.kind → enum type my schema.Kind of" in facts
    assert "moves: index public.notes_body → index public.counts" in facts
    assert (await moving.go(*CARRIED)).verdict is Verdict.PASSED
    assert await value(moving.target, 'SELECT enum_range(NULL::"my schema"."Kind of")::text') == "{a,local}"
    assert await value(moving.target, "SELECT count(*) FROM public.notes2 WHERE k = 'local'") == 50
    assert (await moving.go("access")).verdict is Verdict.PASSED
    await moving.take_back("attach", "copy", "create")
    assert await dump(moving.target) == before


async def test_a_reason_is_the_operators_own_words_or_what_is_known_without_them(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    await run(moving.target, "CREATE TABLE public.other (id int); CREATE INDEX app_notes_body ON public.other (id)")
    moving.operator.texts = ["", "nobody calls it any more", ""]
    Picking(
        moving,
        "Leave it behind",
        *("Change one", "function public.count_notes()", "Leave it behind"),
        *("Change one", "enum type public.kind", "Type another name"),
        "Go on",
    )
    facts = (await moving.go("compare")).facts
    by = "left behind by the operator"
    index = f"({by}: the target has another index public.app_notes_body already)"
    assert f"stays behind: index public.notes_body → index public.app_notes_body {index}" in facts
    assert f"stays behind: function public.count_notes() ({by}: nobody calls it any more)" in facts
    assert "moves: enum type public.kind" in facts, "going back from typing changes nothing"


async def test_a_second_table_by_whose_name_the_plan_looks_is_said_to_stay_behind_before_anything_is_created(
    moving: Moving,
) -> None:
    await run(moving.source, SOURCE, "CREATE TABLE public.app_notes (id int PRIMARY KEY)")
    picking = Picking(moving)
    told = "The source has notes as well as app_notes, which the plan names first and which becomes app_notes: "
    assert f"{told}notes stays behind with all its rows" in (await moving.go("compare")).facts
    assert told in picking.seen[0].text
    assert told in await moving.shown("create")


async def test_a_taken_name_that_is_decided_later_stops_before_anything_is_created(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    await run(moving.target, "CREATE TYPE public.kind AS ENUM ('x')")
    Picking(moving)
    evidence = await moving.go("compare")
    assert evidence.verdict is Verdict.DIFFERS
    assert any("already there and different" in fact for fact in evidence.facts)


async def test_a_new_name_that_is_taken_as_well_is_asked_about_again(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    await run(moving.target, "CREATE TYPE public.kind AS ENUM ('x'); CREATE TYPE public.app_kind AS ENUM ('y')")
    # A table's name is a type's name as well: what moves must not take it from what moves.
    moving.operator.texts = ["app_notes"]
    picking = Picking(moving, "Create it as app_kind", "a schema and a name", "Create it as app_notes_2")
    assert (await moving.go("compare")).verdict is Verdict.PASSED
    asked = picking.seen[2]
    assert asked.title == "enum type public.kind cannot become enum type public.app_notes"
    assert asked.text.endswith("table public.notes gets that name as well")
    assert "share" not in [option.id for option in asked.options]
    assert (await moving.go(*CARRIED)).verdict is Verdict.PASSED
    assert await value(moving.target, "SELECT enum_range(NULL::public.app_notes_2)::text") == "{a,local}"


async def test_sequences_that_stand_alone_go_on_and_grants_are_compared_after_the_move(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    await moving.go("compare", "create", "copy", "attach")
    await run(moving.source, "SELECT setval('public.number', 4000)")
    assert 'setval(\'"public"."number"\', 4000, true)' in await moving.shown("rows")
    assert (await moving.go("rows")).verdict is Verdict.PASSED
    assert await value(moving.target, "SELECT nextval('public.number')") == 4001
    await run(moving.source, "SELECT setval('public.number', 5000)")
    assert (await moving.step("rows").verify(moving.context)).verdict is Verdict.DIFFERS
    assert (await moving.go("access")).verdict is Verdict.PASSED
    await run(moving.target, "REVOKE ALL ON SEQUENCE public.number FROM authenticated")
    unlike = await moving.go("access")
    assert unlike.verdict is Verdict.DIFFERS
    assert any("sequence public.number: authenticated lost" in fact for fact in unlike.facts)
