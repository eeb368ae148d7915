"""The built-in plan's sample world carries the traps of the real one."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

from tekup_migrate.plan import BUILT_IN
from tekup_migrate.rehearsal.prisma_schema import read_schema
from tekup_migrate.rehearsal.world import World
from tests.rehearsal.test_sample_app import get, run, serving


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, encoding="utf-8")
    return done.stdout


async def test_documents_and_vectors_are_there_one_to_one(built_in_world: World) -> None:
    connection = await built_in_world.projects["paris"].database.connect()
    try:
        row = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM vault_documents), (SELECT count(*) FROM vault_embeddings),"
            " (SELECT count(DISTINCT embedding::text) FROM vault_embeddings),"
            " (SELECT min(vector_dims(embedding)) FROM vault_embeddings)"
        )
        assert row is not None
        assert tuple(row) == (2000, 2000, 2000, 1536)
    finally:
        await connection.close()


async def test_the_source_has_what_the_written_ddl_forgets(built_in_world: World) -> None:
    connection = await built_in_world.projects["paris"].database.connect()
    try:
        labels = await connection.fetchval("SELECT enum_range(NULL::source_type)::text[]")
        assert labels == ["github", "supabase", "chatgpt", "local"]
        policies = await connection.fetch("SELECT DISTINCT tablename::text FROM pg_policies ORDER BY 1")
        assert [row[0] for row in policies] == ["vault_documents", "vault_embeddings"]
        triggers = await connection.fetch("SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal")
        assert sorted(row[0] for row in triggers) == ["vault_documents", "vault_sync_status"]
        assert await connection.fetchval("SELECT to_regproc('public.match_documents') IS NOT NULL")
    finally:
        await connection.close()


async def test_the_target_has_the_tables_of_the_prisma_schema_and_rows_in_all(built_in_world: World) -> None:
    app = built_in_world.apps["rendetalje"]
    text = (app.repository / "apps/backend/prisma/schema.prisma").read_text(encoding="utf-8")
    connection = await built_in_world.projects["renos"].database.connect()
    try:
        found = await connection.fetch(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
        names = {row[0] for row in found}
        assert {model.table for model in read_schema(text).models} == {n for n in names if n.startswith("renos_")}
        assert len({n for n in names if n.startswith("billy_")}) == 8
        for name in names:
            assert await connection.fetchval(f"SELECT count(*) FROM {name}") > 0
    finally:
        await connection.close()


def test_env_files_have_the_traps(built_in_world: World) -> None:
    vault = built_in_world.apps["vault"].repository
    api = (vault / "apps/vault-api/.env").read_bytes()
    assert api.count(b"\r\n") == api.count(b"\n") > 5
    assert not (vault / "apps/vault-worker/.env").read_bytes().endswith(b"\n")
    assert b"%40" in api
    root = (vault / ".env").read_bytes().decode()
    assert [line for line in root.splitlines() if line.startswith("#") or " # " in line][1:] == [
        "# Gammel database (før poolerens flytning):",
        next(line for line in root.splitlines() if line.startswith("# DATABASE_URL=")),
        next(line for line in root.splitlines() if line.endswith("   # aldrig i browseren")),
    ]
    assert git(vault, "ls-files", ".env", "apps").split() == [".env"]
    key = built_in_world.projects["paris"].keys.service.reveal()
    assert key in (vault / "docs/SETUP.md").read_text(encoding="utf-8")
    for app in built_in_world.apps.values():
        assert "?? " in git(app.repository, "status", "--porcelain")


def test_no_template_holds_a_secret() -> None:
    for path in BUILT_IN.with_suffix("").rglob("*"):
        if path.is_file():
            content = path.read_text(encoding="utf-8")
            assert "eyJ" not in content, path
            assert "sb_secret_" not in content, path


async def test_all_three_apps_answer_and_search_finds(built_in_world: World) -> None:
    apps = built_in_world.apps
    async with (
        serving(built_in_world, apps["vault"]),
        serving(built_in_world, apps["billy"]),
        serving(built_in_world, apps["rendetalje"]),
    ):
        answers = await asyncio.gather(*(get(app.port, "/health") for app in apps.values()))
        assert [status for status, _ in answers] == [200, 200, 200]
        status, body = await get(apps["vault"].port, "/api/search?q=faktura")
        assert status == 200
        # The source's index was built before the load, which is one of the traps: it finds fewer than the five wanted.
        assert 0 < len(json.loads(body)) <= 5
        assert (await get(apps["rendetalje"].port, "/"))[0] == 200
        assert json.loads((await get(apps["billy"].port, "/api/audit"))[1])


async def test_the_plans_commands_run_and_a_push_is_refused(built_in_world: World) -> None:
    apps = built_in_world.apps
    code, said = await run(built_in_world, apps["billy"].repository, "test")
    assert code == 0, said
    assert "ok - encrypted keys can be read (3 rows)" in said
    backend = apps["rendetalje"].repository / "apps" / "backend"
    code, said = await run(built_in_world, backend, "db:generate")
    assert (code, "19 models" in said) == (0, True)
    code, said = await run(built_in_world, backend, "db:push")
    assert code == 1
    assert "`billy_audit_logs` table, which is not empty (500 rows)" in said
