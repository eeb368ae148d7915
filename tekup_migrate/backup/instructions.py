"""RESTORE.md: how to restore a backup with nothing but Postgres' own tools."""

from __future__ import annotations

import shlex

from tekup_migrate.backup.manifest import ARCHIVE, CHECKSUMS, MANIFEST, Manifest
from tekup_migrate.backup.shims import stand_in
from tekup_migrate.postgres.quoting import quote_ident, quote_literal

PLAIN = "plain.sql"


def restore_instructions(manifest: Manifest, *, plain: bool) -> str:
    """Return RESTORE.md for a backup; ``plain`` says that the folder also holds a plain SQL file."""
    parts = [
        _origin(manifest),
        _sealed(manifest) if manifest.sealed_for else _WHOLE,
        _PREPARE.format(major=manifest.dump_major, database=shlex.quote(manifest.database)),
        _requirements(manifest),
        _RESTORE.format(first=_first_table(manifest)),
        _notes(manifest),
    ]
    return "\n".join([*parts, _PLAIN_SQL] if plain else parts)


def _origin(manifest: Manifest) -> str:
    schemas = ", ".join(f"`{schema}`" for schema in manifest.schemas)
    return f"""# Restoring this backup

Project `{manifest.ref or "not named"}`, database `{manifest.database}` of `{manifest.host}`, which is Postgres
{manifest.server_version}. In it is what was committed before {manifest.snapshot_at} in the schemas {schemas}:
{len(manifest.tables)} tables, {manifest.rows:,} rows. `{MANIFEST}` names them all.

The commands are for a POSIX shell (Linux, macOS, Git Bash), and are run inside this folder.
"""


_WHOLE = f"""## 1. Is it whole?

```sh
sha256sum -c {CHECKSUMS}      # macOS: shasum -a 256 -c {CHECKSUMS}
pg_restore -f /dev/null {ARCHIVE}
```

Both must end without an error.
"""


def _sealed(manifest: Manifest) -> str:
    entry = f"tekup-migrate/{manifest.ref}/backup key"
    return f"""## 1. Is it whole? Open it

```sh
sha256sum -c {CHECKSUMS}      # macOS: shasum -a 256 -c {CHECKSUMS}
```

The files that end with `.age` are sealed for `{manifest.sealed_for}`. They open with the backup key
(`AGE-SECRET-KEY-1…`) and the program `age` (age-encryption.org). The key is where secrets were kept when this backup
was made. In the operating system's keyring it is the entry `{entry}` of the user `tekup-migrate`:

- Linux: `secret-tool lookup service '{entry}' username tekup-migrate`
- macOS: `security find-generic-password -s '{entry}' -a tekup-migrate -w`
- Windows: Credential Manager, Windows Credentials
- anywhere: `tekup-migrate backups --drill` and `tekup-migrate restore` find it by themselves

Write it into a file outside of this folder that only you can read, name that file with `export KEY=…`, and open:

```sh
find . -name '*.age' | while read -r f; do age --decrypt --identity "$KEY" --output "${{f%.age}}" "$f" && rm "$f"; done
pg_restore -f /dev/null {ARCHIVE}
```

All must end without an error; work on a copy of this folder, the sealed files are removed as they are opened. Delete
the key's file afterwards.
"""


_PREPARE = """## 2. Prepare an empty database

You need `pg_restore` and `psql` of version {major} or newer. Give the password by the environment (or a `.pgpass`
file), never on the command line:

```sh
export PGHOST=… PGPORT=5432 PGUSER=postgres PGDATABASE={database}
export PGSSLMODE=verify-full PGSSLROOTCERT="$PWD/supabase-root-2021-ca.pem"
read -rs PGPASSWORD && export PGPASSWORD
```

Leave out the line with `PGSSLMODE` for a server on your own machine. For a server whose certificate is signed by a
public authority, use `PGSSLROOTCERT=system`. Restore into a database that holds none of these tables: an empty one,
or a new Supabase project.
"""


