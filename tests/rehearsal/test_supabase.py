"""The shim behaves as FACTS about the ``postgres`` role say that Supabase does."""

from __future__ import annotations

import asyncpg
import pytest

from tekup_migrate.rehearsal.supabase import SupabaseDatabase

GRANTEES = """
    SELECT DISTINCT grantee::text FROM information_schema.role_table_grants
    WHERE table_schema = 'public' AND table_name = 'notes' AND grantee <> 'postgres' ORDER BY 1
"""


async def test_the_owner_is_no_superuser_but_bypasses_rls(source_database: SupabaseDatabase) -> None:
    connection = await source_database.connect()
    try:
        row = await connection.fetchrow(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
            " FROM pg_roles WHERE rolname = current_user"
        )
        assert row is not None
        assert tuple(row) == (False, True, True, True, True)
        assert await connection.fetchval("SHOW search_path") == '"$user", public, extensions'
        assert await connection.fetchval("SHOW statement_timeout") == "2min"
        assert await connection.fetchval("SHOW extra_float_digits") == "0"
    finally:
        await connection.close()


async def test_a_new_table_is_granted_to_the_api_roles_in_the_old_regime_only(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    granted = []
    for database in (source_database, target_database):
        connection = await database.connect()
        try:
            await connection.execute("CREATE TABLE notes (id bigint PRIMARY KEY)")
            granted.append([row[0] for row in await connection.fetch(GRANTEES)])
        finally:
            await connection.close()
    assert granted == [["anon", "authenticated", "service_role"], []]


@pytest.mark.parametrize("schema", ["auth", "storage", "realtime"])
async def test_the_schemas_of_supabase_take_no_ddl(target_database: SupabaseDatabase, schema: str) -> None:
    connection = await target_database.connect()
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"CREATE TABLE {schema}.mine (id int)")
    finally:
        await connection.close()


async def test_a_foreign_key_into_auth_users_is_allowed(target_database: SupabaseDatabase) -> None:
    connection = await target_database.connect()
    try:
        await connection.execute("CREATE TABLE notes (author uuid REFERENCES auth.users)")
    finally:
        await connection.close()


async def test_auth_answers_from_the_claims_and_is_null_without(target_database: SupabaseDatabase) -> None:
    connection = await target_database.connect()
    ask = "SELECT auth.role(), auth.uid()::text, auth.jwt() ->> 'sub'"
    claims = '{"role": "authenticated", "sub": "7d4bd7b2-4a1e-4b2e-9b7c-0a4f3c1d2e3f"}'
    try:
        unset = await connection.fetchrow(ask)
        assert unset is not None
        assert tuple(unset) == (None, None, None)
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE authenticated")
            await connection.execute("SELECT set_config('request.jwt.claims', $1, true)", claims)
            answered = await connection.fetchrow(ask)
        assert answered is not None
        sub = "7d4bd7b2-4a1e-4b2e-9b7c-0a4f3c1d2e3f"
        assert tuple(answered) == ("authenticated", sub, sub)
    finally:
        await connection.close()


async def test_vector_lives_in_extensions_and_triggers_can_be_silenced(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase
) -> None:
    for database in (source_database, target_database):
        connection = await database.connect()
        try:
            assert await connection.fetchval("SELECT '[1,2]'::vector <-> '[1,4]'::extensions.vector") == 2
            await connection.execute("SET session_replication_role = replica")
        finally:
            await connection.close()


async def test_the_password_needs_percent_encoding_and_the_encoded_url_works(
    source_database: SupabaseDatabase,
) -> None:
    assert "@" in source_database.password.reveal()
    connection = await asyncpg.connect(source_database.url.reveal(), ssl=False)
    await connection.close()
    assert source_database.password.reveal() not in repr(source_database)
