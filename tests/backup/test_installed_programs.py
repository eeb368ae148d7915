"""An installed Postgres with TLS: its own pg_dump verifies the server, and the embedded one goes through the relay."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import certifi
import pytest

from tekup_migrate.backup.access import open_access
from tekup_migrate.backup.child import run_program
from tekup_migrate.backup.drill import drill
from tekup_migrate.backup.dump import BackupRequest, backup_project
from tekup_migrate.backup.programs import choose_programs, installed_programs
from tekup_migrate.backup.restore import changes_since, restore_in_place
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.connection import connect, tls_context
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.rehearsal.account import account_arguments, hand_over, server_account
from tekup_migrate.rehearsal.server import free_port
from tekup_migrate.steps import Verdict
from tests.backup.certificates import HOST, Authority
from tests.backup.test_drill import restore_target
from tests.servers import SharedServer

_INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))

pytestmark = pytest.mark.skipif(not _INSTALLED, reason="no Postgres server with TLS is installed on this machine")

AWKWARD = "p@ss:w/o?r#d %20 'quoted' \"double\" \\back $HOME `x` æøå =host=evil"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an unprivileged server may enter, which pytest's own is not when root runs it."""
    with tempfile.TemporaryDirectory(prefix="tls server ") as made:
        account = server_account()
        hand_over(Path(made), account)
        yield Path(made)


@pytest.fixture
def tls_only_server(folder: Path, authority: Authority) -> Iterator[ConnectionUrl]:
    """An installed server that takes SCRAM over TLS only, with a password of every awkward character."""
    account = server_account()
    bin_folder = _INSTALLED[-1].parent
    cluster, port = folder / "cluster", free_port()
    password = folder / "password"
    password.write_text(AWKWARD, encoding="utf-8")
    hand_over(password, account)
    initdb = [str(bin_folder / "initdb"), "-D", str(cluster), "-U", "postgres", "--auth=scram-sha-256", "--no-sync"]
    _run([*initdb, f"--pwfile={password}", "--encoding=UTF8"], folder)
    for file in authority.issue(folder):
        hand_over(file, account)
    (cluster / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n", encoding="utf-8")
    with (cluster / "postgresql.conf").open("a", encoding="utf-8") as conf:
        conf.write(
            f"port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\nssl = on\n"
            f"ssl_cert_file = '{folder / 'server.crt'}'\nssl_key_file = '{folder / 'server.key'}'\n"
        )
    control = [str(bin_folder / "pg_ctl"), "-D", str(cluster), "-w", "-l", str(folder / "log")]
    _run([*control, "start"], folder)
    try:
        yield ConnectionUrl(user="postgres", host=HOST, port=port, database="postgres")
    finally:
        _run([*control, "-m", "immediate", "stop"], folder)


def _run(argv: list[str], folder: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    said = subprocess.DEVNULL
    arguments = account_arguments(server_account())
    subprocess.run(argv, cwd=folder, env=environment, stdout=said, stderr=said, check=True, **arguments)


@pytest.mark.parametrize("installed", [True, False])
async def test_a_tls_only_server_with_an_awkward_password_is_backed_up_drilled_and_restored(
    tls_only_server: ConnectionUrl, tmp_path: Path, target_server: SharedServer, *, installed: bool
) -> None:
    password = Secret(AWKWARD, kind="database password")
    await _execute(tls_only_server, password, 'CREATE TABLE public."æ; b" AS SELECT generate_series(1, 30) AS id')
    request = BackupRequest(url=tls_only_server, password=password, name="ledger", installed=installed)
    folder, manifest = await backup_project(request, tmp_path / "a b", listen=lambda _: None, gate=Gate())
    used = {programs.version for programs in await installed_programs()}
    assert (manifest.dump_version in used) is installed
    result = await drill(folder, restore_target(target_server), listen=lambda _: None, gate=Gate())
    assert result.verdict is Verdict.PASSED, result
    await _execute(tls_only_server, password, 'DELETE FROM public."æ; b" WHERE id > 10')
    live = (folder, tls_only_server, password)
    [change] = await changes_since(*live, listen=lambda _: None, gate=Gate())
    assert (change.rows_now, change.rows_then) == (10, 30)
    # An archive of the embedded 16 can only be restored by the embedded programs here, which go through the relay.
    restored = await restore_in_place(*live, listen=lambda _: None, gate=Gate())
    assert restored.verdict is Verdict.PASSED


async def _execute(url: ConnectionUrl, password: Secret, statement: str) -> None:
    connection = await connect(url, password)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("installed", [True, False])
async def test_an_unknown_authority_gets_neither_a_password_nor_a_backup(
    tls_only_server: ConnectionUrl,
    tmp_path: Path,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    *,
    installed: bool,
) -> None:
    other = Authority.make().write(tmp_path / "other.pem")
    monkeypatch.setattr(certifi, "where", lambda: str(other))
    tls_context.cache_clear()
    password = Secret(AWKWARD, kind="database password")
    request = BackupRequest(url=tls_only_server, password=password, name="ledger", installed=installed)
    with pytest.raises(MigrationError):
        await backup_project(request, tmp_path / "a b", listen=lambda _: None, gate=Gate())


async def test_an_installed_pg_dump_itself_verifies_the_server(
    tls_only_server: ConnectionUrl, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = Secret(AWKWARD, kind="database password")
    [programs, *_] = await installed_programs()
    assert programs.tls
    ended = []
    for trusted in (certifi.where(), str(Authority.make().write(tmp_path / "other.pem"))):
        monkeypatch.setattr(certifi, "where", lambda trusted=trusted: trusted)
        async with open_access(tls_only_server, password, programs) as access:
            dump = [str(programs.dump), *access.options, "--schema-only", f"--file={tmp_path / 'out.sql'}"]
            ended.append(await run_program(dump, environment=access.environment))
    assert [each.code for each in ended] == [0, 1]
    assert "certificate verify failed" in ended[1].said


async def test_the_server_itself_refuses_plaintext(tls_only_server: ConnectionUrl) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await asyncpg.connect(
            host="127.0.0.1",
            port=tls_only_server.port,
            user="postgres",
            password=AWKWARD,
            database="postgres",
            ssl=False,
        )


async def test_the_oldest_program_that_is_new_enough_is_chosen() -> None:
    majors = {programs.major for programs in await installed_programs()}
    assert majors
    assert (await choose_programs(min(majors))).major == min(majors)
    assert (await choose_programs(18, installed=False)).embedded
    with pytest.raises(MigrationError, match="No pg_dump for Postgres 99"):
        await choose_programs(99)
