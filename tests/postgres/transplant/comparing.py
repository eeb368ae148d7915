"""Two databases to compare: what is in the source, and how a comparison is asked for and applied."""

from __future__ import annotations

from collections.abc import Mapping

from tekup_migrate.postgres.catalog import ObjectKey
from tekup_migrate.postgres.comparison import (
    Item,
    Resolution,
    TableMove,
)
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.transplant import Created, TransplantPlan, apply_after, apply_before, plan_transplant
from tekup_migrate.rehearsal.supabase import SupabaseDatabase, connect_as_superuser
from tests.postgres.transplant.judge import connected
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
