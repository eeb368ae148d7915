"""Traps of a consolidation that a phase must see by itself: a push that drops, keys under git, a writer that goes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.phases.prisma import Protect, Push
from tekup_migrate.phases.rotation import Rotate
from tekup_migrate.plan import App, Move, Prisma, Writers
from tekup_migrate.postgres.activity import watch_writes
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.steps import Verdict
from tests.keymaking import made_jwt, made_ref, made_secret_key
from tests.phases.moving import Moving, plan_of, run, value

SCHEMA = """
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
  schemas  = ["public", "vault"]
}
model Shelf {
  id Int @id
  @@map("shelves")
  @@schema("public")
}
"""
PACKAGE = '{"name": "app", "scripts": {"db:push": "prisma db push%s"}, "devDependencies": {"prisma": "6.19.0"}}'
PUSH = ("npm", "run", "db:push")


def moving_app(source: SupabaseDatabase, target: SupabaseDatabase, folder: Path, app: App, *moves: Move) -> Moving:
    plan = msgspec.structs.replace(plan_of(source, target, moves), apps={"app": app})
    return Moving(plan, source, target, folder)


async def test_a_push_that_would_drop_tables_the_schema_does_not_name_is_refused_until_they_are_protected(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path
) -> None:
    root = tmp_path / "app"
    (root / "prisma").mkdir(parents=True)
    (root / "prisma" / "schema.prisma").write_text(SCHEMA, encoding="utf-8")
    (root / "package.json").write_text(PACKAGE % "", encoding="utf-8")
    prisma = Prisma(schema="prisma/schema.prisma", generate=(), push=PUSH)
    moving = moving_app(
        source_database, target_database, tmp_path, App(title="App", path=str(root), tables=("shelves",), prisma=prisma)
    )
    await run(
        target_database,
        "CREATE TABLE public.shelves (id int PRIMARY KEY); CREATE TABLE public.vault_documents (id int);"
        "CREATE TABLE public.billy_rows AS SELECT 1 AS id; CREATE SCHEMA vault; CREATE TABLE vault.shelves (id int);"
        "CREATE SCHEMA other; CREATE TABLE other.out_of_reach (id int)",
    )
    push = Push(moving.plan, moving.plan.phases[0])
    with pytest.raises(MigrationError) as refusal:
        await push.preview(moving.context)
    assert "would drop billy_rows, vault_documents, vault.shelves." in refusal.value.happened
    await Protect(moving.plan, moving.plan.phases[0]).apply(moving.context)
    assert "drops nothing" in str((await push.preview(moving.context)).actions)
    (root / "package.json").write_text(PACKAGE % " --accept-data-loss", encoding="utf-8")
    with pytest.raises(MigrationError, match="would lose data"):
        await push.preview(moving.context)


async def test_keys_in_documents_and_env_files_under_git_are_listed_to_be_rotated_and_others_are_not(
    source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path
) -> None:
    root = tmp_path / "app"
    (root / "docs").mkdir(parents=True)
    secret, token = made_secret_key(), made_jwt(ref=made_ref(), role="service_role")
    files = {"docs/opsætning.md": f"one\nuse {secret}\n", ".env": f"A=1\r\n\r\nSERVICE_KEY={token}\r\n"}
    for name, text in {**files, "mine.txt": secret}.items():
        (root / name).write_bytes(text.encode())
    for arguments in (("init", "-q"), ("add", *files)):
        subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)
    moving = moving_app(source_database, target_database, tmp_path, App(title="App", path=str(root)))
    found = await Rotate(moving.plan, moving.plan.phases[0]).verify(moving.context)
    assert found.verdict is Verdict.UNVERIFIED
    assert [fact.rpartition(": ")[0] for fact in found.facts] == ["App: .env, line 3", "App: docs/opsætning.md, line 2"]
    assert not [fact for fact in found.facts if secret in fact or token in fact]


async def test_a_writer_that_goes_on_during_the_copy_is_seen_and_its_rows_come_after(
    source_database: SupabaseDatabase,
    target_database: SupabaseDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert watch_writes.__kwdefaults__ is not None
    monkeypatch.setitem(watch_writes.__kwdefaults__, "seconds", 0.2)
    app = App(title="App", path=str(tmp_path), writers=Writers(application_names=("notes-worker",)))
    moves = (Move(app="app", sources=("notes",), target="notes"),)
    moving = moving_app(source_database, target_database, tmp_path, app, *moves)
    await run(source_database, "CREATE TABLE public.notes (id int PRIMARY KEY); INSERT INTO public.notes VALUES (1)")
    worker = await source_database.connect(application_name="notes-worker")
    try:
        await moving.go("compare", "create", "copy", "attach")
        await worker.execute("INSERT INTO public.notes SELECT generate_series(2, 40)")
        seen = await moving.step("writers").verify(moving.context)
        assert seen.verdict is Verdict.DIFFERS
        assert any("notes-worker" in fact for fact in seen.facts)
    finally:
        await worker.close()
    unnamed = await source_database.connect(application_name="somebody at home")
    try:
        async with unnamed.transaction():
            await unnamed.execute("UPDATE public.notes SET id = id WHERE id = 1")
            seen = await moving.step("writers").verify(moving.context)
            assert seen.verdict is Verdict.DIFFERS, "the plan does not know this one"
            assert seen.summary == "the source is still in use, written to by somebody at home"
    finally:
        await unnamed.close()
    assert (await moving.step("rows").verify(moving.context)).verdict is not Verdict.PASSED
    assert (await moving.go("rows")).verdict is Verdict.PASSED
    assert await value(target_database, "SELECT count(*) FROM public.notes") == 40
