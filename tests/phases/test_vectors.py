"""The vector index as a step: said beforehand, beside traffic where there is any, and taken back after a cut."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import asyncpg
import msgspec
import pytest

from tekup_migrate.errors import PauseRequested
from tekup_migrate.events import Progress
from tekup_migrate.phases.ownership import note_cut_over
from tekup_migrate.plan import Move
from tekup_migrate.plan_floor import Floor, FloorIndex
from tekup_migrate.postgres.catalog.objects import Kind, ObjectKey
from tekup_migrate.postgres.transplant import Created
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.steps import Verdict
from tests.phases.moving import Moving, Picking, plan_of, run, value

FLOOR = Floor(indexes=(FloorIndex(columns=("e",), method="ivfflat", parameters={"lists": 20}),))
MOVES = (Move(app="app", sources=("notes",), target="notes", floor=FLOOR),)
SOURCE = """
CREATE TABLE public.notes (id int PRIMARY KEY, e extensions.vector(3));
CREATE INDEX notes_e ON public.notes USING ivfflat (e extensions.vector_cosine_ops) WITH (lists = 20);
COMMENT ON INDEX public.notes_e IS 'finds';
INSERT INTO public.notes SELECT n, ARRAY[sin(n), cos(n), n % 7]::extensions.vector FROM generate_series(1, 6000) AS n;
"""
STATE = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('public.notes_e')"


@pytest.fixture
async def moving(source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path) -> Moving:
    plan = plan_of(source_database, target_database, MOVES)
    target = msgspec.structs.replace(plan.projects["new"], memory_gb=2.0)
    plan = msgspec.structs.replace(plan, projects={**plan.projects, "new": target})
    await run(source_database, SOURCE)
    return Moving(plan, source_database, target_database, tmp_path)


async def test_the_index_is_said_beforehand_built_measured_and_commented_as_the_source_has_it(moving: Moving) -> None:
    checked = await moving.go("preflight")
    told = next(fact for fact in checked.facts if "building the index of notes.e" in fact)
    assert "hnsw" in told
    assert "The plan says that the server has 2.0 GB of memory" in told
    attached = await moving.go("compare", "create", "copy", "attach")
    assert any("floor: index of notes on e: of the source" in fact for fact in attached.facts)
    picking = Picking(moving)
    await moving.go("weigh")
    assert "The plan says that the server has 2.0 GB of memory" in picking.seen[0].text
    assert "half precision" in picking.seen[0].options[-1].label
    assert "CONCURRENTLY" not in await moving.shown("index")
    assert (await moving.step("index").preview(moving.context)).verb == "Build it"
    assert (await moving.go("index")).verdict is Verdict.PASSED
    assert await value(moving.target, "SELECT obj_description('public.notes_e'::regclass)") == "finds"
    measured = await moving.go("search")
    assert measured.verdict is Verdict.PASSED
    assert any("ivfflat with lists = 20 made before the load would have recall@10" in fact for fact in measured.facts)
    figures = {figure.name: figure.value for figure in measured.figures}
    # The lists of an empty table are drawn by chance, and now and then they are lucky.
    assert figures["notes.e recall@10 before the load"] <= figures["notes.e recall@10 target"]
    for side in ("source", "target"):
        assert {f"notes.e recall@10 {side}", f"notes.e search {side}", f"notes.e exact scan {side}"} <= set(figures)


async def test_a_worse_search_than_the_sources_differs(moving: Moving) -> None:
    await moving.go("compare", "create", "copy", "attach")
    await run(moving.source, "REINDEX INDEX public.notes_e")
    await run(
        moving.target,
        """
        CREATE TABLE public.poor (LIKE public.notes);
        CREATE INDEX notes_e ON public.poor USING ivfflat (e extensions.vector_cosine_ops) WITH (lists = 500);
        INSERT INTO public.poor SELECT * FROM public.notes;
        DROP TABLE public.notes; ALTER TABLE public.poor RENAME TO notes;
        """,
    )
    Picking(moving, "ivfflat")
    await moving.go("weigh")
    assert (await moving.step("search").verify(moving.context)).verdict is Verdict.DIFFERS


async def test_a_table_that_serves_traffic_gets_its_index_beside_it_and_a_cut_off_build_can_be_taken_back(
    moving: Moving,
) -> None:
    await moving.go("compare", "create", "copy", "attach", "weigh")
    note_cut_over(moving.context, "app")
    statement = next(line for line in (await moving.shown("index")).splitlines() if line.startswith("CREATE"))
    assert statement.startswith('CREATE INDEX CONCURRENTLY "notes_e"')
    # What a build notes before it begins, and what is left of it when its session is cut off.
    begun = (Created(ObjectKey(Kind.INDEX, "public", "notes_e"), ""),)
    moving.context.memory.remember("app.index", msgspec.json.encode(begun))
    with pytest.raises(asyncpg.QueryCanceledError):
        await run(moving.target, "SET statement_timeout = '30ms'", statement)
    assert await value(moving.target, STATE) is False
    await moving.take_back("index")
    assert await value(moving.target, STATE) is None
    assert (await moving.go("index")).verdict is Verdict.PASSED
    assert await value(moving.target, STATE) is True


async def test_an_index_of_half_precision_is_built_when_it_is_chosen(moving: Moving) -> None:
    await moving.go("compare", "create", "copy", "attach")
    Picking(moving, "No index")
    await moving.go("weigh")
    assert (await moving.step("index").preview(moving.context)).verb == "Go on without an index"
    moving.step("weigh").forget(moving.context)
    Picking(moving, "half precision")
    await moving.go("weigh")
    assert "halfvec(3)" in await moving.shown("index")
    assert (await moving.go("index")).verdict is Verdict.PASSED


FUNCTION = """
CREATE FUNCTION public.match(query extensions.vector, match_count int) RETURNS TABLE (id int) LANGUAGE plpgsql STABLE
AS $$ BEGIN
    PERFORM pg_sleep(0.4) WHERE current_setting('cursor_tuple_fraction') = '0.5';
    RETURN QUERY SELECT n.id FROM public.notes AS n ORDER BY n.e OPERATOR(extensions.<=>) query LIMIT match_count;
