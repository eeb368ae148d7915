"""A small plan with a sample world of its own, that has nothing to do with the built-in one."""

from __future__ import annotations

from pathlib import Path

from tekup_migrate.plan import Plan, read_plan

PLAN = """
id = "library"
title = "Library consolidation"
branch = "move-notes"

[projects.old]
title = "Old"
ref = "aaaaaaaaaaaaaaaaaaaa"
region = "eu-west-3"
role = "source"
url = "postgresql://postgres@db.aaaaaaaaaaaaaaaaaaaa.supabase.co:5432/postgres"

[projects.new]
title = "New"
ref = "bbbbbbbbbbbbbbbbbbbb"
region = "eu-central-1"
role = "target"
url = "postgresql://postgres@db.bbbbbbbbbbbbbbbbbbbb.supabase.co:5432/postgres"

[apps.notes]
title = "Notes"
path = "~/notes-app"
port = 4000

[[moves]]
app = "notes"
sources = ["notes"]
target = "notes"

[[phases]]
id = "notes"
kind = "move"
title = "Move"
hours = [1.0, 1.0]
app = "notes"

[[sittings]]
title = "Session 1"
hours = 1.0
phases = ["notes"]
"""

APP = """
application_name = "notes-api"
env = ".env"

[routes]
"/api/search" = "SELECT id, body FROM notes WHERE body ILIKE '%' || $1::text || '%' ORDER BY id LIMIT 3"

[pages]
"/" = "<h1>Notes</h1>"

[[checks]]
title = "notes are there"
sql = "SELECT id FROM notes LIMIT 1"

[[checks]]
title = "the sealed note can be read"
sql = "SELECT sealed FROM notes WHERE sealed <> '' LIMIT 1"
sealed = true

[worker]
env = ".env"
application_name = "notes-worker"
every_ms = 10
statements = ["INSERT INTO notes (body) VALUES ('written later')"]
"""

FILES = {
    "world.toml": '[writers]\nnotes = "app.toml"\n',
    "source.sql": "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, body text, sealed text DEFAULT '');\n"
    "INSERT INTO notes (body) SELECT 'note ' || i FROM generate_series(1, ${rows}) i;\n"
    "INSERT INTO notes (body, sealed) VALUES ('secret', '${sealed.notes.hush}');\n",
    "target.sql": "CREATE TABLE other (id bigint PRIMARY KEY);\n",
    "repositories/notes/dot_gitignore": "ignored.txt\n",
    "repositories/notes/dot_env": "# kept\r\nDATABASE_URL=${source.database_url}\r\nPORT=${port.notes}\r\n"
    "SUPABASE_URL=${source.url}\r\nSUPABASE_SERVICE_KEY=${source.service_key}\r\n"
    "ENCRYPTION_KEY=${secret.notes_key}\r\nENCRYPTION_SALT=${secret.notes_salt}\r\n",
    "repositories/notes/ignored.txt": "on disk only\n",
    "repositories/notes/README.md": "# Notes\n",
    "repositories/notes/app.toml": APP,
    "repositories/notes/package.json": '{"scripts": {"dev": "sample-app --config app.toml",'
    ' "test": "sample-app --config app.toml --check", "again": "pnpm run test", "odd": "make all"}}\n',
    "uncommitted/notes/README.md": "# Notes\n\nBeing rewritten.\n",
    "uncommitted/notes/draft.txt": "not under git\n",
}


def write_sample_plan(folder: Path) -> tuple[Plan, Path]:
    """Write the plan and its templates; return the plan and the templates' folder."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder / "library.toml"
    plan.write_text(PLAN, encoding="utf-8")
    for name, content in FILES.items():
        path = folder / "library" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    return read_plan(plan), folder / "library"
