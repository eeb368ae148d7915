"""Undo drops exactly what was created, and refuses where that would take more."""

from __future__ import annotations

import msgspec
import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.comparison import TableMove
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.transplant import Created, apply_after, apply_before, plan_transplant, undo, undo_statements
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.postgres.transplant.judge import connected, dump

NOTES = Relation("public", "notes")
SOURCE = """
CREATE TYPE public.kind AS ENUM ('a');
CREATE TABLE public.notes (id serial PRIMARY KEY, k public.kind, a text);
CREATE INDEX notes_a ON public.notes (a);
CREATE FUNCTION public.count_notes() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM public.notes $$;
"""


async def moved(source: SupabaseDatabase, target: SupabaseDatabase) -> list[Created]:
    journal: list[Created] = []
    async with connected(source) as there, connected(target) as here:
        await there.execute(SOURCE)
        plan = await plan_transplant(there, here, [TableMove(NOTES, NOTES)])
        await apply_before(here, plan, record=journal.extend)
        await apply_after(here, plan, record=journal.extend)
    return journal


@pytest.mark.parametrize(
    ("since", "named"),
    [
        ("CREATE VIEW public.other AS SELECT a FROM public.notes", "view"),
        ("CREATE TABLE public.other (note int REFERENCES public.notes)", "other_note_fkey"),
        ("CREATE TABLE public.other (k public.kind)", "column k"),
        ("CREATE INDEX mine ON public.notes (a)", "mine"),
        ("CREATE POLICY mine ON public.notes USING (true)", "mine"),
        ("ALTER TABLE public.notes ADD CONSTRAINT mine CHECK (a <> '')", "mine"),
        ("ALTER TABLE public.notes ADD COLUMN b text", "changed"),
        ("ALTER TYPE public.kind ADD VALUE 'b'", "changed"),
        (
            "CREATE OR REPLACE FUNCTION public.count_notes() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
            "changed",
        ),
        ("COMMENT ON TABLE public.notes IS 'mine now'", "changed"),
        (
            "CREATE FUNCTION public.other() RETURNS bigint LANGUAGE plpgsql AS"
            " 'BEGIN RETURN (SELECT count(*) FROM notes); END'",
            "other",
        ),
    ],
)
async def test_undo_refuses_when_something_changed_or_came_to_depend(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, since: str, named: str
) -> None:
    journal = await moved(source_database, target_database)
    async with connected(target_database) as here:
        await here.execute(since)
        before = await dump(target_database)
        with pytest.raises(MigrationError) as refusal:
            await undo(here, journal)
        assert named in refusal.value.details
    assert await dump(target_database) == before


async def test_undoing_twice_and_after_half_was_dropped_by_hand_ends_in_the_same_state(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    before = await dump(target_database)
    journal = await moved(source_database, target_database)
    async with connected(target_database) as here:
        await here.execute("DROP FUNCTION public.count_notes(); DROP INDEX public.notes_a")
        assert await undo(here, journal)
        assert await undo(here, journal) == ()
    assert await dump(target_database) == before


async def test_a_crash_before_the_commit_leaves_nothing_and_the_next_application_makes_all(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    before = await dump(target_database)

    def crash(_: tuple[Created, ...]) -> None:
        raise KeyboardInterrupt

    async with connected(source_database) as there, connected(target_database) as here:
        await there.execute(SOURCE)
        plan = await plan_transplant(there, here, [TableMove(NOTES, NOTES)])
        with pytest.raises(KeyboardInterrupt):
            await apply_before(here, plan, record=crash)
        assert await dump(target_database) == before
        assert await plan_transplant(there, here, [TableMove(NOTES, NOTES)]) == plan


async def test_no_statement_replaces_or_cascades(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    journal = await moved(source_database, target_database)
    assert not [sql for sql in undo_statements(journal) if "CASCADE" in sql]
    assert msgspec.json.decode(msgspec.json.encode(journal), type=list[Created]) == journal


async def test_a_statement_that_postgres_refuses_is_named_and_leaves_nothing(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    async with connected(source_database) as there, connected(target_database) as here:
        await there.execute(SOURCE)
        plan = await plan_transplant(there, here, [TableMove(NOTES, NOTES)])
        await here.execute("CREATE TABLE public.notes (id int)")
        before = await dump(target_database)
        with pytest.raises(MigrationError) as refusal:
            await apply_before(here, plan, record=lambda _: None)
        assert "CREATE" in refusal.value.details
    assert await dump(target_database) == before
