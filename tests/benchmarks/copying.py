"""How fast rows are copied, against the ways people use, in one run on the same two servers.

    python -m tests.benchmarks.copying --rows 100000 --rounds 3

The contenders alternate; the target's tables are emptied before each. Prints medians, ratios and bytes as a Markdown
table, which ``copying.md`` beside this file keeps.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tekup_migrate.postgres.programs import embedded_program
from tekup_migrate.rehearsal.supabase import GrantRegime, SupabaseDatabase, connect_as_superuser, owned_database
from tests.benchmarks.tables import CHANGE_AT_RANDOM, CHANGE_CLUSTERED, FILL, NAMES, TABLES, VECTORS
from tests.servers import SharedServer, shared_server

LIMITS = {
    "ours / raw binary pipe": 1.20,
    "ours / written plan": 0.27,
    "ours / pgcopydb": 0.40,
    "second pass, nothing changed / first": 0.30,
    "second pass, 1 % at random / first": 0.60,
    "second pass, 1 % clustered / first": 0.32,
    "killed half way and resumed / first": 1.25,
    "bytes ours / text dump": 0.40,
}


@dataclass
class Measured:
    """Seconds and bytes of every contender, a value a round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)

    def note(self, name: str, seconds: float, sent: int = 0) -> None:
        self.seconds.setdefault(name, []).append(seconds)
        if sent:
            self.bytes[name] = sent
        _say(f"{name}: {seconds:.2f} s, {sent / 1e6:.1f} MB")

    def median(self, name: str) -> float | None:
        return statistics.median(self.seconds[name]) if name in self.seconds else None


@dataclass(frozen=True)
class Bench:
    """Two databases with the benchmark's tables, and the ways to copy between them."""

    source: SupabaseDatabase
    target: SupabaseDatabase
    servers: tuple[SharedServer, SharedServer]
    folder: Path
    rows: int
    measured: Measured = field(default_factory=Measured)

    def program(self, name: str) -> str:
        return str(embedded_program(name, 18))

    def environment(self, database: SupabaseDatabase) -> dict[str, str]:
        return os.environ | {"PGPASSWORD": database.password.reveal(), "PGOPTIONS": "-c statement_timeout=0"}

    def sql(self, database: SupabaseDatabase, statement: str) -> None:
        command = [self.program("psql"), "-Xqd", database.dsn, "-v", "ON_ERROR_STOP=1", "-c", statement]
        subprocess.run(command, env=self.environment(database), check=True, stdout=subprocess.DEVNULL)

    def empty_target(self) -> None:
        self.sql(self.target, f"TRUNCATE {', '.join(NAMES)}")
        asyncio.run(_checkpoint(self.servers))

    def dump(self, **options: object) -> subprocess.Popen[bytes]:
        command = [self.program("pg_dump"), "--data-only", *[f"--table=public.{name}" for name in NAMES]]
        command += ["--dbname", self.source.dsn]
        return subprocess.Popen(command, env=self.environment(self.source), **options)  # type: ignore[call-overload,no-any-return]

    def psql_from(self, source: object) -> None:
        command = [self.program("psql"), "-Xqd", self.target.dsn, "-v", "ON_ERROR_STOP=1"]
        environment = self.environment(self.target)
        subprocess.run(command, env=environment, stdin=source, check=True, stdout=subprocess.DEVNULL)  # type: ignore[call-overload]

    def written_plan(self) -> None:
        path = self.folder / "dump.sql"
        began = time.monotonic()
        with path.open("wb") as file:
            self.dump(stdout=file).wait()
        with path.open("rb") as file:
            self.psql_from(file)
        for database in (self.source, self.target):
            for name in NAMES:
                self.sql(database, f"SELECT count(*) FROM {name}")
        self.measured.note("written plan", time.monotonic() - began, path.stat().st_size)
        path.unlink()

    def piped(self) -> None:
        began = time.monotonic()
        with self.dump(stdout=subprocess.PIPE) as dump:
            self.psql_from(dump.stdout)
        self.measured.note("pg_dump piped to psql", time.monotonic() - began)

    def raw_pipe(self) -> None:
        began = time.monotonic()
        for name in NAMES:
            read = [self.program("psql"), "-Xqd", self.source.dsn, "-c", f"COPY {name} TO STDOUT (FORMAT binary)"]
            write = [self.program("psql"), "-Xqd", self.target.dsn, "-c", f"COPY {name} FROM STDIN (FORMAT binary)"]
            with subprocess.Popen(read, env=self.environment(self.source), stdout=subprocess.PIPE) as reading:
                subprocess.run(write, env=self.environment(self.target), stdin=reading.stdout, check=True)
        self.measured.note("raw binary pipe", time.monotonic() - began)

    def pgcopydb(self) -> None:
        program = shutil.which("pgcopydb")
        if program is None:
            return
        work = self.folder / "pgcopydb"
        command = [program, "copy", "table-data", "--table-jobs", "2", "--dir", str(work), "--restart"]
        environment = os.environ | {
            "PGCOPYDB_SOURCE_PGURI": self.source.url.reveal(),
            "PGCOPYDB_TARGET_PGURI": self.target.url.reveal(),
        }
        began = time.monotonic()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        self.measured.note("pgcopydb", time.monotonic() - began)

    def start_ours(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "SOURCE_URL": self.source.dsn,
            "SOURCE_PASSWORD": self.source.password.reveal(),
            "TARGET_URL": self.target.dsn,
            "TARGET_PASSWORD": self.target.password.reveal(),
        }
        command = [sys.executable, "-m", "tests.benchmarks.ours"]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)

    def ours(self, name: str) -> float:
        began = time.monotonic()
        process = self.start_ours()
        peak = _peak_memory(process)
        output = process.stdout.read() if process.stdout else b""
        seconds = time.monotonic() - began
        found = json.loads(output)
        assert found["equal"], "the copy was not proved"
        self.measured.memory.append(peak)
        self.measured.note(name, seconds, found["bytes"])
        _say(f"    {found}, {peak / 1e6:.0f} MB resident")
        return seconds

    def killed(self) -> None:
        half = (self.measured.median("ours") or 2.0) / 2
        began = time.monotonic()
        process = self.start_ours()
        time.sleep(half)
        process.kill()
        process.wait()
        first = time.monotonic() - began
        self.measured.note("ours, killed and resumed", first + self.ours("ours, the resume"))

    def later_passes(self) -> None:
        self.ours("ours, nothing changed")
        for name, change in (("ours, 1 % at random", CHANGE_AT_RANDOM), ("ours, 1 % clustered", CHANGE_CLUSTERED)):
            self.sql(self.source, change.format(rows=self.rows))
            self.ours(name)


