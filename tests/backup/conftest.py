"""What the backup's tests share: a small ledger to dump, and who to blame for a left-over process."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import certifi
import psutil
import pytest

from tekup_migrate.backup.child import clean_environment
from tekup_migrate.backup.dump import BackupRequest
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.events import Event
from tekup_migrate.postgres.connection import tls_context
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.programs import embedded_program
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.backup.certificates import Authority

LEDGER = """
CREATE TYPE public.entry_kind AS ENUM ('debit', 'credit');
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
CREATE TABLE public.accounts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title text NOT NULL,
    owner uuid DEFAULT auth.uid(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public."Entries; odd" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account uuid NOT NULL REFERENCES public.accounts ON DELETE CASCADE,
    kind public.entry_kind NOT NULL,
    amount numeric(12, 2) NOT NULL,
    doubled numeric GENERATED ALWAYS AS (amount * 2) STORED,
    tags text[],
    body jsonb,
    raw bytea,
    weights extensions.vector(3)
);
CREATE INDEX ON public."Entries; odd" USING hnsw (weights extensions.vector_l2_ops);
CREATE TRIGGER touched BEFORE UPDATE ON public.accounts FOR EACH ROW EXECUTE FUNCTION public.touch();
ALTER TABLE public.accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY "own rows" ON public.accounts FOR SELECT TO authenticated USING (owner = auth.uid());
CREATE VIEW public.balances AS SELECT account, sum(amount) AS balance FROM public."Entries; odd" GROUP BY account;
INSERT INTO public.accounts (title) SELECT 'account ' || n FROM generate_series(1, 20) AS n;
INSERT INTO public."Entries; odd" (account, kind, amount, tags, body, raw, weights)
SELECT id, 'credit', 10.5, ARRAY['a', NULL, title], jsonb_build_object('t', title), decode('00ff', 'hex'), '[1,2.5,-3]'
FROM public.accounts, generate_series(1, 10);
"""


@dataclass(frozen=True)
class Ledger:
    """A database with a small ledger, and how to reach it."""

    database: SupabaseDatabase

    @property
    def url(self) -> ConnectionUrl:
        return ConnectionUrl(
            user=self.database.user,
            host=self.database.host,
            port=self.database.port,
            database=self.database.database,
        )

    @property
    def password(self) -> Secret:
        return self.database.password

    def request(self, **changes: object) -> BackupRequest:
        settings: dict[str, object] = {"url": self.url, "password": self.password, "name": "ledger", "ref": "abc"}
        return BackupRequest(**{**settings, **changes})  # type: ignore[arg-type]

    async def execute(self, statement: str) -> None:
        connection = await self.database.connect()
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def execute_now(self, statement: str) -> None:
        """Execute a statement before this call returns: for listeners, which cannot wait."""
        where = [f"--host={self.url.host}", f"--port={self.url.port}", f"--username={self.url.user}"]
        environment = clean_environment({"PGPASSWORD": self.password.reveal(), "PGDATABASE": self.url.database})
        psql = [str(embedded_program("psql", 18)), "-X", "-q", "-v", "ON_ERROR_STOP=1", *where, "-c", statement]
        subprocess.run(psql, env=environment, check=True)


@pytest.fixture
async def ledger(source_database: SupabaseDatabase) -> Ledger:
    """A small ledger in a fresh database."""
    made = Ledger(source_database)
    await made.execute(LEDGER)
    return made


@pytest.fixture
def events() -> list[Event]:
    """Collects what the engine tells."""
    return []


@pytest.fixture
async def no_child_left() -> AsyncIterator[Callable[[], list[str]]]:
    """Names this process's children that run a Postgres program; the test asserts that there are none."""

    def left() -> list[str]:
        names = []
        for child in psutil.Process().children(recursive=True):
            try:
                if child.name().startswith("pg_") and child.status() != psutil.STATUS_ZOMBIE:
                    names.append(child.name())
            except psutil.NoSuchProcess:
                continue
        return names

    yield left
    assert left() == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the backups go: a path with a space and a letter outside ASCII."""
    return tmp_path / "my bäckups"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """The only public authority that this test's connections trust."""
    made = Authority.make()
    file = made.write(tmp_path / "authority.pem")
    monkeypatch.setattr(certifi, "where", lambda: str(file))
    tls_context.cache_clear()
    yield made
    tls_context.cache_clear()
