"""Everything that hangs on the moved tables is found, and each thing is told what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Policy
from tekup_migrate.postgres.catalog import ObjectKey, read_catalog
from tekup_migrate.postgres.comparison import (
    Bring,
    Disposition,
    Item,
    LeaveBehind,
    NewName,
    Resolution,
    Share,
    TableMove,
    access_differences,
)
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.transplant import Created, TransplantPlan, apply_after, apply_before, plan_transplant, undo
from tekup_migrate.postgres.vector_index import Method, build, recommendations, server_memory
from tekup_migrate.rehearsal.supabase import SupabaseDatabase, connect_as_superuser
from tests.postgres.transplant.judge import connected, dump
from tests.servers import SharedServer

MOVE = TableMove(Relation("public", "documents"), Relation("public", "app_documents"))
SOURCE = """
CREATE TYPE public.source_type AS ENUM ('pdf', 'github', 'local');
CREATE FUNCTION public.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.updated_at = now(); RETURN NEW; END $$;
CREATE TABLE public.documents (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), source public.source_type NOT NULL, body text,
    embedding extensions.vector(3), updated_at timestamptz DEFAULT now()
);
CREATE INDEX documents_source ON public.documents (source);
CREATE TRIGGER touched BEFORE UPDATE ON public.documents FOR EACH ROW
    EXECUTE FUNCTION public.update_updated_at_column();
CREATE FUNCTION public.match_documents(query extensions.vector(3), match_count int) RETURNS TABLE (id uuid)
    LANGUAGE plpgsql STABLE SET search_path TO 'public', 'extensions' AS $$ BEGIN
    -- the nearest documents
    RETURN QUERY SELECT documents.id FROM documents WHERE documents.source <> 'pdf'::source_type
        ORDER BY documents.embedding <=> query LIMIT match_count; END $$;
