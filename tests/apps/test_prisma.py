"""Reading Prisma schemas, and what a push would drop."""

from __future__ import annotations

from pathlib import Path

import pytest

from tekup_migrate.apps.prisma import Existing, known_tables, parse_schema, predict_push, read_schema
from tekup_migrate.apps.prisma_syntax import PrismaSchemaError

SCHEMA = """// A comment with model Fake { in it
generator client {
  provider = "prisma-client-js"
}

datasource db {
  provider  = "postgresql"
  url       = env("DATABASE_URL") // "not this"
  directUrl = env("DIRECT_URL")
}

/// Somebody who pays. model Ghost {
model Customer {
  id       Int       @id @default(autoincrement())
  name     String    @map("full name") @default("{ model X { }")
  settings Json      @default("{\\"a\\": \\"}\\"}")
  email    String?   @unique @db.VarChar(255)
  invoices Invoice[]
  tags     Tag[]
  friends  Customer[] @relation("Friends")
  friendOf Customer[] @relation("Friends")
  kind     Kind      @default(PRIVATE)

  @@map("customers")
  @@index([
    name, // by name
    email
  ], map: "idx_of_@@map(\\"x\\")")
}

model Invoice {
  id         String   @id @default(dbgenerated("gen_random_uuid()")) @db.Uuid
  customer   Customer @relation(fields: [customerId], references: [id], map: "Friends")
  customerId Int      @map("customer_id")
  location   Unsupported("point")?
  /* model Old {
     id Int @id
  } */
  @@ignore
}

model Tag {
  id        Int        @id
  customers Customer[]
}

view Report {
  id Int @unique
}

enum Kind {
  PRIVATE
  BUSINESS @map("Business Æ")

  @@map("customer_kind")
}
"""


def test_models_enums_and_the_datasource_are_read() -> None:
    schema = parse_schema([("schema.prisma", SCHEMA)])
    assert [(model.name, model.table) for model in schema.models] == [
        ("Customer", "customers"), ("Invoice", "Invoice"), ("Tag", "Tag"),
    ]  # fmt: skip
    fields = {field.name: field for field in schema.models[0].fields}
    assert fields["name"].column == "full name"
    assert (fields["invoices"].type, fields["invoices"].many) == ("Invoice", True)
    assert not fields["email"].many
    assert fields["friends"].relation == "Friends"
    invoice = {field.name: field for field in schema.models[1].fields}
    assert invoice["customer"].joined
    assert invoice["customer"].relation == ""
    assert set(invoice) == {"id", "customer", "customerId", "location"}
    kind = schema.enums[0]
    assert (kind.type, kind.labels) == ("customer_kind", ("PRIVATE", "Business Æ"))
    assert (schema.provider, schema.url_key, schema.direct_url_key) == (
        "postgresql", "DATABASE_URL", "DIRECT_URL",
    )  # fmt: skip


def test_join_tables_of_many_to_many_relations_are_known() -> None:
    tables = {table for _, table in known_tables(parse_schema([("s", SCHEMA)]))}
    assert tables == {"customers", "Invoice", "Tag", "_CustomerToTag", "_Friends"}


def test_tables_and_enums_no_model_knows_are_predicted_to_be_dropped() -> None:
    schema = parse_schema([("s", SCHEMA)])
    prediction = predict_push(
        schema,
        tables=[
            Existing("public", "customers", 3),
            Existing("public", "Customers", 3),
            Existing("public", "notes", 0),
            Existing("public", "notes_sync", None),
            Existing("public", "_CustomerToTag", 0),
            Existing("public", "_prisma_migrations", 9),
            Existing("auth", "users", 5),
        ],
        enums=[Existing("public", "customer_kind"), Existing("public", "note_source")],
    )
    assert not prediction.safe
    assert [table.name for table in prediction.dropped_tables] == ["Customers", "notes", "notes_sync"]
    assert [table.name for table in prediction.silent] == ["notes", "notes_sync"]
    assert [enum.name for enum in prediction.dropped_enums] == ["note_source"]
    assert prediction.created_tables == (("public", "Invoice"), ("public", "Tag"), ("public", "_Friends"))


def test_a_push_within_its_own_models_is_safe() -> None:
    schema = parse_schema([("s", SCHEMA)])
    tables = [Existing(*known, 1) for known in known_tables(schema)]
    assert predict_push(schema, tables=tables, enums=[Existing("public", "customer_kind")]).safe


def test_tables_declared_external_are_not_dropped() -> None:
    prediction = predict_push(
        parse_schema([("s", SCHEMA)]), tables=[Existing("public", "notes", 0)], external=[("public", "notes")]
    )
    assert prediction.safe


def test_only_the_schemas_prisma_manages_are_in_its_reach() -> None:
    text = """
    datasource db {
      provider = "postgresql"
      url = "postgresql://localhost/x"
      schemas = [
        "ledger",
        "base"
      ]
    }
    model A {
      id Int @id
      @@schema("ledger")
      @@map("a")
    }
    enum Kind {
      ONE
      @@schema("base")
    }
    """
    schema = parse_schema([("s", text)])
    assert schema.url_key is None
    prediction = predict_push(
        schema,
        tables=[Existing("public", "notes", 0), Existing("base", "a", 0), Existing("ledger", "a", 0)],
        enums=[Existing("base", "Kind"), Existing("ledger", "Kind")],
    )
    assert prediction.managed == ("ledger", "base")
    assert prediction.dropped_tables == (Existing("base", "a", 0),)
    assert prediction.dropped_enums == (Existing("ledger", "Kind"),)


def test_the_schema_named_by_the_connection_is_the_managed_one() -> None:
    prediction = predict_push(
        parse_schema([("s", "model A {\n id Int @id\n}")]),
        tables=[Existing("public", "notes", 0), Existing("app", "A", 0), Existing("app", "b", 0)],
        default_schema="app",
    )
    assert prediction.dropped_tables == (Existing("app", "b", 0),)


def test_a_folder_of_schema_files_is_read_as_one(tmp_path: Path) -> None:
    folder = tmp_path / "prisma æ" / "models"
    folder.mkdir(parents=True)
    (folder / "a.prisma").write_bytes('\ufeffmodel A {\r\n  id Int @id\r\n  @@map("a_s")\r\n}\r\n'.encode())
    (folder.parent / "schema.prisma").write_text("model B {\n  id Int @id\n}", encoding="utf-8")
    schema = read_schema(folder.parent)
    assert sorted(model.table for model in schema.models) == ["B", "a_s"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model A {\n  id Int @id\n", 1),
        ("\n\nnot a schema", 3),
        ("model A {\n  id Int @default(1]\n}", 2),
        ('model A {\n\n  id String @default("open)\n}', 3),
        ("}\n", 1),
    ],
)
def test_what_is_no_schema_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(PrismaSchemaError) as raised:
        parse_schema([("schema.prisma", text)])
    assert f"schema.prisma, line {line}:" in raised.value.happened


def test_a_missing_schema_is_told(tmp_path: Path) -> None:
    with pytest.raises(PrismaSchemaError):
        read_schema(tmp_path / "schema.prisma")
    with pytest.raises(PrismaSchemaError):
        read_schema(tmp_path)
