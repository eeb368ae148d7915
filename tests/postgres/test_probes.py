"""Probing as the API roles tells whether the same rows are visible and the same writes refused."""

from __future__ import annotations

from tekup_migrate.postgres.probes import API_ROLES, Outcome, differences, probe, sample_rows, subjects
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.postgres.transplant.judge import connected

NOTES = Relation("public", "notes")
SCHEMA = """
CREATE TABLE public.notes (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner uuid, body text,
    twice text GENERATED ALWAYS AS (body || body) STORED
);
INSERT INTO public.notes (owner, body)
SELECT CASE WHEN n % 2 = 0 THEN '00000000-0000-4000-8000-00000000000a'::uuid END, 'note ' || n
FROM generate_series(1, 10) AS n;
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.notes FROM anon, authenticated, service_role;
GRANT SELECT, UPDATE ON public.notes TO authenticated;
GRANT ALL ON public.notes TO service_role;
CREATE POLICY own ON public.notes TO authenticated USING (owner = auth.uid());
"""


async def outcomes(
    database: SupabaseDatabase, rows: tuple[str, ...] = (), users: tuple[str, ...] = ()
) -> list[Outcome]:
    async with connected(database) as connection:
        rows = rows or await sample_rows(connection, NOTES)
        users = users or await subjects(connection, NOTES)
        return list(await probe(connection, NOTES, name="notes", rows=rows, users=users))


async def test_each_role_sees_and_writes_what_grants_and_policies_let_it(source_database: SupabaseDatabase) -> None:
    async with connected(source_database) as connection:
        await connection.execute(SCHEMA)
    found = {(o.role, o.subject[-1:], o.action): o.result for o in await outcomes(source_database)}
    assert found["anon", "", "SELECT"] == "refused"
    assert found["anon", "", "INSERT"] == "refused"
    assert found["authenticated", "a", "SELECT"].startswith("5 rows")
    assert found["authenticated", "1", "SELECT"].startswith("0 rows")
    assert found["authenticated", "a", "DELETE"] == "refused"
    assert found["authenticated", "a", "INSERT"] == "refused"
    assert found["authenticated", "a", "UPDATE"] == "2 rows"
    assert found["service_role", "", "SELECT"].startswith("10 rows")
    assert found["service_role", "", "INSERT"] == "allowed"
    assert found["service_role", "", "DELETE"] == "3 rows"


async def test_a_probe_leaves_nothing_behind(source_database: SupabaseDatabase) -> None:
    async with connected(source_database) as connection:
        await connection.execute(SCHEMA)
        query = "SELECT md5(string_agg(n::text, ',' ORDER BY id)) FROM public.notes AS n"
        before = await connection.fetchval(query)
        await outcomes(source_database)
        assert await connection.fetchval(query) == before


async def test_a_missing_policy_or_grant_on_one_side_is_a_difference(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    async with connected(source_database) as there, connected(target_database) as here:
        await there.execute(SCHEMA)
        await here.execute(SCHEMA)
        rows, users = await sample_rows(there, NOTES), await subjects(there, NOTES)
    source = await outcomes(source_database, rows, users)
    assert differences(source, await outcomes(target_database, rows, users)) == ()
    async with connected(target_database) as here:
        await here.execute("DROP POLICY own ON public.notes")
    lost_policy = differences(source, await outcomes(target_database, rows, users))
    assert any("SELECT on notes as authenticated" in text for text in lost_policy)
    async with connected(target_database) as here:
        await here.execute("REVOKE ALL ON public.notes FROM service_role")
    lost_grant = differences(source, await outcomes(target_database, rows, users))
    assert any("service_role" in text and "refused here" in text for text in lost_grant)
    assert {role for role in API_ROLES if any(role in text for text in lost_grant)} == {"authenticated", "service_role"}
