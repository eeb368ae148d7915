"""A stand-in for the Prisma command line in a rehearsal, dangerous in the same way as the real one.

``db push`` makes the tables of ``public`` what the schema says. Tables the schema does not know are dropped:
the empty ones without a word, those with rows only with ``--accept-data-loss``. It creates and drops whole
tables; it does not change columns. Messages and exit codes follow Prisma 6 (measured with the real one).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tekup_migrate.rehearsal.prisma_schema import Model, PrismaSchema, read_schema
from tekup_migrate.rehearsal.sample_config import read_environment

if TYPE_CHECKING:
    from asyncpg import Connection, Record

_EXTERNAL = re.compile(r"\bexternal\s*:\s*\[(.*?)\]", re.DOTALL)
_EXTERNAL_TABLES_ON = re.compile(r"\bexternalTables\s*:\s*true\b")
_BOOKKEEPING = "_prisma_migrations"


@dataclass(frozen=True)
class PushPlan:
    """What a push would do: models to create, tables to drop, and the rows those hold."""

    create: tuple[Model, ...]
    drop: tuple[str, ...]
    rows: dict[str, int]

    @property
    def losses(self) -> tuple[str, ...]:
        """The tables to drop that hold rows."""
        return tuple(table for table in self.drop if self.rows[table])


def external_tables(folder: Path) -> frozenset[str]:
    """Return the tables that ``prisma.config.ts`` declares to be managed by somebody else."""
    config = folder / "prisma.config.ts"
    if not config.is_file():
        return frozenset()
    text = re.sub(r"//.*$", "", config.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if not _EXTERNAL_TABLES_ON.search(text):
        return frozenset()
    listed = re.findall(r"""["']([^"']+)["']""", " ".join(_EXTERNAL.findall(text)))
    return frozenset(name.removeprefix("public.") for name in listed)


async def plan_push(connection: Connection[Record], schema: PrismaSchema, external: frozenset[str]) -> PushPlan:
    """Compare the schema with the tables in ``public``."""
    rows = await connection.fetch(
        "SELECT c.relname::text FROM pg_class c"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1"
    )
    present = [row[0] for row in rows]
    known = {model.table for model in schema.models}
    drop = tuple(name for name in present if name not in known | external | {_BOOKKEEPING})
    counts = {table: await connection.fetchval(f"SELECT count(*) FROM public.{_quoted(table)}") for table in drop}
    create = tuple(model for model in schema.models if model.table not in present)
    return PushPlan(create=create, drop=drop, rows=counts)


async def push(connection: Connection[Record], schema: PrismaSchema, plan: PushPlan, external: frozenset[str]) -> None:
    """Carry the plan out, statement by statement as Prisma does: what was dropped before a failure is gone."""
    for table in plan.drop:
        await connection.execute(f"DROP TABLE public.{_quoted(table)} CASCADE")
    if plan.drop:
        await _drop_unused_enums(connection, schema, external)
    existing = {row[0] for row in await connection.fetch("SELECT typname::text FROM pg_type WHERE typtype = 'e'")}
    for enum in schema.enums:
        if enum.name not in existing:
            labels = ", ".join("'" + label + "'" for label in enum.labels)
            await connection.execute(f"CREATE TYPE public.{_quoted(enum.name)} AS ENUM ({labels})")
    for model in plan.create:
        columns = ", ".join(f"{_quoted(each.name)} {each.type} {each.constraints}" for each in model.columns)
        await connection.execute(f"CREATE TABLE public.{_quoted(model.table)} ({columns})")


async def _drop_unused_enums(connection: Connection[Record], schema: PrismaSchema, external: frozenset[str]) -> None:
    known = [enum.name for enum in schema.enums]
    unused = await connection.fetch(
        "SELECT t.typname::text FROM pg_type t WHERE t.typtype = 'e' AND t.typnamespace = 'public'::regnamespace"
        " AND NOT t.typname = ANY($1::text[]) AND NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_class c"
        " ON c.oid = a.attrelid WHERE a.atttypid = t.oid AND c.relname = ANY($2::text[]))",
        known,
        sorted(external),
    )
    for row in unused:
        await connection.execute(f"DROP TYPE public.{_quoted(row[0])}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def run_push(folder: Path, schema_path: Path, *, accept_data_loss: bool) -> int:
    """Run ``prisma db push`` in ``folder``; return its exit code."""
    import asyncpg

    schema = read_schema(await asyncio.to_thread(schema_path.read_text, encoding="utf-8"))
    url = read_environment(folder / ".env").database_url
    began = time.monotonic()
    _say(f"Prisma schema loaded from {schema_path.relative_to(folder)}")
    _say('Datasource "db": PostgreSQL database "postgres", schema "public"')
    external = external_tables(folder)
    try:
        connection = await asyncpg.connect(url, ssl=False)
    except (OSError, asyncpg.PostgresError) as error:
        _say(f"\nError: P1001: Can't reach database server: {error}")
        return 1
    try:
        plan = await plan_push(connection, schema, external)
        if plan.losses:
            _say("\n⚠️  There might be data loss when applying the changes:\n")
            for table in plan.losses:
                _say(f"  • You are about to drop the `{table}` table, which is not empty ({plan.rows[table]} rows).")
            if not accept_data_loss:
                _say("\nError: Use the --accept-data-loss flag to ignore the data loss warnings")
                _say("like prisma db push --accept-data-loss")
                return 1
        await push(connection, schema, plan, external)
    finally:
        await connection.close()
    milliseconds = (time.monotonic() - began) * 1000
    if plan.create or plan.drop:
        _say(f"\n🚀  Your database is now in sync with your Prisma schema. Done in {milliseconds:.0f}ms")
    else:
        _say("\nThe database is already in sync with the Prisma schema.")
    return 0


def generate(folder: Path, schema_path: Path) -> int:
    """Stand in for ``prisma generate``: read the schema and write down the models as the client would know them."""
    schema = read_schema(schema_path.read_text(encoding="utf-8"))
    client = folder / "node_modules" / ".prisma" / "client"
    client.mkdir(parents=True, exist_ok=True)
    (client / "models.txt").write_text(
        "".join(f"{model.name} {model.table}\n" for model in schema.models), encoding="utf-8"
    )
    _say(f"✔ Generated Prisma Client ({len(schema.models)} models) to ./node_modules/.prisma/client")
    return 0


def _say(line: str) -> None:
    sys.stdout.buffer.write(f"{line}\n".encode())
    sys.stdout.buffer.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when done, 1 when refused."""
    parser = argparse.ArgumentParser(prog="prisma")
    parser.add_argument("--schema", type=Path, default=Path("prisma/schema.prisma"))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("generate")
    database = commands.add_parser("db").add_subparsers(dest="action", required=True)
    pushing = database.add_parser("push")
    pushing.add_argument("--accept-data-loss", action="store_true")
    pushing.add_argument("--skip-generate", action="store_true")
    options = parser.parse_args(arguments)
    folder = Path.cwd()
    schema_path: Path = folder / options.schema
    if not schema_path.is_file():
        _say(f"Error: Could not find Prisma Schema at {schema_path}")
        return 1
    if options.command == "generate":
        return generate(folder, schema_path)
    return asyncio.run(run_push(folder, schema_path, accept_data_loss=options.accept_data_loss))


if __name__ == "__main__":
    sys.exit(main())
