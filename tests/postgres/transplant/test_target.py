"""What the target has of its own is reckoned with: schemas, extensions, grants, policies and vector indexes."""

from __future__ import annotations

import pytest

from tekup_migrate.plan import Policy
from tekup_migrate.postgres.catalog import read_catalog
from tekup_migrate.postgres.comparison import (
    Disposition,
    NewName,
    TableMove,
    access_differences,
)
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.transplant import Created, apply_after, apply_before, undo
from tekup_migrate.postgres.vector_index import Method, build, recommendations, server_memory
from tekup_migrate.rehearsal.supabase import SupabaseDatabase, connect_as_superuser
from tests.postgres.transplant.comparing import MOVE, SOURCE, applied, item, planned, run
from tests.postgres.transplant.judge import connected, dump
from tests.servers import SharedServer


async def test_a_table_and_a_type_can_move_to_a_schema_that_is_made_for_them(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    before = await dump(target_database)
    await run(source_database, SOURCE)
    move = TableMove(MOVE.source, Relation("app data", "documents"))
    plan = await planned(source_database, target_database, (move,))
    resolutions = {item(plan, "source_type").key: NewName("source_type", "app data")}
    plan = await planned(source_database, target_database, (move,), resolutions)
    made = await applied(target_database, plan)
    async with connected(target_database) as here:
        insert = 'INSERT INTO "app data".documents (source, embedding) VALUES ($1, $2::text::extensions.vector)'
        await here.execute(insert, "local", "[1,2,3]")
        assert await here.fetchval("SELECT has_schema_privilege('service_role', 'app data', 'USAGE')")
        assert await here.fetchval("SELECT count(*) FROM public.match_documents('[1,2,3]', 5)") == 1
        await undo(here, made)
    assert await dump(target_database) == before


async def test_a_materialized_view_that_a_policy_needs_is_filled_once_the_rows_are_there(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(
        source_database,
        SOURCE
        + """
        CREATE MATERIALIZED VIEW public.z_first AS SELECT id FROM public.documents;
        CREATE VIEW public.middle AS TABLE public.z_first;
        CREATE MATERIALIZED VIEW public.a_last AS TABLE public.middle;
        CREATE FUNCTION public.known(uuid) RETURNS boolean LANGUAGE sql STABLE
            RETURN EXISTS (SELECT FROM public.a_last WHERE a_last.id = $1);
        CREATE POLICY known ON public.documents FOR UPDATE USING (public.known(id));
        """,
    )
    before = await dump(target_database)
    async with connected(target_database) as here:
        made: list[Created] = []
        await apply_before(here, await planned(source_database, target_database), record=made.extend)
        await here.execute("INSERT INTO public.app_documents (source) VALUES ('local')")
        # A step of its own, which plans anew.
        late: list[Created] = []
        await apply_after(here, await planned(source_database, target_database), record=late.extend)
        assert await here.fetchval("SELECT count(*) FROM public.a_last") == 1
        assert not {"a_last", "z_first"} & {entry.key.name for entry in late}
        again = await planned(source_database, target_database)
        assert (again.before, again.after) == ((), ())
        await undo(here, late)
        await undo(here, made)
    assert await dump(target_database) == before


async def test_grants_that_were_lost_or_gained_since_are_told(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE + "GRANT SELECT (body) ON public.documents TO pg_monitor")
    plan = await planned(source_database, target_database)
    await applied(target_database, plan)
    async with connected(source_database) as there, connected(target_database) as here:
        source = await read_catalog(there)
        assert access_differences(source, await read_catalog(here), plan.items) == ()
        await here.execute(
            "REVOKE SELECT ON public.app_documents FROM anon; GRANT UPDATE (body) ON public.app_documents TO anon"
        )
        await here.execute("COMMENT ON TABLE public.app_documents IS 'mine'; DROP INDEX public.app_documents_source")
        found = access_differences(source, await read_catalog(here), plan.items)
    assert "table public.app_documents: anon lost SELECT" in found
    assert "table public.app_documents, column body: anon gained UPDATE" in found
    assert "table public.app_documents: another comment" in found
    assert "index public.app_documents_source is not in the target" in found


FLOOR = (
    Policy(name="Service role can do everything", command="ALL", roles=("service_role",), using="true", check="true"),
    Policy(name="Authenticated users can read", command="SELECT", roles=("authenticated",), using="true"),
)


@pytest.mark.parametrize(
    ("has", "names"),
    [
        ("SELECT", set()),
        ("ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY", set()),
        (
            'CREATE POLICY "Authenticated users can read" ON public.documents FOR SELECT TO authenticated USING (true)',
            set(),
        ),
        (
            "CREATE POLICY \"Service role can do everything\" ON public.documents USING (auth.role() = 'service_role')",
            {"Service role can do everything (plan)"},
        ),
    ],
)
async def test_the_plans_policies_exist_at_the_end_whatever_the_source_has(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, has: str, names: set[str]
) -> None:
    await run(source_database, SOURCE + has)
    move = TableMove(MOVE.source, MOVE.target, FLOOR)
    plan = await planned(source_database, target_database, (move,))
    await applied(target_database, plan)
    async with connected(target_database) as here:
        found = {row["policyname"] for row in await here.fetch("SELECT policyname FROM pg_policies")}
        assert found == {policy.name for policy in FLOOR} | names
        assert await here.fetchval("SELECT relrowsecurity FROM pg_class WHERE relname = 'app_documents'")
    again = await planned(source_database, target_database, (move,))
    assert again.before == ()
    assert not again.conflicts


async def test_a_vector_index_that_was_built_otherwise_is_no_conflict_when_it_is_planned_again(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    index = "CREATE INDEX documents_embedding ON public.documents USING ivfflat (embedding extensions.vector_l2_ops)"
    await run(source_database, SOURCE + index)
    plan = await planned(source_database, target_database)
    assert [index.key.name for index in plan.vector_indexes] == ["documents_embedding"]
    await applied(target_database, plan)
    async with connected(target_database) as here:
        vectors = "SELECT 'local', ARRAY[n, 1, 2]::extensions.vector FROM generate_series(1, 6000) AS n"
        await here.execute("INSERT INTO public.app_documents (source, embedding) " + vectors)
        (chosen,) = await recommendations(here, plan, [MOVE.target], await server_memory(here))
        assert (chosen.method, chosen.metric, chosen.name) == (Method.HNSW, "l2", "app_documents_embedding")
        await build(here, chosen, record=lambda _: None, listen=lambda _: None)
    again = await planned(source_database, target_database)
    assert not again.conflicts
    assert again.after == ()
    assert [index.key.name for index in again.vector_indexes] == ["documents_embedding"]


async def test_a_missing_extension_is_installed_where_the_target_keeps_extensions(
    target_server: SharedServer, source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    superuser = await connect_as_superuser(target_server.server, target_database.database)
    try:
        await superuser.execute("DROP EXTENSION vector")
    finally:
        await superuser.close()
    await run(source_database, SOURCE)
    plan = await planned(source_database, target_database)
    assert item(plan, "vector").disposition is Disposition.MOVES
    assert 'CREATE EXTENSION "vector" WITH SCHEMA "extensions"' in [statement.sql for statement in plan.before]


async def test_an_extension_that_lives_in_another_schema_is_followed(
    source_server: SharedServer, source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    superuser = await connect_as_superuser(source_server.server, source_database.database)
    try:
        await superuser.execute("ALTER EXTENSION vector SET SCHEMA public")
    finally:
        await superuser.close()
    sql = SOURCE.replace("extensions.vector", "public.vector").replace("query LIMIT", "query::public.vector LIMIT")
    await run(
        source_database,
        sql + "CREATE VIEW public.near AS SELECT embedding OPERATOR(public.<=>) '[1,2,3]' AS d FROM public.documents",
    )
    plan = await planned(source_database, target_database)
    assert not plan.conflicts
    before = await dump(target_database)
    made = await applied(target_database, plan)
    again = await planned(source_database, target_database)
    assert (again.before, again.after, again.conflicts) == ((), (), ())
    async with connected(target_database) as here:
        await here.execute("INSERT INTO public.app_documents (source, embedding) VALUES ('local', '[1,2,3]')")
        assert await here.fetchval("SELECT count(*) FROM public.match_documents('[1,2,3]', 5)") == 1
        assert await here.fetchval("SELECT d FROM public.near") == 0
        await undo(here, made)
    assert await dump(target_database) == before
