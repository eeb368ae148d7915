"""Event triggers: the source's stay behind with a reason, the target's may refuse or change what is created."""

from __future__ import annotations

import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.comparison import Disposition
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.transplant import Created, apply_before, undo
from tekup_migrate.postgres.vector_index import Method, build, recommend, server_memory, vector_columns
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.postgres.transplant.comparing import SOURCE, applied, as_superuser, item, planned, run
from tests.postgres.transplant.judge import connected, dump
from tests.servers import SharedServer

REFUSE = """
CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'not on a Saturday'; END $$;
"""
ENSURE_RLS = """
CREATE FUNCTION public.rls_auto_enable() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
    DECLARE made record; BEGIN
    FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', made.object_identity);
    END LOOP; END $$;
CREATE EVENT TRIGGER ensure_rls ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')
    EXECUTE FUNCTION public.rls_auto_enable();
"""
"""As Supabase's documentation has it."""


async def as_owner(server: SharedServer, database: SupabaseDatabase, sql: str) -> None:
    """Run SQL as ``postgres``, who may make event triggers on Supabase; here only while a superuser."""
    await as_superuser((server, database, "ALTER ROLE postgres SUPERUSER"))
    try:
        await run(database, sql)
    finally:
        await as_superuser((server, database, "ALTER ROLE postgres NOSUPERUSER"))


async def test_the_sources_own_event_triggers_stay_behind_and_say_what_of_the_moved_they_use(
    source_server: SharedServer, source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE)
    await as_owner(
        source_server,
        source_database,
        REFUSE
        + """
        CREATE FUNCTION public.note_it() RETURNS event_trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.documents (source, body) VALUES ('local', tg_tag); END $$;
        CREATE EVENT TRIGGER "Note it" ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')
            EXECUTE FUNCTION public.note_it();
        CREATE EVENT TRIGGER off ON sql_drop EXECUTE FUNCTION public.refuse();
        ALTER EVENT TRIGGER off DISABLE;
        """,
    )
    platforms = (
        "CREATE FUNCTION extensions.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.watch()"
    )
    await as_superuser((source_server, source_database, platforms))
    plan = await planned(source_database, target_database)
    note, off = item(plan, "Note it"), item(plan, "off")
    assert {note.disposition, off.disposition} == {Disposition.STAYS}
    assert "it acts on the whole database" in off.reason
    assert note.reason.endswith("its function public.note_it() uses table public.documents")
    assert not note.can_move
    assert note.definition == (
        "CREATE EVENT TRIGGER \"Note it\" ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')"
        " EXECUTE FUNCTION public.note_it()"
    )
    assert off.definition.endswith(';\nALTER EVENT TRIGGER "off" DISABLE')
    assert not [each for each in plan.items if each.key.name == "pgrst_ddl_watch"]
    assert plan.remarks == ()


@pytest.mark.parametrize("event", ["ddl_command_start", "ddl_command_end"])
async def test_an_event_trigger_that_refuses_is_named_and_leaves_nothing_until_it_is_out_of_the_way(
    target_server: SharedServer, source_database: SupabaseDatabase, target_database: SupabaseDatabase, event: str
) -> None:
    await run(source_database, SOURCE)
    trigger = f"CREATE EVENT TRIGGER quiet ON {event} WHEN TAG IN ('GRANT') EXECUTE FUNCTION public.refuse()"
    await as_owner(target_server, target_database, REFUSE + trigger)
    before = await dump(target_database)
    plan = await planned(source_database, target_database)
    assert any("event trigger quiet" in remark for remark in plan.remarks)
    with pytest.raises(MigrationError) as refusal:
        await applied(target_database, plan)
    told = f"The event trigger quiet (on {event}, runs public.refuse()) refused it: not on a Saturday."
    assert refusal.value.happened == told
    assert 'ALTER EVENT TRIGGER "quiet" DISABLE' in refusal.value.remedy
    assert refusal.value.details.startswith("GRANT")
    assert await dump(target_database) == before
    await as_owner(target_server, target_database, "ALTER EVENT TRIGGER quiet DISABLE")
    await applied(target_database, await planned(source_database, target_database))


