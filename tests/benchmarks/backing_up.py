"""How long a backup that has been restored and compared takes, against pg_dump alone, and how much memory.

    python -m tests.benchmarks.backing_up --rows 100000 --rounds 2

The contenders alternate, in one run on the same servers. Prints seconds, the ratio with its limit, and our peak memory
as a Markdown table, which ``backing_up.md`` beside this file keeps; exits 1 where the limit is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tekup_migrate.backup.child import clean_environment, run_program
from tekup_migrate.backup.drill import drill
from tekup_migrate.backup.dump import BackupRequest, backup_project
from tekup_migrate.backup.sealing import opened_backup
from tekup_migrate.backup.trial import RestoreTarget
from tekup_migrate.credentials.age import new_backup_key, public_part
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.programs import embedded_program
from tekup_migrate.rehearsal.directory import rehearsal_directory
from tekup_migrate.rehearsal.server import running_server
from tekup_migrate.rehearsal.supabase import GrantRegime, SupabaseDatabase
from tekup_migrate.steps import Verdict
from tests.benchmarks.tables import FILL, TABLES, VECTORS
from tests.servers import shared_server

LIMIT = 4.0


@dataclass
class Measured:
    """One contender's rounds: seconds of the backup and of its proof, the archive's size, our peak memory."""

    name: str
    backup: list[float] = field(default_factory=list)
    proof: list[float] = field(default_factory=list)
    bytes: int = 0
    memory: int = 0

    @property
    def seconds(self) -> float:
        """The median round."""
        return statistics.median(map(sum, zip(self.backup, self.proof, strict=True)))

    def __str__(self) -> str:
        parts = f"{statistics.median(self.backup):.1f} + {statistics.median(self.proof):.1f}"
        memory = f"{self.memory / 1e6:.0f}" if self.memory else ""
        return f"| {self.name} | {self.seconds:.1f} | {parts} | {self.bytes / 1e6:.0f} | {memory} |"


async def measure(database: SupabaseDatabase, rows: int, rounds: int) -> bool:
    """Fill a database, measure all ways and print them; whether the ratio is within its limit."""
    connection = await database.connect()
    await connection.execute("SET statement_timeout = 0; SET search_path = public, extensions;" + TABLES)
    await connection.execute(FILL.format(rows=rows, vectors=VECTORS))
    await connection.close()
    alone = Measured("pg_dump -Fd -j2 -Z gzip:1 alone")
    ours = Measured("backup, restored and compared")
    sealed = Measured("the same, sealed with age and opened again")
    async with rehearsal_directory() as directory, running_server(directory, name="drill", major=16) as server:
        url = ConnectionUrl(user=server.superuser, host=server.host, port=server.port, database="postgres")
        target = RestoreTarget(url, server.password)
        for _ in range(rounds):
            await _pg_dump_alone(database, alone)
            await _watched(database, target, ours, seal=False)
            await _watched(database, target, sealed, seal=True)
    ratio = ours.seconds / alone.seconds
    _say(f"{_conditions(rows, rounds)}\n")
    _say("| what | median seconds | backup + proof | MB on disk | our peak memory, MB |")
    _say("| --- | --- | --- | --- | --- |")
    _say("\n".join(map(str, (alone, ours, sealed))))
    _say(
        f"\nRatio of the second to the first: {ratio:.2f}, at most {LIMIT}; sealed {sealed.seconds / alone.seconds:.2f}."
    )
    return ratio <= LIMIT


async def _pg_dump_alone(database: SupabaseDatabase, measured: Measured) -> None:
    environment = clean_environment({"PGPASSWORD": database.password.reveal(), "PGDATABASE": database.database})
    where = [f"--host={database.host}", f"--port={database.port}", f"--username={database.user}"]
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "alone"
        options = ["-Fd", "-j2", "-Z", "gzip:1", "-n", "public", f"--file={folder}"]
        began = time.monotonic()
        finished = await run_program([embedded_program("pg_dump", 16), *where, *options], environment=environment)
        assert finished.code == 0, finished.said
        measured.backup.append(time.monotonic() - began)
        measured.proof.append(0.0)
        measured.bytes = sum(path.stat().st_size for path in folder.iterdir())


async def _watched(database: SupabaseDatabase, target: RestoreTarget, measured: Measured, *, seal: bool) -> None:
    watching = asyncio.create_task(_watch_memory())
    with tempfile.TemporaryDirectory() as folder:
        await _ours(database, Path(folder), target, measured, seal=seal)
    watching.cancel()
    measured.memory = max(measured.memory, await watching)


async def _ours(
    database: SupabaseDatabase, root: Path, target: RestoreTarget, measured: Measured, *, seal: bool
) -> None:
    url = ConnectionUrl(user=database.user, host=database.host, port=database.port, database=database.database)
    key = new_backup_key("measured") if seal else None
    request = BackupRequest(
        url=url,
        password=database.password,
        name="measured",
        installed=False,
        sealed_for=public_part(key) if key is not None else "",
    )
    began = time.monotonic()
    folder, manifest = await backup_project(request, root, listen=lambda _: None, gate=Gate())
    dumped = time.monotonic()
    async with opened_backup(folder, key) as opened:
        result = await drill(opened, target, listen=lambda _: None, gate=Gate())
    assert result.verdict is Verdict.PASSED, result.left_out
    measured.backup.append(dumped - began)
    measured.proof.append(time.monotonic() - dumped)
    measured.bytes = manifest.bytes


async def _watch_memory() -> int:
    process, peak = psutil.Process(), 0
    try:
        while True:
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        return peak


def _conditions(rows: int, rounds: int) -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GB, Postgres 16 to 16, {rows} documents + {rows} × 1536 vectors, {rounds} rounds, "
        f"load {psutil.getloadavg()[0]:.1f} at the end."
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def _main(rows: int, rounds: int) -> bool:
    source = shared_server(name="source", major=16, grants=GrantRegime.EVERYTHING)
    shared = await asyncio.to_thread(source.__enter__)
    try:
        async with shared.fresh_database() as database:
            return await measure(database, rows, rounds)
    finally:
        await asyncio.to_thread(source.__exit__, None, None, None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    sys.exit(0 if asyncio.run(_main(arguments.rows, arguments.rounds)) else 1)
