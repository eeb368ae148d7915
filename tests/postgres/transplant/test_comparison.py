"""Everything that hangs on the moved tables is found, and each thing is told what becomes of it."""

from __future__ import annotations

import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.catalog import ObjectKey
from tekup_migrate.postgres.comparison import (
    Bring,
    Disposition,
    LeaveBehind,
    NewName,
    Resolution,
    Share,
)
from tekup_migrate.postgres.transplant import apply_before, undo
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.postgres.transplant.comparing import OTHER_FUNCTION, SOURCE, applied, item, planned, run
from tests.postgres.transplant.judge import connected


async def test_functions_are_found_by_their_bodies_and_their_bodies_follow_the_rename(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE)
    plan = await planned(source_database, target_database)
    assert item(plan, "match_documents").disposition is Disposition.MOVES
    assert item(plan, "update_updated_at_column").disposition is Disposition.MOVES
    diff = item(plan, "match_documents").diff
    assert any(line.startswith("+") and "FROM app_documents WHERE app_documents.source" in line for line in diff)
    assert item(plan, "match_documents").leftovers == ("-- the nearest documents",)
    await applied(target_database, plan)
    async with connected(target_database) as here:
        await here.execute("INSERT INTO public.app_documents (source, embedding) VALUES ('local', '[1,2,3]')")
        assert await here.fetchval("SELECT count(*) FROM public.match_documents('[1,2,3]', 5)") == 1


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("source_type", "CREATE TYPE public.source_type AS ENUM ('x')"),
        (
            "update_updated_at_column",
            OTHER_FUNCTION,
        ),
        (
            "match_documents",
            "CREATE FUNCTION public.match_documents(q extensions.vector, n int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ),
        (
            "documents_source",
            "CREATE TABLE public.other (id int); CREATE INDEX app_documents_source ON public.other (id)",
        ),
        (
            "documents_source",
            "CREATE TABLE public.app_documents (source text);"
            " CREATE INDEX app_documents_source ON public.app_documents USING hash (source)",
        ),
        ("documents_pkey", "CREATE TABLE public.other (id int CONSTRAINT app_documents_pkey PRIMARY KEY)"),
        ("documents", "CREATE TYPE public.app_documents AS ENUM ('x')"),
        ("documents", "CREATE VIEW public.app_documents AS SELECT 1 AS id"),
        ("documents", "CREATE TABLE public.app_documents (id int)"),
    ],
)
async def test_a_name_that_something_else_has_is_found_before_anything_is_created(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, name: str, taken: str
) -> None:
    await run(source_database, SOURCE)
    await run(target_database, taken)
    plan = await planned(source_database, target_database)
    assert name in [conflict.key.name for conflict in plan.conflicts]
    assert item(plan, name).existing
    async with connected(target_database) as here:
        with pytest.raises(MigrationError, match="already taken"):
            await apply_before(here, plan, record=lambda _: None)


async def test_what_is_there_and_equal_is_shared_and_survives_the_undo(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE)
    await run(target_database, SOURCE.partition("CREATE TABLE")[0])
    plan = await planned(source_database, target_database)
    assert item(plan, "source_type").disposition is Disposition.EQUAL
    assert item(plan, "update_updated_at_column").disposition is Disposition.EQUAL
    made = await applied(target_database, plan)
    assert not {"source_type", "update_updated_at_column"} & {entry.key.name for entry in made}