def _requirements(manifest: Manifest) -> str:
    lines = []
    for extension in manifest.extensions:
        schema = quote_ident(extension.schema)
        lines.append(f"CREATE SCHEMA IF NOT EXISTS {schema};")
        lines.append(f"CREATE EXTENSION IF NOT EXISTS {quote_ident(extension.name)} WITH SCHEMA {schema};")
    wanted = "\n".join(dict.fromkeys(lines)) or "-- The source had no extensions."
    return f"""What the archive needs and does not hold, for `psql`. A Supabase project has the schemas already; some of
the extensions must be switched on first (those that are part of Supabase itself cannot and need not be created):

```sql
{wanted}
```

On a plain Postgres server, create the missing roles too, and stand-ins for the functions outside these schemas that
something in the archive calls (a Supabase project has both):

```sql
{_roles(manifest)}
{_functions(manifest)}
```
"""


def _roles(manifest: Manifest) -> str:
    names = ", ".join(quote_literal(role) for role in manifest.roles)
    return (
        f"SELECT format('CREATE ROLE %I NOLOGIN', name) FROM unnest(ARRAY[{names}]::text[]) AS name\n"
        "WHERE name NOT IN (SELECT rolname FROM pg_roles) \\gexec"
    )


def _functions(manifest: Manifest) -> str:
    schemas = dict.fromkeys(function.schema for function in manifest.functions)
    lines = [f"CREATE SCHEMA IF NOT EXISTS {quote_ident(schema)};" for schema in schemas]
    lines += [f"{stand_in(function)};" for function in manifest.functions]
    return "\n".join(lines) or "-- Nothing in the archive calls a function outside of it."


_RESTORE = f"""## 3. Restore

`public` exists in every database, so its creation is taken out of the list first:

```sh
list=$(mktemp)
pg_restore -l {ARCHIVE} | grep -v ' SCHEMA - public ' > "$list"
pg_restore --exit-on-error --jobs=2 --use-list="$list" --no-password --dbname="$PGDATABASE" {ARCHIVE}
```

If you are no superuser (on Supabase you are not), leave out the owners, and the grants that only a superuser may set:

```sh
list=$(mktemp)
pg_restore -l {ARCHIVE} | grep -v -e ' SCHEMA - public ' -e ' DEFAULT ACL ' > "$list"
pg_restore --exit-on-error --no-owner --jobs=2 --use-list="$list" --no-password --dbname="$PGDATABASE" {ARCHIVE}
```

If the server is older than Postgres 17 and stops at `transaction_timeout`, use this (it leaves that one setting out):

```sh
pg_restore --use-list="$list" -f - {ARCHIVE} | grep -v '^SET transaction_timeout' | psql -X -v ON_ERROR_STOP=1
```

One table alone, into a database that has all but it (its types and the like){{first}}

## 4. Compare

Count the rows and compare with `{MANIFEST}`. `tekup-migrate` compares every column of every row, by digest.
"""


def _first_table(manifest: Manifest) -> str:
    if not manifest.tables:
        return " (this backup holds no table)."
    table = manifest.tables[0]
    schema, name = shlex.quote(table.schema), shlex.quote(table.name)
    return f""":

```sh
pg_restore --no-password --dbname="$PGDATABASE" --schema={schema} --table={name} {ARCHIVE}
```"""


def _notes(manifest: Manifest) -> str:
    return f"""## Good to know

- Not in the archive: other schemas than those named above (Supabase's `auth`, `storage` and the like), roles,
  extensions, large objects, and rows of foreign tables.
- Sequences hold the value of the moment in which they were dumped, which can be a little later than the rows.
- It was written by pg_dump {manifest.dump_version}; an older pg_restore may refuse it.
"""


_PLAIN_SQL = f"""## The plain SQL file

`{PLAIN}` is the same content to read, or to restore with `psql -X -v ON_ERROR_STOP=1 -f {PLAIN}`. It does not create
the schema `public`, and sets nothing that the server it was written for (the source, or an older target) does not
know. A `psql` that stops at `\\restrict` is older than August 2025: update it.
"""
