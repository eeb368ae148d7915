"""RESTORE.md's commands do what they say, with nothing but Postgres' own tools and a shell."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tekup_migrate.backup.manifest import Manifest
from tekup_migrate.backup.restore import changes_since
from tekup_migrate.backup.verify import verify_archive
from tekup_migrate.credentials.age import new_backup_key, public_part
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.programs import embedded_program
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.rehearsal.directory import rehearsal_directory
from tekup_migrate.rehearsal.server import EmbeddedServer, running_server
from tekup_migrate.rehearsal.supabase import SupabaseDatabase, connect_as_superuser
from tests.backup.conftest import Ledger
from tests.backup.test_drill import backed_up
from tests.servers import SharedServer

if TYPE_CHECKING:
    import asyncpg

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not shutil.which("sha256sum"), reason="the commands are for a POSIX shell with sha256sum"
)


@dataclass(frozen=True)
class Place:
    """A database to follow RESTORE.md in, by hand: as somebody with a shell and Postgres' own tools does."""

    folder: Path
    url: ConnectionUrl
    password: Secret
    administrator: asyncpg.Connection

    def run(self, commands: str) -> None:
        """Run commands inside the backup's folder, with what the exports of the file would have set."""
        environment = {
            **os.environ,
            "PATH": f"{embedded_program('psql', 18).parent}{os.pathsep}{os.environ['PATH']}",
            "PGHOST": self.url.host,
            "PGPORT": str(self.url.port),
            "PGUSER": self.url.user,
            "PGPASSWORD": self.password.reveal(),
            "PGDATABASE": self.url.database,
        }
        _run(commands, self.folder, environment)

    def psql(self, sql: str) -> None:
        """Paste SQL into psql."""
        self.run(f"psql -X -v ON_ERROR_STOP=1 <<'END'\n{sql}\nEND")

    async def require_equal(self) -> None:
        """See every table as it was, and the backup untouched."""
        changes = await changes_since(self.folder, self.url, self.password, listen=lambda _: None, gate=Gate())
        assert len(changes) == len(Manifest.load(self.folder).tables)
        assert await verify_archive(self.folder) == ()
        assert all(change.equal for change in changes), changes


@dataclass(frozen=True)
class Written:
    """The commands of a RESTORE.md, verbatim."""

    shell: list[str]
    sql: list[str]

    @staticmethod
    def of(folder: Path) -> Written:
        text = (folder / "RESTORE.md").read_text(encoding="utf-8")
        return Written(*(re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("sh", "sql")))


@asynccontextmanager
async def emptied(folder: Path, server: EmbeddedServer, *, owner: str = "") -> AsyncIterator[Place]:
    """Make an empty database, for its ``owner`` where one is named, else for the superuser."""
    name = f"by_hand_{secrets.token_hex(4)}"
    administrator = await connect_as_superuser(server)
    await administrator.execute(f"CREATE DATABASE {name}" + (f" OWNER {owner}" if owner else ""))
    url = ConnectionUrl(user=server.superuser, host=server.host, port=server.port, database=name)
    try:
        yield Place(folder, url, server.password, administrator)
    finally:
        await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await administrator.close()


async def test_on_a_plain_server_the_commands_of_restore_md_bring_every_row_back(ledger: Ledger, root: Path) -> None:
    folder = await backed_up(ledger, root)
    written = Written.of(folder)
    whole, _, restore, _, _, one_table = written.shell
    async with rehearsal_directory() as directory, running_server(directory, name="bare", major=18) as server:
        async with emptied(folder, server) as place:
            place.run(whole)
            for sql in written.sql:
                place.psql(sql)
            place.run(restore)
            await place.require_equal()
            first = Manifest.load(folder).tables[0]
            place.psql(f"DROP TABLE {Relation(first.schema, first.name).sql} CASCADE")
            place.run(one_table)
            await place.require_equal()


async def test_where_roles_and_schemas_are_there_each_of_the_ways_of_restore_md_brings_every_row_back(
    ledger: Ledger, root: Path, target_server: SharedServer, target_database: SupabaseDatabase
) -> None:
    folder = await backed_up(ledger, root, plain=True)
    written = Written.of(folder)
    _, _, restore, as_postgres, older, *_ = written.shell
    listing = "".join(restore.splitlines(keepends=True)[:2])
    for commands in (listing + older, "psql -X -v ON_ERROR_STOP=1 -f plain.sql"):
        async with emptied(folder, target_server.server) as place:
            for sql in written.sql:
                place.psql(sql)
            place.run(commands)
            await place.require_equal()
    url = ConnectionUrl(
        user=target_database.user,
        host=target_database.host,
        port=target_database.port,
        database=target_database.database,
    )
    administrator = await connect_as_superuser(target_server.server)
    project = Place(folder, url, target_database.password, administrator)
    project.run(as_postgres)
    await project.require_equal()
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


STAND_IN = """
# For machines without the program age: the same file format, by the library pyrage.
import sys, pyrage
options = dict(zip(sys.argv[2:-1:2], sys.argv[3:-1:2]))
key = pyrage.x25519.Identity.from_str(open(options["--identity"]).read().strip())
pyrage.decrypt_file(sys.argv[-1], options["--output"], [key])
"""


@pytest.mark.parametrize(
    "real",
    [False, pytest.param(True, marks=pytest.mark.skipif(not shutil.which("age"), reason="age is not installed"))],
)
async def test_a_sealed_backup_opens_by_the_commands_of_its_restore_md(
    ledger: Ledger, root: Path, *, real: bool
) -> None:
    key = new_backup_key("abc")
    folder = await backed_up(ledger, root, plain=True, sealed_for=public_part(key))
    text = (folder / "RESTORE.md").read_text(encoding="utf-8")
    assert "secret-tool lookup service 'tekup-migrate/abc/backup key' username tekup-migrate" in text
    age, file = root / "bin" / "age", root / "the key.txt"
    age.parent.mkdir()
    if not real:
        script = age.with_name("age.py")
        script.write_text(STAND_IN, encoding="utf-8")
        age.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n', encoding="utf-8")
        age.chmod(0o755)
    file.write_text(key.reveal(), encoding="utf-8")
    whole, opened, *_ = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    places = (str(age.parent), str(embedded_program("psql", 18).parent), os.environ["PATH"])
    _run(whole + opened, folder, {**os.environ, "PATH": os.pathsep.join(places), "KEY": str(file)})
    assert not list(folder.rglob("*.age"))
    assert b"account 7" in (folder / "plain.sql").read_bytes()
