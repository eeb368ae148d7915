"""Makes a plain Postgres server look like Supabase to whoever connects as ``postgres``.

What is copied: the bootstrap superuser is out of reach, ``postgres`` is an ordinary role with CREATEDB,
CREATEROLE, REPLICATION and BYPASSRLS, the API roles exist, ``auth`` answers from the request's claims,
extensions live in ``extensions``, and ``auth``, ``storage`` and ``realtime`` take no DDL.
What is not: event triggers need a superuser here, Supabase lets ``postgres`` make them.
Source: Supabase's published roles and defaults, as of October 2026.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import quote

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.rehearsal.server import EmbeddedServer

if TYPE_CHECKING:
    from asyncpg import Connection, Record

OWNER = "postgres"
"""The role that Supabase gives to the owner of a project."""


class GrantRegime(Enum):
    """What a new table in ``public`` grants to the API roles without being told.

    Supabase switched from the one to the other on 2026-10-30.
    """

    EVERYTHING = "everything"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class SupabaseDatabase:
    """A database of an embedded server that looks like a Supabase project's, as its owner reaches it."""

    host: str
    port: int
    database: str
    user: str
    password: Secret

    @property
    def dsn(self) -> str:
        """The connection URL without the password."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"

    @property
    def url(self) -> Secret:
        """The connection URL with the password percent-encoded, as an app's ``.env`` holds it."""
        password = quote(self.password.reveal(), safe="")
        url = f"postgresql://{self.user}:{password}@{self.host}:{self.port}/{self.database}"
        return Secret(url, kind="connection URL", project=self.password.project)

    async def connect(self, *, application_name: str = "tekup-migrate rehearsal") -> Connection[Record]:
        """Connect as the owner; the caller closes the connection."""
        import asyncpg

        return await asyncpg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password.reveal(),
            database=self.database,
            ssl=False,
            server_settings={"application_name": application_name},
        )


async def connect_as_superuser(server: EmbeddedServer, database: str = "postgres") -> Connection[Record]:
    """Connect as the bootstrap superuser, whom nobody reaches on Supabase; the caller closes it."""
    import asyncpg

    return await asyncpg.connect(
        host=server.host,
        port=server.port,
        user=server.superuser,
        password=server.password.reveal(),
        database=database,
        ssl=False,
    )


def make_password(project: str) -> Secret:
    """Return a new database password that must be percent-encoded in a URL."""
    return Secret(f"{secrets.token_hex(8)}@p%s:/{secrets.token_hex(6)}", kind="database password", project=project)


async def install_roles(server: EmbeddedServer, password: Secret) -> None:
    """Create Supabase's roles on a server, once; ``postgres`` gets ``password``."""
    connection = await connect_as_superuser(server)
    try:
        await connection.execute(_ROLES)
        for role in (OWNER, "authenticator"):
            statement = await connection.fetchval(
                "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", role, password.reveal()
            )
            await connection.execute(statement)
    finally:
        await connection.close()


async def install_schemas(server: EmbeddedServer, database: str, *, grants: GrantRegime) -> None:
    """Hand ``database`` to ``postgres`` and create Supabase's schemas and default grants in it.

    The roles must have been installed, and ``database`` is a plain identifier.
    """
    connection = await connect_as_superuser(server, database)
    try:
        await connection.execute(f'ALTER DATABASE "{database}" OWNER TO {OWNER}')
        await connection.execute(_SCHEMAS)
        await connection.execute(_AUTH)
        await connection.execute(_CLOSED_SCHEMAS)
        if grants is GrantRegime.EVERYTHING:
            await connection.execute(_GRANT_EVERYTHING)
    finally:
        await connection.close()


def owned_database(server: EmbeddedServer, database: str, password: Secret) -> SupabaseDatabase:
    """Return ``database`` of ``server`` as its owner reaches it."""
    return SupabaseDatabase(host=server.host, port=server.port, database=database, user=OWNER, password=password)


_ROLES = """
CREATE ROLE postgres LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS;
CREATE ROLE anon NOLOGIN;
CREATE ROLE authenticated NOLOGIN;
CREATE ROLE service_role NOLOGIN BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, service_role TO authenticator;
GRANT anon, authenticated, service_role, authenticator TO postgres WITH ADMIN OPTION;
GRANT pg_monitor, pg_read_all_data, pg_signal_backend TO postgres;
GRANT SET ON PARAMETER session_replication_role TO postgres;
ALTER ROLE ALL SET search_path = "$user", public, extensions;
ALTER ROLE ALL SET extra_float_digits = 0;
ALTER ROLE postgres SET statement_timeout = '2min';
ALTER ROLE anon SET statement_timeout = '3s';
ALTER ROLE authenticated SET statement_timeout = '8s';
ALTER ROLE authenticator SET statement_timeout = '8s';
"""

_SCHEMAS = """
GRANT USAGE ON SCHEMA public TO postgres, anon, authenticated, service_role;
CREATE SCHEMA extensions AUTHORIZATION postgres;
GRANT USAGE ON SCHEMA extensions TO anon, authenticated, service_role;
CREATE EXTENSION vector WITH SCHEMA extensions;
"""

_AUTH = """
CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO postgres, anon, authenticated, service_role;
CREATE TABLE auth.users (
    id uuid PRIMARY KEY,
    email text UNIQUE,
    role text,
    raw_user_meta_data jsonb,
    created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES, TRIGGER ON auth.users TO postgres;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')
    )::jsonb
$$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
    )::text
$$;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
    )::uuid
$$;
"""

_CLOSED_SCHEMAS = """
CREATE SCHEMA storage;
CREATE TABLE storage.buckets (id text PRIMARY KEY, name text NOT NULL UNIQUE, public boolean DEFAULT false);
CREATE TABLE storage.objects (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bucket_id text REFERENCES storage.buckets,
    name text,
    created_at timestamptz DEFAULT now()
);
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
CREATE SCHEMA realtime;
CREATE TABLE realtime.subscription (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity regclass NOT NULL,
    claims jsonb NOT NULL
);
GRANT USAGE ON SCHEMA storage, realtime TO postgres, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA storage, realtime TO postgres, service_role;
"""

_GRANT_EVERYTHING = """
ALTER DEFAULT PRIVILEGES FOR ROLE postgres, supabase_admin IN SCHEMA public
    GRANT ALL ON TABLES TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres, supabase_admin IN SCHEMA public
    GRANT ALL ON SEQUENCES TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres, supabase_admin IN SCHEMA public
    GRANT ALL ON FUNCTIONS TO postgres, anon, authenticated, service_role;
"""
