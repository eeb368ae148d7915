"""Rights come from who gave them where that can be, and owners own where that can be; elsewhere it is said why not."""

from __future__ import annotations

import pytest

from tekup_migrate.postgres.catalog import read_catalog
from tekup_migrate.postgres.comparison import access_differences
from tekup_migrate.postgres.transplant import undo
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.postgres.transplant.comparing import MOVE, SOURCE, applied, as_superuser, item, planned, run
from tests.postgres.transplant.judge import connected, dump
from tests.servers import SharedServer

PASSED_ON = SOURCE + "GRANT SELECT ON public.documents TO {by} WITH GRANT OPTION;"


async def unlike(source: SupabaseDatabase, target: SupabaseDatabase) -> tuple[str, ...]:
    plan = await planned(source, target)
    async with connected(source) as there, connected(target) as here:
        return access_differences(await read_catalog(there), await read_catalog(here), plan.items)


@pytest.mark.parametrize(
    ("by", "why"),
    [
        ("pg_checkpoint", "postgres may not act as pg_checkpoint there"),
        ("anon", "anon may not use schema public there"),
    ],
)
async def test_a_right_whose_giver_cannot_give_it_in_the_target_comes_from_the_owner_and_says_why(
    source_server: SharedServer,
    source_database: SupabaseDatabase,
    target_database: SupabaseDatabase,
    by: str,
    why: str,
) -> None:
    await run(source_database, PASSED_ON.format(by=by))
    passed = f"SET ROLE {by}; GRANT SELECT ON public.documents TO pg_monitor"
    await as_superuser((source_server, source_database, passed))
    await run(target_database, "REVOKE USAGE ON SCHEMA public FROM PUBLIC, anon")
    before = await dump(target_database)
    plan = await planned(source_database, target_database)
    assert item(plan, "documents").reason == f"SELECT of pg_monitor comes from the owner: {why}"
    made = await applied(target_database, plan)
    async with connected(target_database) as here:
        assert await here.fetchval("SELECT has_table_privilege('pg_monitor', 'public.app_documents', 'SELECT')")
        assert not [line for line in await unlike(source_database, target_database) if "schema public" not in line]
        await undo(here, made)
    assert await dump(target_database) == before


async def test_a_right_on_a_function_of_a_type_that_its_giver_may_not_look_up_comes_from_the_owner(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(
        source_database,
        SOURCE
        + """
        CREATE SCHEMA app; CREATE TYPE app.kind AS ENUM ('a'); GRANT USAGE ON SCHEMA app TO anon;
        CREATE FUNCTION public.of_kind(app.kind) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.documents';
        GRANT EXECUTE ON FUNCTION public.of_kind(app.kind) TO anon WITH GRANT OPTION;
        SET ROLE anon; GRANT EXECUTE ON FUNCTION public.of_kind(app.kind) TO pg_monitor; RESET ROLE;
        REVOKE USAGE ON SCHEMA app FROM anon;
        """,
    )
    plan = await planned(source_database, target_database)
    why = "EXECUTE of pg_monitor comes from the owner: anon may not use schema app there"
    assert item(plan, "of_kind").reason == why
    await applied(target_database, plan)
    assert await unlike(source_database, target_database) == ()


async def test_a_right_that_comes_from_another_by_now_is_told(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, PASSED_ON.format(by="anon"))
    await run(source_database, "SET ROLE anon; GRANT SELECT ON public.documents TO pg_monitor")
    await applied(target_database, await planned(source_database, target_database))
    assert await unlike(source_database, target_database) == ()
    await run(target_database, "REVOKE SELECT ON public.app_documents FROM anon CASCADE")
    await run(target_database, "GRANT SELECT ON public.app_documents TO anon WITH GRANT OPTION")
    await run(target_database, "GRANT SELECT ON public.app_documents TO pg_monitor")
    assert await unlike(source_database, target_database) == (
        "table public.app_documents: pg_monitor lost SELECT from anon",
        "table public.app_documents: pg_monitor gained SELECT",
    )


@pytest.mark.parametrize(
    ("membership", "why"),
    [
        ("GRANT keeper TO postgres WITH INHERIT FALSE, SET TRUE", "postgres does not inherit from it"),
        ("GRANT keeper TO postgres WITH INHERIT TRUE, SET FALSE", "postgres may not act as it"),
        ("GRANT keeper TO postgres WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", "postgres may not act as it"),
        ("DROP OWNED BY keeper; DROP ROLE keeper", "no such role in the target"),
    ],
)
async def test_an_owner_whose_things_could_not_be_worked_on_in_the_target_does_not_get_them_and_it_is_said(
    source_server: SharedServer, target_server: SharedServer, membership: str, why: str
) -> None:
    async with source_server.fresh_database() as source, target_server.fresh_database() as target:
        for server, database in ((source_server, source), (target_server, target)):
            await as_superuser((server, database, "CREATE ROLE keeper; GRANT ALL ON SCHEMA public TO keeper"))
        try:
            await as_superuser((source_server, source, "GRANT keeper TO postgres"), (target_server, target, membership))
            await run(source, SOURCE + "CREATE VIEW public.seen AS SELECT id FROM public.documents;")
            owned = "ALTER TABLE public.documents OWNER TO keeper; ALTER VIEW public.seen OWNER TO keeper;"
            await run(source, owned + "SET ROLE keeper; GRANT SELECT ON public.documents TO postgres, anon")
            before = await dump(target)
            plan = await planned(source, target)
            assert item(plan, "documents").reason == f"postgres owns it there and not keeper: {why}"
            made = await applied(target, plan)
            async with connected(target) as here:
                await here.execute("INSERT INTO public.app_documents (source) VALUES ('local')")
                assert await here.fetchval("SELECT count(*) FROM public.seen") == 1
                await undo(here, made)
            assert await dump(target) == before
        finally:
            for server, database in ((source_server, source), (target_server, target)):
                gone = "DO $$ BEGIN IF to_regrole('keeper') IS NOT NULL THEN DROP OWNED BY keeper; DROP ROLE keeper;"
                await as_superuser((server, database, gone + " END IF; END $$"))


async def test_whoever_may_set_a_role_without_inheriting_from_it_passes_on_what_it_passed_on(
    source_server: SharedServer, target_server: SharedServer
) -> None:
    async with source_server.fresh_database() as source, target_server.fresh_database() as target:
        both = ((source_server, source), (target_server, target))
        for server, database in both:
            await as_superuser((server, database, "CREATE ROLE passer; GRANT passer TO postgres WITH INHERIT FALSE"))
        try:
            await run(source, PASSED_ON.format(by="passer"))
            await run(source, "SET ROLE passer; GRANT SELECT ON public.documents TO anon WITH GRANT OPTION")
            plan = await planned(source, target, (MOVE,))
            assert item(plan, "documents").reason == ""
            await applied(target, plan)
            acl = "SELECT relacl::text FROM pg_class WHERE relname = 'app_documents'"
            async with connected(target) as here:
                assert "anon=r*/passer" in await here.fetchval(acl)
        finally:
            for server, database in both:
                await as_superuser((server, database, "DROP OWNED BY passer CASCADE; DROP ROLE passer"))