END $$
"""
HALF = """
CREATE FUNCTION public.match(query extensions.vector, top_k int, max_results int) RETURNS TABLE (id int)
LANGUAGE plpgsql STABLE AS $$ BEGIN
    RETURN QUERY SELECT n.id FROM public.notes AS n ORDER BY n.e OPERATOR(extensions.<=>) query
    LIMIT top_k / CASE current_setting('enable_indexscan') WHEN 'on' THEN 2 ELSE 1 END;
END $$
"""
SIGNED_IN = """
CREATE FUNCTION public.match_own(query extensions.vector, match_count int) RETURNS TABLE (id int) LANGUAGE plpgsql STABLE
AS $$ BEGIN
    IF auth.uid() IS NULL THEN RAISE EXCEPTION 'sign in first'; END IF;
    RETURN QUERY SELECT n.id FROM public.notes AS n ORDER BY n.e OPERATOR(extensions.<=>) query LIMIT match_count;
END $$
"""
SLOW = (
    "DO $$ BEGIN EXECUTE format('ALTER ROLE postgres IN DATABASE %I SET cursor_tuple_fraction = {}',"
    " current_database()); END $$"
)
NOTES = "app.search:measured"


async def test_a_pause_while_the_apps_function_is_asked_takes_hold_at_once_and_keeps_what_was_measured(
    moving: Moving,
) -> None:
    await run(moving.source, "DELETE FROM public.notes WHERE id > 400", FUNCTION, HALF, SIGNED_IN, SLOW.format(0.5))
    await moving.go("compare", "create", "copy", "attach", "weigh")
    search, memory = moving.step("search"), moving.context.memory

    async def pause_in_the_function() -> float:
        """Ask for a pause once the function is being asked; return how long it took to take hold."""
        measuring = asyncio.ensure_future(search.verify(moving.context))
        while not any(isinstance(event, Progress) and event.done == 2 for event in moving.events):
            assert not measuring.done()
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        asked = time.perf_counter()
        moving.context.gate.request()
        with pytest.raises(PauseRequested):
            await measuring
        moving.context.gate.open()
        return time.perf_counter() - asked

    assert await pause_in_the_function() < 2
    noted = memory.recall(NOTES)
    assert noted is not None
    assert b"notes.e: the index" in noted
    assert b"match" not in noted, "what was cut off is asked anew"
    marked = noted.replace(b"tried in a temporary table", b"kept over the pause")
    memory.remember(NOTES, marked)
    await run(moving.source, SLOW.format(0.1))
    measured = await search.verify(moving.context)
    assert measured.verdict is Verdict.PASSED
    assert any("kept over the pause" in fact for fact in measured.facts)
    refused = "match_own: could not be measured: sign in first, says the source; sign in first, says the target"
    assert refused in measured.facts, "a function that refuses our searches on both sides is told, and stops nothing"
    found = {figure.name: figure.value for figure in measured.figures}
    half = found["match(extensions.vector, integer, integer) recall@10 source"]
    assert found["match(extensions.vector, integer) recall@10 source"] > 0.5 >= half, "it has the same name only"
    assert memory.recall(NOTES) is None, "the next time all is measured anew"

    memory.remember(NOTES, marked)
    await run(moving.source, "REINDEX INDEX public.notes_e")
    anew = await search.verify(moving.context)
    assert not any("kept over the pause" in fact for fact in anew.facts), "another index: measured anew"
