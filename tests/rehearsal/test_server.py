"""Embedded servers: loopback only, unprivileged, from any path, and gone afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import BUILT_IN, read_plan
from tekup_migrate.postgres.programs import embedded_installation
from tekup_migrate.rehearsal import server as server_module
from tekup_migrate.rehearsal.account import Account, server_account
from tekup_migrate.rehearsal.directory import rehearsal_directory
from tekup_migrate.rehearsal.opening import rehearsal_opening
from tekup_migrate.rehearsal.server import running_server, start_server
from tekup_migrate.rehearsal.supabase import connect_as_superuser
from tekup_migrate.removal import remove_tree
from tekup_migrate.unattended import UnattendedOperator
from tests.servers import SharedServer

HOLDS_A_SERVER = """
import asyncio, signal, sys
from pathlib import Path
from tekup_migrate.rehearsal.directory import rehearsal_directory
from tekup_migrate.rehearsal.server import running_server

# A shell has what it runs in the background ignore SIGINT, and the tests may be run so.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def hold():
    async with rehearsal_directory(Path(sys.argv[1])) as directory:
        async with running_server(directory, name="held", major=18) as server:
            print(server.port, flush=True)
            await asyncio.sleep(60)

asyncio.run(hold())
"""


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder with a space in its name that other accounts may pass through, unlike root's ``tmp_path``."""
    made = Path(tempfile.mkdtemp(prefix="tekup tests "))
    made.chmod(0o711)
    yield made.resolve()
    remove_tree(made)


def processes_in(path: Path) -> list[str]:
    """The command lines of all processes that name ``path``, but for the test's own children that hold it."""
    lines = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(path) in line:
            lines.append(line)
    return lines


async def wait_until_gone(path: Path, seconds: float = 8) -> None:
    limit = time.monotonic() + seconds
    while (path.exists() or processes_in(path)) and time.monotonic() < limit:
        await asyncio.sleep(0.05)


async def test_a_server_runs_from_a_path_with_a_space_and_leaves_nothing(open_path: Path) -> None:
    path = open_path / "a rehearsal"
    async with (
        rehearsal_directory(path) as directory,
        running_server(directory, name="source", major=16) as server,
    ):
        connection = await connect_as_superuser(server)
        assert (await connection.fetchval("SHOW server_version")).startswith("16.")
        assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
        assert await connection.fetchval("SHOW max_connections") == "60"
        await connection.close()
        assert server.seconds_to_start > 0
        assert not (server.folder / "superuser-password").exists()
    assert not path.exists()
    assert processes_in(path) == []


async def test_a_wrong_password_is_refused(source_server: SharedServer) -> None:
    server = source_server.server
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            host=server.host, port=server.port, user=server.superuser, password="wrong", database="postgres"
        )


async def test_cancelling_stops_the_server(open_path: Path) -> None:
    path = open_path / "cancelled"
    started = asyncio.Event()

    async def hold() -> None:
        async with rehearsal_directory(path) as directory, running_server(directory, name="held", major=18):
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(hold())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_until_gone(path)
    assert not path.exists()
    assert processes_in(path) == []


async def test_cancelling_in_the_middle_of_starting_leaves_nothing(open_path: Path) -> None:
    path = open_path / "cancelled early"

    async def hold() -> None:
        async with rehearsal_directory(path) as directory:
            await start_server(directory, name="held", major=18)

    task = asyncio.create_task(hold())
    await asyncio.sleep(0.25)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_until_gone(path)
    assert not path.exists()
    assert processes_in(path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_killing_our_process_takes_the_server_with_it(open_path: Path, number: int) -> None:
    path = open_path / "killed"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLDS_A_SERVER,
        str(path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert int(await process.stdout.readline()) > 0
    assert any("postgres" in line for line in processes_in(path))
    process.send_signal(number)
    await process.wait()
    await wait_until_gone(path)
    assert processes_in(path) == []
    assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
async def test_killing_our_process_while_a_server_starts_leaves_nothing(open_path: Path) -> None:
    path = open_path / "killed early"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLDS_A_SERVER,
        str(path),
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    while not (path / "held" / "cluster" / "base").exists():
        await asyncio.sleep(0.005)
    process.kill()
    await process.wait()
    await wait_until_gone(path)
    assert processes_in(path) == []
    assert not path.exists()


async def test_keeping_leaves_the_files_but_no_process(open_path: Path) -> None:
    path = open_path / "kept"
    async with rehearsal_directory(path, keep=True) as directory:
        await start_server(directory, name="target", major=18)
    assert (path / "target" / "cluster").exists()
    assert processes_in(path) == []


async def test_no_room_on_the_disk_is_said_before_anything_starts(open_path: Path) -> None:
    async with rehearsal_directory(open_path / "full") as directory:
        with pytest.raises(MigrationError, match="Not enough room"):
            await start_server(directory, name="source", major=16, room=2**60)
        assert not (directory.path / "source").exists()


async def test_a_directory_that_is_not_empty_is_refused_and_kept(open_path: Path) -> None:
    (open_path / "mine.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(MigrationError, match="cannot use this directory"):
        async with rehearsal_directory(open_path):
            pass
    assert (open_path / "mine.txt").read_text(encoding="utf-8") == "precious"


@pytest.mark.skipif(server_account() is None, reason="only root hands servers to another account")
async def test_a_directory_closed_to_the_servers_account_is_refused_unchanged(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(MigrationError, match="cannot use this directory"):
        async with rehearsal_directory(tmp_path / "inside"):
            pass
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "inside").exists()


@pytest.mark.skipif(server_account() is None, reason="only root hands servers to another account")
async def test_programs_in_a_closed_folder_are_copied_and_run(open_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = server_account()
    assert account is not None
    package = embedded_installation(18).parent
    reaches = Account.reaches
    monkeypatch.setattr(Account, "reaches", lambda self, path: not path.is_relative_to(package) and reaches(self, path))
    async with (
        rehearsal_directory(open_path / "copied") as directory,
        running_server(directory, name="target", major=18) as server,
    ):
        assert server.installation.is_relative_to(directory.path)
        connection = await connect_as_superuser(server)
        await connection.execute("CREATE EXTENSION vector")
        await connection.close()


async def test_a_port_taken_at_the_last_moment_is_replaced_by_another(
    open_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = iter([port, port, server_module.free_port()])
        monkeypatch.setattr(server_module, "free_port", lambda: next(ports))
        async with (
            rehearsal_directory(open_path / "taken") as directory,
            running_server(directory, name="target", major=18) as server,
        ):
            assert server.port != port
            connection = await connect_as_superuser(server)
            await connection.close()


async def test_a_server_that_cannot_start_says_why(open_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_configuration", lambda *_args, **_kwargs: "no_such_setting = 1\n")
    async with rehearsal_directory(open_path / "broken") as directory:
        with pytest.raises(MigrationError, match="no_such_setting"):
            await start_server(directory, name="target", major=18)


@pytest.mark.parametrize(("keep", "fate"), [(False, "everything of it is removed"), (True, "its files are kept")])
async def test_what_became_of_the_files_is_said_also_where_the_rehearsal_breaks_off(
    open_path: Path, keep: bool, fate: str
) -> None:
    told: list[str] = []
    place = open_path / "place"
    opening = rehearsal_opening(
        read_plan(BUILT_IN), open_path / "no world", directory=place, keep=keep, ended=told.append
    )
    with pytest.raises(MigrationError):
        async with opening(UnattendedOperator(), lambda _: None):
            pass
    assert told == [f"The rehearsal is over, and {fate}: {place}"]
    assert place.exists() is keep
