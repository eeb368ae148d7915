"""How long a backup that has been restored and compared takes, against pg_dump alone, and how much memory.

    python -m tests.benchmarks.backing_up --rows 100000

The two alternate, in one run on the same servers. Prints seconds, the ratio with its limit, and our peak memory.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tekup_migrate.backup.child import clean_environment, run_program
from tekup_migrate.backup.drill import RestoreTarget, drill
from tekup_migrate.backup.dump import BackupRequest, backup_project
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


async def measure(database: SupabaseDatabase, rows: int, rounds: int) -> bool:
    """Fill a database, measure both ways and print them; whether the ratio is within its limit."""
    connection = await database.connect()
    await connection.execute("SET statement_timeout = 0; SET search_path = public, extensions;" + TABLES)
    await connection.execute(FILL.format(rows=rows, vectors=VECTORS))
    await connection.close()
    alone, ours = [], []
    memory = 0
    async with rehearsal_directory() as directory, running_server(directory, name="drill", major=16) as server:
        url = ConnectionUrl(user=server.superuser, host=server.host, port=server.port, database="postgres")
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                alone.append(await _pg_dump_alone(database, Path(folder) / "alone"))
            with tempfile.TemporaryDirectory() as folder:
                watching = asyncio.create_task(_watch_memory())
                ours.append(await _ours(database, Path(folder), RestoreTarget(url, server.password)))
                watching.cancel()
                memory = max(memory, await watching)
    ratio = statistics.median(ours) / statistics.median(alone)
    _say(f"| pg_dump -Fd -j2 -Z 1 alone | {statistics.median(alone):.1f} s |")
    _say(f"| dump, restore and comparison | {statistics.median(ours):.1f} s |")
    _say(f"| ratio, at most {LIMIT} | {ratio:.2f} |")
    _say(f"| our resident memory at its peak | {memory / 1e6:.0f} MB |")
    return ratio <= LIMIT


async def _pg_dump_alone(database: SupabaseDatabase, folder: Path) -> float:
    environment = clean_environment({"PGPASSWORD": database.password.reveal(), "PGDATABASE": database.database})
    where = [f"--host={database.host}", f"--port={database.port}", f"--username={database.user}"]
    options = ["-Fd", "-j2", "-Z", "gzip:1", "-n", "public", f"--file={folder}"]
    began = time.monotonic()
    finished = await run_program([embedded_program("pg_dump", 16), *where, *options], environment=environment)
    assert finished.code == 0, finished.said
    return time.monotonic() - began


async def _ours(database: SupabaseDatabase, root: Path, target: RestoreTarget) -> float:
    url = ConnectionUrl(user=database.user, host=database.host, port=database.port, database=database.database)
    request = BackupRequest(url=url, password=database.password, name="measured", installed=False)
    began = time.monotonic()
    folder, _ = await backup_project(request, root, listen=lambda _: None, gate=Gate())
    dumped = time.monotonic()
    result = await drill(folder, target, listen=lambda _: None, gate=Gate())
    assert result.verdict is Verdict.PASSED, result.left_out
    _say(f"backup {dumped - began:.1f} s, drill {time.monotonic() - dumped:.1f} s")
    return time.monotonic() - began


async def _watch_memory() -> int:
    process, peak = psutil.Process(), 0
    try:
        while True:
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        return peak


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
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    sys.exit(0 if asyncio.run(_main(arguments.rows, arguments.rounds)) else 1)
