"""RESTORE.md's commands do what they say, with nothing but Postgres' own tools and a shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tekup_migrate.backup.manifest import Manifest
from tekup_migrate.backup.restore import changes_since
from tekup_migrate.backup.verify import verify_archive
from tekup_migrate.credentials.age import new_backup_key, public_part
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.programs import embedded_program
from tekup_migrate.rehearsal.supabase import connect_as_superuser
from tests.backup.conftest import Ledger
from tests.backup.test_drill import backed_up
from tests.servers import SharedServer

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not shutil.which("sha256sum"), reason="the commands are for a POSIX shell with sha256sum"
)


async def test_the_commands_of_restore_md_restore_every_row(
    ledger: Ledger, root: Path, target_server: SharedServer
) -> None:
    folder = await backed_up(ledger, root, plain=True)
    text = (folder / "RESTORE.md").read_text(encoding="utf-8")
    whole, _, restore, older, *_ = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    listing = "".join(restore.splitlines(keepends=True)[:2])
    needed = "\n".join(re.findall(r"```sql\n(.*?)```", text, re.DOTALL)[:1])
    server = target_server.server
    for number, commands in enumerate((restore, listing + older, "psql -X -v ON_ERROR_STOP=1 -f plain.sql")):
        name = f"by_hand_{number}_{os.getpid()}"
        environment = {
            **os.environ,
            "PATH": f"{embedded_program('psql', 18).parent}{os.pathsep}{os.environ['PATH']}",
            "PGHOST": server.host,
            "PGPORT": str(server.port),
            "PGUSER": server.superuser,
            "PGPASSWORD": server.password.reveal(),
            "PGDATABASE": name,
        }
        administrator = await connect_as_superuser(server)
        await administrator.execute(f"CREATE DATABASE {name}")
        try:
            connection = await connect_as_superuser(server, name)
            await connection.execute(needed)
            # What a Supabase project has by itself.
            await connection.execute("CREATE SCHEMA auth")
            await connection.execute("CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql RETURN NULL::uuid")
            await connection.close()
            if number == 0:
                _run(whole, folder, environment)
            _run(commands, folder, environment)
            url = ConnectionUrl(user=server.superuser, host=server.host, port=server.port, database=name)
            changes = await changes_since(folder, url, server.password, listen=lambda _: None, gate=Gate())
            assert len(changes) == len(Manifest.load(folder).tables)
            assert await verify_archive(folder) == ()
            assert all(change.equal for change in changes), (commands, changes)
        finally:
            await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await administrator.close()


def _run(commands: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (commands, done.stdout, done.stderr)


AGE = """
# Stands in for the program age, which build machines do not have: the same file format, by the library pyrage.
import sys, pyrage
options = dict(zip(sys.argv[2:-1:2], sys.argv[3:-1:2]))
key = pyrage.x25519.Identity.from_str(open(options["--identity"]).read().strip())
pyrage.decrypt_file(sys.argv[-1], options["--output"], [key])
"""


async def test_a_sealed_backup_opens_by_the_commands_of_its_restore_md(ledger: Ledger, root: Path) -> None:
    key = new_backup_key("abc")
    folder = await backed_up(ledger, root, plain=True, sealed_for=public_part(key))
    text = (folder / "RESTORE.md").read_text(encoding="utf-8")
    assert "secret-tool lookup service 'tekup-migrate/abc/backup key' username tekup-migrate" in text
    age, file = root / "bin" / "age", root / "the key.txt"
    age.parent.mkdir()
    script = age.with_name("age.py")
    script.write_text(AGE, encoding="utf-8")
    age.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n', encoding="utf-8")
    age.chmod(0o755)
    file.write_text(key.reveal(), encoding="utf-8")
    whole, opened, *_ = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    places = (str(age.parent), str(embedded_program("psql", 18).parent), os.environ["PATH"])
    _run(whole + opened, folder, {**os.environ, "PATH": os.pathsep.join(places), "KEY": str(file)})
    assert not list(folder.rglob("*.age"))
    assert b"account 7" in (folder / "plain.sql").read_bytes()
