"""What stays behind, or cannot be moved at all, is told with its reason before anything is created."""

from __future__ import annotations

import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.comparison import (
    Bring,
    Disposition,
    LeaveBehind,
)
from tekup_migrate.postgres.transplant import undo
from tekup_migrate.rehearsal.supabase import SupabaseDatabase, connect_as_superuser
from tests.postgres.transplant.comparing import SOURCE, applied, as_superuser, item, planned, run
from tests.postgres.transplant.judge import connected
from tests.servers import SharedServer


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