async def _checkpoint(servers: tuple[SharedServer, ...]) -> None:
    for shared in servers:
        connection = await connect_as_superuser(shared.server)
        try:
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()


def _peak_memory(process: subprocess.Popen[bytes]) -> int:
    """Watch a process until it ends and return the most resident bytes that were seen."""
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    return peak


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _ratio(upper: float | None, lower: float | None) -> float | None:
    return upper / lower if upper is not None and lower is not None else None


def report(bench: Bench) -> str:
    """Return what was measured as Markdown."""
    measured = bench.measured
    first = measured.median("ours")
    found = {
        "ours / raw binary pipe": _ratio(first, measured.median("raw binary pipe")),
        "ours / written plan": _ratio(first, measured.median("written plan")),
        "ours / pgcopydb": _ratio(first, measured.median("pgcopydb")),
        "second pass, nothing changed / first": _ratio(measured.median("ours, nothing changed"), first),
        "second pass, 1 % at random / first": _ratio(measured.median("ours, 1 % at random"), first),
        "second pass, 1 % clustered / first": _ratio(measured.median("ours, 1 % clustered"), first),
        "killed half way and resumed / first": _ratio(measured.median("ours, killed and resumed"), first),
        "bytes ours / text dump": _ratio(measured.bytes.get("ours"), measured.bytes.get("written plan")),
    }
    memory = psutil.virtual_memory().total / 2**30
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GB, Postgres 16 → 18, {bench.rows} documents + {bench.rows} × 1536 vectors, "
        f"{len(measured.seconds.get('ours', []))} rounds, load {psutil.getloadavg()[0]:.1f} at the end.",
        "",
        "| contender | median seconds | MB read from the source |",
        "| --- | --- | --- |",
    ]
    for name in measured.seconds:
        size = f"{measured.bytes[name] / 1e6:.0f}" if name in measured.bytes else ""
        lines.append(f"| {name} | {measured.median(name):.2f} | {size} |")
    lines += ["", "| ratio | measured | at most |", "| --- | --- | --- |"]
    for name, limit in LIMITS.items():
        ratio = found[name]
        lines.append(f"| {name} | {'not measured' if ratio is None else f'{ratio:.2f}'} | {limit:.2f} |")
    lines += ["", f"Peak resident memory of our process: {max(measured.memory) / 1e6:.0f} MB."]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only-ours", action="store_true", help="leave the text contenders out")
    options = parser.parse_args()
    with ExitStack() as stack:
        source = stack.enter_context(
            shared_server(name="source", major=16, grants=GrantRegime.EVERYTHING, durable=True)
        )
        target = stack.enter_context(shared_server(name="target", major=18, grants=GrantRegime.NOTHING, durable=True))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        bench = Bench(
            source=owned_database(source.server, "shim_template", source.password),
            target=owned_database(target.server, "shim_template", target.password),
            servers=(source, target),
            folder=folder,
            rows=options.rows,
        )
        bench.sql(bench.source, TABLES + FILL.format(rows=options.rows, vectors=VECTORS))
        bench.sql(bench.target, TABLES)
        text: list[Callable[[], None]] = [bench.written_plan, bench.piped, bench.pgcopydb]
        for _ in range(options.rounds):
            for contender in [*([] if options.only_ours else text), bench.raw_pipe]:
                bench.empty_target()
                contender()
            bench.empty_target()
            bench.ours("ours")
            bench.later_passes()
            bench.empty_target()
            bench.killed()
        sys.stdout.write(report(bench) + "\n")


if __name__ == "__main__":
    main()
