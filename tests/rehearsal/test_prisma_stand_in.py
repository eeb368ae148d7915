"""The stand-in for Prisma is dangerous in the same way as the real one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tekup_migrate.plan import BUILT_IN
from tekup_migrate.rehearsal.prisma_schema import read_schema
from tekup_migrate.rehearsal.supabase import SupabaseDatabase

SCHEMA = """
// model Commented { id Int @id }
enum Colour {
  RED
  BLUE
}

model Shelf {
  id      Int      @id @default(autoincrement())
  label   String   @unique // shown to the reader
  colour  Colour   @default(RED)
  note    String?
  tags    String[]
  madeAt  DateTime @default(now()) @map("made_at") @db.Timestamptz(6)
  books   Book[]

  @@map("shelves")
}

model Book {
  id      String @id @default(uuid()) @db.Uuid
  shelfId Int
  shelf   Shelf  @relation(fields: [shelfId], references: [id])
  price   Decimal @db.Decimal(10, 2)
}
"""

TABLES = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"


@pytest.fixture
def backend(tmp_path: Path, target_database: SupabaseDatabase) -> Path:
    """A repository folder with a Prisma schema and an env file."""
    (tmp_path / "prisma").mkdir()
    (tmp_path / "prisma" / "schema.prisma").write_text(SCHEMA, encoding="utf-8")
    (tmp_path / ".env").write_text(f'DATABASE_URL="{target_database.url.reveal()}"\n', encoding="utf-8")
    return tmp_path


def prisma(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tekup_migrate.rehearsal.prisma_stand_in", *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.returncode, done.stdout + done.stderr


async def tables(database: SupabaseDatabase, *before: str) -> list[str]:
    connection = await database.connect()
    try:
        for statement in before:
            await connection.execute(statement)
        return [row[0] for row in await connection.fetch(TABLES)]
    finally:
        await connection.close()


def test_a_schema_is_read_with_its_maps_enums_and_types() -> None:
    schema = read_schema(SCHEMA)
    assert [(model.name, model.table) for model in schema.models] == [("Shelf", "shelves"), ("Book", "Book")]
    assert [(enum.name, enum.labels) for enum in schema.enums] == [("Colour", ("RED", "BLUE"))]
    shelf = {each.name: f"{each.type} {each.constraints}".strip() for each in schema.models[0].columns}
    assert shelf == {
        "id": "serial NOT NULL PRIMARY KEY",
        "label": "text NOT NULL UNIQUE",
        "colour": "\"Colour\" NOT NULL DEFAULT 'RED'",
        "note": "text",
        "tags": "text[] NOT NULL",
        "made_at": "timestamptz(6) NOT NULL DEFAULT CURRENT_TIMESTAMP",
    }
    assert [each.name for each in schema.models[1].columns] == ["id", "shelfId", "price"]


async def test_push_creates_what_is_missing_and_a_second_push_finds_it_in_sync(
    backend: Path, target_database: SupabaseDatabase
) -> None:
    code, said = prisma(backend, "db", "push")
    assert code == 0, said
    assert "now in sync" in said
    assert await tables(target_database) == ["Book", "shelves"]
    assert "already in sync" in prisma(backend, "db", "push")[1]


async def test_an_unknown_table_with_rows_stops_the_push_and_nothing_changes(
    backend: Path, target_database: SupabaseDatabase
) -> None:
    await tables(target_database, "CREATE TABLE notes (id int)", "INSERT INTO notes VALUES (1), (2)")
    code, said = prisma(backend, "db", "push")
    assert code == 1
    assert "You are about to drop the `notes` table, which is not empty (2 rows)." in said
    assert "--accept-data-loss" in said
    assert await tables(target_database) == ["notes"]


async def test_accepting_data_loss_drops_unknown_tables_and_their_enums(
    backend: Path, target_database: SupabaseDatabase
) -> None:
    await tables(
        target_database,
        "CREATE TYPE mood AS ENUM ('fine')",
        "CREATE TABLE notes (id int, mood mood)",
        "INSERT INTO notes VALUES (1, 'fine')",
    )
    code, said = prisma(backend, "db", "push", "--accept-data-loss")
    assert code == 0, said
    assert await tables(target_database) == ["Book", "shelves"]
    connection = await target_database.connect()
    assert await connection.fetchval("SELECT to_regtype('public.mood')") is None
    await connection.close()


async def test_an_unknown_empty_table_is_dropped_without_a_word(
    backend: Path, target_database: SupabaseDatabase
) -> None:
    await tables(target_database, "CREATE TABLE notes (id int)")
    code, said = prisma(backend, "db", "push")
    assert code == 0
    assert "notes" not in said
    assert await tables(target_database) == ["Book", "shelves"]


async def test_tables_declared_external_are_left_alone(backend: Path, target_database: SupabaseDatabase) -> None:
    await tables(
        target_database, "CREATE TABLE notes (id int)", "CREATE TABLE ledger (id int)", "INSERT INTO ledger VALUES (1)"
    )
    (backend / "prisma.config.ts").write_text(
        'import { defineConfig } from "prisma/config";\n'
        "export default defineConfig({\n  experimental: { externalTables: true },\n"
        '  tables: { external: ["public.notes", "public.ledger"] },\n});\n',
        encoding="utf-8",
    )
    code, said = prisma(backend, "db", "push")
    assert code == 0, said
    assert await tables(target_database) == ["Book", "ledger", "notes", "shelves"]


def test_generate_reads_the_schema_and_a_missing_schema_is_an_error(backend: Path) -> None:
    code, said = prisma(backend, "generate")
    assert code == 0
    assert "Generated Prisma Client (2 models)" in said
    (backend / "prisma" / "schema.prisma").unlink()
    code, said = prisma(backend, "generate")
    assert (code, "Could not find Prisma Schema" in said) == (1, True)


def test_the_built_in_schema_has_nineteen_models() -> None:
    path = BUILT_IN.with_suffix("") / "repositories/rendetalje/apps/backend/prisma/schema.prisma"
    assert len(read_schema(path.read_text(encoding="utf-8")).models) == 19