async def test_an_event_trigger_that_refuses_drops_is_named_when_what_was_created_is_taken_back(
    target_server: SharedServer, source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE)
    plan = await planned(source_database, target_database)
    made = await applied(target_database, plan)
    trigger = "CREATE EVENT TRIGGER keep ON sql_drop EXECUTE FUNCTION public.refuse()"
    await as_owner(target_server, target_database, REFUSE + trigger)
    before = await dump(target_database)
    async with connected(target_database) as here:
        with pytest.raises(MigrationError) as refusal:
            await undo(here, made)
    assert "The event trigger keep (on sql_drop, runs public.refuse()) refused it" in refusal.value.happened
    assert await dump(target_database) == before


@pytest.mark.parametrize(
    ("also", "found"),
    [
        ("", '+ALTER TABLE "public"."app_documents" ENABLE ROW LEVEL SECURITY'),
        ("GRANT SELECT ON public.app_documents TO pg_monitor", "app_documents: pg_monitor gained SELECT"),
        ("CREATE POLICY more ON public.app_documents", "policy more on public.app_documents was added to table"),
        ("ALTER TABLE public.app_documents OWNER TO service_role", "is owned by service_role and not by postgres"),
        ("COMMENT ON TABLE public.app_documents IS 'seen'", "table public.app_documents: another comment"),
    ],
)
async def test_an_event_trigger_that_changes_what_is_created_is_told_and_nothing_is_kept(
    target_server: SharedServer,
    source_database: SupabaseDatabase,
    target_database: SupabaseDatabase,
    also: str,
    found: str,
) -> None:
    await run(source_database, SOURCE)
    if also:
        await run(source_database, "ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY")
    sql = ENSURE_RLS.replace("END LOOP;", f"{also or 'NULL'}; END LOOP;")
    await as_owner(target_server, target_database, sql)
    await run(target_database, "GRANT CREATE ON SCHEMA public TO service_role")
    before = await dump(target_database)
    plan = await planned(source_database, target_database)
    journal: list[Created] = []
    async with connected(target_database) as here:
        with pytest.raises(MigrationError, match="An event trigger of the target changed") as refusal:
            await apply_before(here, plan, record=journal.extend)
    assert "ensure_rls (on ddl_command_end, runs public.rls_auto_enable())" in refusal.value.happened
    assert found in refusal.value.details
    assert journal == []
    assert await dump(target_database) == before


async def test_an_event_trigger_that_switches_row_security_on_is_no_matter_where_the_source_has_it_on(
    target_server: SharedServer, source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE + "ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY;")
    await run(source_database, "CREATE MATERIALIZED VIEW public.kept AS SELECT id FROM public.documents")
    await as_owner(target_server, target_database, ENSURE_RLS)
    before = await dump(target_database)
    made = await applied(target_database, await planned(source_database, target_database))
    again = await planned(source_database, target_database)
    assert (again.before, again.after, again.conflicts, again.remarks) == ((), (), (), ())
    async with connected(target_database) as here:
        await undo(here, made)
    assert await dump(target_database) == before


async def test_an_event_trigger_that_refuses_a_vector_index_is_named(
    target_server: SharedServer, target_database: SupabaseDatabase
) -> None:
    await run(target_database, "CREATE TABLE public.notes (id int PRIMARY KEY, embedding extensions.vector(3))")
    trigger = (
        "CREATE EVENT TRIGGER late ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.refuse()"
    )
    await as_owner(target_server, target_database, REFUSE + trigger)
    async with connected(target_database) as here:
        (column,) = await vector_columns(here, [Relation("public", "notes")])
        chosen = recommend(column, await server_memory(here), method=Method.HNSW)
        with pytest.raises(MigrationError) as refusal:
            await build(here, chosen, record=lambda _: None, listen=lambda _: None)
    assert refusal.value.happened.startswith("The event trigger late (on ddl_command_end, runs public.refuse())")
    assert 'ALTER EVENT TRIGGER "late" DISABLE' in refusal.value.remedy