async def test_everything_that_refers_to_a_renamed_type_or_function_follows(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE)
    await run(target_database, "CREATE TYPE public.source_type AS ENUM ('x')")
    await run(
        target_database,
        OTHER_FUNCTION,
    )
    plan = await planned(source_database, target_database)
    assert {c.key.name for c in plan.conflicts} == {"source_type", "update_updated_at_column"}
    resolutions = {c.key: NewName(f"app_{c.key.name}") for c in plan.conflicts}
    plan = await planned(source_database, target_database, resolutions=resolutions)
    assert not plan.conflicts
    await applied(target_database, plan)
    async with connected(target_database) as here:
        column = (
            "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'public.app_documents'::regclass"
        )
        assert await here.fetchval(column + " AND attname = 'source'") == "public.app_source_type"
        trigger = await here.fetchval("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'touched'")
        assert trigger.endswith("EXECUTE FUNCTION public.app_update_updated_at_column()")
        await here.execute("INSERT INTO public.app_documents (source, embedding) VALUES ('local', '[1,2,3]')")
        assert await here.fetchval("SELECT count(*) FROM public.match_documents('[1,2,3]', 5)") == 1
        assert await here.fetchval("SELECT enum_range(NULL::public.source_type)::text") == "{x}"


async def test_what_hangs_on_a_table_that_is_there_already_is_compared_on_its_own_and_can_be_renamed(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE)
    await run(source_database, "CREATE POLICY reads ON public.documents TO anon USING (body <> '')")
    await run(target_database, SOURCE.replace("documents", "app_documents").replace("BEFORE UPDATE", "AFTER UPDATE"))
    await run(target_database, "CREATE POLICY reads ON public.app_documents TO anon USING (true)")
    plan = await planned(source_database, target_database)
    assert item(plan, "documents").disposition is Disposition.EQUAL
    assert {c.key.name for c in plan.conflicts} == {"touched", "reads"}
    resolutions: dict[ObjectKey, Resolution] = {c.key: NewName(f'{c.key.name} "too"') for c in plan.conflicts}
    plan = await planned(source_database, target_database, resolutions=resolutions)
    assert not plan.conflicts
    made = await applied(target_database, plan)
    assert {entry.key.name for entry in made} == {'touched "too"', 'reads "too"', "match_documents"}
    again = await planned(source_database, target_database, resolutions=resolutions)
    assert (again.before, again.after, again.conflicts) == ((), (), ())
    async with connected(target_database) as here:
        await undo(here, made)
        assert await here.fetchval("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == 1


async def test_the_operator_can_share_leave_behind_and_bring(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE)
    await run(
        source_database,
        "CREATE TABLE public.people (id int); CREATE FUNCTION public.mixed() RETURNS bigint LANGUAGE plpgsql AS"
        " 'BEGIN RETURN (SELECT count(*) FROM public.documents, public.people); END'",
    )
    await run(target_database, "CREATE TYPE public.source_type AS ENUM ('github', 'local', 'more', 'pdf')")
    plan = await planned(source_database, target_database)
    mixed = item(plan, "mixed")
    assert (mixed.disposition, mixed.reason) == (Disposition.STAYS, "it also uses public.people, which does not move")
    index = item(plan, "documents_source").key
    resolutions: dict[ObjectKey, Resolution] = {
        item(plan, "source_type").key: Share(),
        index: LeaveBehind("not needed any more"),
        mixed.key: Bring(),
    }
    plan = await planned(source_database, target_database, resolutions=resolutions)
    assert not plan.conflicts
    assert item(plan, "documents_source").reason == "not needed any more"
    assert item(plan, "mixed").disposition is Disposition.MOVES
    made = {entry.key.name for entry in await applied(target_database, plan)}
    assert "mixed" in made
    assert not {"source_type", "app_documents_source"} & made


async def test_the_list_and_its_statements_stay_in_one_order_whatever_the_server_writes_anew(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    again = "CREATE FUNCTION public.{0}() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.documents'"
    await run(source_database, ";".join((SOURCE, again.format("first"), again.format("second"))))
    before = await planned(source_database, target_database)
    await run(source_database, "ALTER FUNCTION public.first() COST 7; ALTER FUNCTION public.first() COST 100")
    after = await planned(source_database, target_database)
    assert [each.key for each in after.items] == [each.key for each in before.items]
    assert (after.before, after.after) == (before.before, before.after)