"""
OTHER_FUNCTION = """
CREATE FUNCTION public.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'
"""


async def planned(
    source: SupabaseDatabase,
    target: SupabaseDatabase,
    moves: tuple[TableMove, ...] = (MOVE,),
    resolutions: Mapping[ObjectKey, Resolution] | None = None,
) -> TransplantPlan:
    async with connected(source) as there, connected(target) as here:
        return await plan_transplant(there, here, moves, resolutions)


async def applied(target: SupabaseDatabase, plan: TransplantPlan) -> list[Created]:
    journal: list[Created] = []
    async with connected(target) as here:
        await apply_before(here, plan, record=journal.extend)
        await apply_after(here, plan, record=journal.extend)
    return journal


async def run(database: SupabaseDatabase, sql: str) -> None:
    async with connected(database) as connection:
        await connection.execute(sql)


async def as_superuser(*statements: tuple[SharedServer, SupabaseDatabase, str]) -> None:
    for server, database, sql in statements:
        superuser = await connect_as_superuser(server.server, database.database)
        try:
            await superuser.execute(sql)
        finally:
            await superuser.close()


def item(plan: TransplantPlan, name: str) -> Item:
    return next(each for each in plan.items if each.key.name == name)


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


async def test_what_hangs_on_other_tables_stays_behind_with_a_reason(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE)
    await run(
        source_database,
        """
        CREATE TABLE public.people (id int PRIMARY KEY, document uuid REFERENCES public.documents);
        ALTER TABLE public.documents ADD COLUMN person int REFERENCES public.people;
        CREATE POLICY theirs ON public.people USING (EXISTS (SELECT FROM public.documents));
        CREATE VIEW public.joined AS SELECT d.id FROM public.documents AS d JOIN public.people ON true;
        CREATE POLICY ours ON public.documents TO pg_monitor USING (true);
        CREATE ROLE reader_of_notes; CREATE POLICY unknown ON public.documents TO reader_of_notes USING (true);
        CREATE PUBLICATION live FOR TABLE public.documents;
        """,
    )
    try:
        plan = await planned(source_database, target_database)
    finally:
        await run(source_database, "DROP POLICY unknown ON public.documents; DROP ROLE reader_of_notes")
    stays = {each.key.name: each.reason for each in plan.comparison.with_disposition(Disposition.STAYS)}
    assert stays["people_document_fkey"] == "public.people does not move"
    assert "public.people" in stays["documents_person_fkey"]
    assert stays["theirs"] == "public.people does not move"
    assert "public.people" in stays["joined"]
    assert stays["unknown"] == "the target has no role reader_of_notes"
    assert stays["live"] == "the target has no publication of that name"
    assert "of the source project" in stays
    assert item(plan, "ours").disposition is Disposition.MOVES
    await applied(target_database, plan)


async def test_a_trigger_whose_function_would_look_for_a_table_in_vain_stays_behind(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(
        source_database,
        SOURCE
        + """
        CREATE TABLE public.log (id int);
        CREATE FUNCTION public.logs() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO log VALUES (1); RETURN NULL; END $$;
        CREATE TRIGGER logged AFTER INSERT ON public.documents FOR EACH ROW EXECUTE FUNCTION public.logs();
        """,
    )
    plan = await planned(source_database, target_database)
    logged = item(plan, "logged")
    assert logged.disposition is Disposition.STAYS
    assert "public.log, which does not move and is not in the target" in logged.reason
    plan = await planned(source_database, target_database, resolutions={logged.key: Bring()})
    assert {"logged", "logs"} <= {entry.key.name for entry in await applied(target_database, plan)}


async def test_a_function_that_would_look_for_a_table_in_vain_is_told_wherever_it_is_used(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(
        source_database,
        SOURCE
        + """
        CREATE TABLE public.counters (n int); CREATE TABLE public.log (n int);
        CREATE FUNCTION public.next_number() RETURNS int LANGUAGE plpgsql AS
            $$ BEGIN RETURN (SELECT max(n) FROM counters); END $$;
        ALTER TABLE public.documents ADD COLUMN number int DEFAULT public.next_number();
        CREATE FUNCTION public.writes() RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (1); END $$;
        CREATE FUNCTION public.logs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM writes(); RETURN NULL; END $$;
        CREATE TRIGGER logged AFTER INSERT ON public.documents FOR EACH ROW EXECUTE FUNCTION public.logs();
        """,
    )
    plan = await planned(source_database, target_database)
    told = "function public.next_number() uses public.counters, which does not move and is not in the target"
    assert item(plan, "next_number").reason == told
    assert told in plan.remarks
    logged = item(plan, "logged")
    assert logged.disposition is Disposition.STAYS
    assert logged.reason.startswith("function public.writes() uses public.log")
    await run(target_database, "CREATE TABLE public.counters (n int)")
    assert told not in (await planned(source_database, target_database)).remarks


async def test_publications_of_a_schema_of_all_tables_and_of_other_roles_are_told_and_leave_undo_alone(
    source_database: SupabaseDatabase,
    target_database: SupabaseDatabase,
    source_server: SharedServer,
    target_server: SharedServer,
) -> None:
    await run(source_database, SOURCE + "CREATE PUBLICATION theirs FOR TABLE public.documents")
    await as_superuser(
        (source_server, source_database, "CREATE PUBLICATION whole FOR TABLES IN SCHEMA public"),
        (source_server, source_database, "CREATE PUBLICATION everything FOR ALL TABLES"),
        (target_server, target_database, "CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION theirs"),
    )
    plan = await planned(source_database, target_database)
    assert {key: item(plan, key).reason for key in ("whole", "everything", "theirs")} == {
        "whole": "the target has no publication of that name",
        "everything": "the target's publication has all tables already",
        "theirs": "the target's publication of that name is another role's",
    }
    made = await applied(target_database, plan)
    async with connected(target_database) as here:
        assert await undo(here, made)


async def test_an_operator_class_which_only_a_superuser_makes_is_told_with_what_needs_it(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, source_server: SharedServer
) -> None:
    await run(source_database, SOURCE)
    made = (
        "CREATE OPERATOR CLASS public.by_length FOR TYPE text USING hash AS"
        " OPERATOR 1 pg_catalog.=, FUNCTION 1 pg_catalog.hashtext(text)"
    )
    await as_superuser((source_server, source_database, made))
    await run(source_database, "CREATE INDEX documents_length ON public.documents USING hash (body public.by_length)")
    plan = await planned(source_database, target_database)
    index = item(plan, "documents_length")
    assert index.disposition is Disposition.STAYS
    assert "it needs operator class public.by_length for access method hash" in index.reason
    assert plan.lost == ()


async def test_a_cast_to_a_type_that_does_not_move_stays_behind_with_a_reason(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE)
    await run(
        source_database,
        "CREATE TYPE public.other AS ENUM ('github'); CREATE CAST (public.other AS text) WITH INOUT AS IMPLICIT;"
        " CREATE CAST (public.source_type AS public.other) WITH INOUT",
    )
    plan = await planned(source_database, target_database)
    cast = item(plan, "public.source_type AS public.other")
    assert cast.disposition is Disposition.STAYS
    assert cast.reason == "it also uses enum type public.other, which does not move"
    assert not [each for each in plan.items if each.key.name == "public.other AS text"]


async def test_a_table_that_cannot_be_made_without_what_stays_behind_is_told(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    await run(source_database, SOURCE)
    kind = item(await planned(source_database, target_database), "source_type").key
    plan = await planned(source_database, target_database, resolutions={kind: LeaveBehind("not wanted")})
    assert plan.lost == ("table public.documents: it needs enum type public.source_type, which stays behind",)


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


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TABLE public.documents (id int) PARTITION BY RANGE (id)", "partitioned"),
        ("CREATE TABLE public.p (id int); CREATE TABLE public.documents () INHERITS (public.p)", "inherits"),
        (
            "CREATE TABLE public.documents (id int); CREATE TABLE public.c () INHERITS (public.documents)",
            "inherit from it",
        ),
        ("CREATE TYPE public.t AS (a int); CREATE TABLE public.documents OF public.t", "typed"),
        ("CREATE VIEW public.documents AS SELECT 1 AS id", "It is a view, not a table"),
        ("CREATE MATERIALIZED VIEW public.documents AS SELECT 1 AS id", "It is a materialized view"),
        ("CREATE SEQUENCE public.documents", "It is a sequence"),
        ("SELECT", "no such table"),
    ],
)
async def test_what_cannot_be_moved_is_refused_in_words(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, sql: str, reason: str
) -> None:
    await run(source_database, sql)
    with pytest.raises(MigrationError) as refusal:
        await planned(source_database, target_database)
    assert reason in refusal.value.happened


async def test_a_foreign_table_is_refused_in_words(
    source_server: SharedServer, source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    superuser = await connect_as_superuser(source_server.server, source_database.database)
    try:
        await superuser.execute(
            "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;"
            "CREATE FOREIGN TABLE public.documents (id int) SERVER far"
        )
    finally:
        await superuser.close()
    with pytest.raises(MigrationError) as refusal:
        await planned(source_database, target_database)
    assert "foreign table" in refusal.value.happened


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
    await applied(target_database, plan)
    async with connected(target_database) as here:
        await here.execute("INSERT INTO public.app_documents (source, embedding) VALUES ('local', '[1,2,3]')")
        assert await here.fetchval("SELECT count(*) FROM public.match_documents('[1,2,3]', 5)") == 1
        assert await here.fetchval("SELECT d FROM public.near") == 0
