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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tekup_migrate.postgres.programs import embedded_program
from tekup_migrate.rehearsal.supabase import GrantRegime, SupabaseDatabase, connect_as_superuser, owned_database
from tests.benchmarks.clock import Cost, Costs
from tests.benchmarks.tables import CHANGE_AT_RANDOM, CHANGE_CLUSTERED, FILL, NAMES, TABLES, VECTORS
from tests.servers import SharedServer, shared_server


@dataclass(frozen=True)
class Bench:
    """Two databases with the benchmark's tables, and the ways to copy between them."""

    source: SupabaseDatabase
    target: SupabaseDatabase
    servers: tuple[SharedServer, SharedServer]
    folder: Path
    rows: int
    costs: Costs
    memory: list[int] = field(default_factory=list)

    def program(self, name: str) -> str:
        return str(embedded_program(name, 18))

    def environment(self, database: SupabaseDatabase) -> dict[str, str]:
        return os.environ | {"PGPASSWORD": database.password.reveal(), "PGOPTIONS": "-c statement_timeout=0"}

    def sql(self, database: SupabaseDatabase, statement: str) -> None:
        command = [self.program("psql"), "-Xqd", database.dsn, "-v", "ON_ERROR_STOP=1", "-c", statement]
        subprocess.run(command, env=self.environment(database), check=True, stdout=subprocess.DEVNULL)

    @contextmanager
    def measured(self, name: str) -> Iterator[Cost]:
        """Measure a contender and say what it cost."""
        with self.costs.of(name) as cost:
            yield cost
        processor = " + ".join(f"{each:.1f}" for each in cost.processor)
        _say(f"{name}: {cost.seconds:.2f} s, processors {processor} s, {cost.sent / 1e6:.1f} MB")

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
        with self.measured("written plan") as cost:
            with path.open("wb") as file:
                self.dump(stdout=file).wait()
            with path.open("rb") as file:
                self.psql_from(file)
            for database in (self.source, self.target):
                for name in NAMES:
                    self.sql(database, f"SELECT count(*) FROM {name}")
            cost.sent = path.stat().st_size
        path.unlink()

    def piped(self) -> None:
        with self.measured("pg_dump piped to psql"), self.dump(stdout=subprocess.PIPE) as dump:
            self.psql_from(dump.stdout)

    def raw_pipe(self) -> None:
        with self.measured("raw binary pipe"):
            for name in NAMES:
                read = [self.program("psql"), "-Xqd", self.source.dsn, "-c", f"COPY {name} TO STDOUT (FORMAT binary)"]
                write = [self.program("psql"), "-Xqd", self.target.dsn, "-c", f"COPY {name} FROM STDIN (FORMAT binary)"]
                with subprocess.Popen(read, env=self.environment(self.source), stdout=subprocess.PIPE) as reading:
                    subprocess.run(write, env=self.environment(self.target), stdin=reading.stdout, check=True)

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
        with self.measured("pgcopydb"):
            subprocess.run(command, env=environment, check=True, capture_output=True)

    def start_ours(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "SOURCE_URL": self.source.dsn,
            "SOURCE_PASSWORD": self.source.password.reveal(),
            "TARGET_URL": self.target.dsn,
            "TARGET_PASSWORD": self.target.password.reveal(),
            "PROVED": str(self.folder / "proved-rows.sqlite3"),
        }
        command = [sys.executable, "-m", "tests.benchmarks.ours"]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)

    def ours(self, name: str) -> None:
        with self.measured(name) as cost:
            cost.sent = self.finish_ours(self.start_ours())

    def finish_ours(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for a copy of ours, and return the bytes that it sent; its memory is noted."""
        peak = _peak_memory(process)
        found = json.loads(process.stdout.read() if process.stdout else b"")
        process.wait()
        assert found["equal"], "the copy was not proved"
        self.memory.append(peak)
        _say(f"    {found}, {peak / 1e6:.0f} MB resident")
        return int(found["bytes"])

    def killed(self) -> None:
        half = (self.median("ours") or 2.0) / 2
        with self.measured("ours, killed and resumed") as cost:
            process = self.start_ours()
            time.sleep(half)
            process.kill()
            process.wait()
            cost.sent = self.finish_ours(self.start_ours())

    def median(self, name: str) -> float | None:
        """Return a contender's median seconds on the clock, None where it did not run."""
        costs = self.costs.found.get(name)
        return statistics.median(cost.seconds for cost in costs) if costs else None

    def processor(self, name: str) -> float | None:
        """Return a contender's median seconds of all processors together."""
        costs = self.costs.found.get(name)
        return statistics.median(sum(cost.processor) for cost in costs) if costs else None

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


RATIOS = (
    ("ours / raw binary pipe", "ours", "raw binary pipe", 1.20),
    ("ours / written plan", "ours", "written plan", 0.27),
    ("ours / pgcopydb", "ours", "pgcopydb", 0.40),
    ("second pass, nothing changed / first", "ours, nothing changed", "ours", 0.30),
    ("second pass, 1 % at random / first", "ours, 1 % at random", "ours", 0.60),
    ("second pass, 1 % clustered / first", "ours, 1 % clustered", "ours", 0.32),
    ("killed half way and resumed / first", "ours, killed and resumed", "ours", 1.25),
)
MOST_OF_THE_DUMP = 0.40
"""Bytes that may be read from the source, of those of the text dump."""


def _ratio(upper: float | None, lower: float | None) -> str:
    return f"{upper / lower:.2f}" if upper is not None and lower is not None else "not measured"


def report(bench: Bench) -> str:
    """Return what was measured as Markdown."""
    found = bench.costs.found
    memory = psutil.virtual_memory().total / 2**30
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GB, Postgres 16 → 18, {bench.rows} documents + {bench.rows} × 1536 vectors, "
        f"{len(found.get('ours', []))} rounds, load {psutil.getloadavg()[0]:.1f} at the end.",
        "",
        "| contender | median seconds | of processors: source + target + clients | MB read from the source |",
        "| --- | --- | --- | --- |",
    ]
    for name, costs in found.items():
        parts = " + ".join(f"{statistics.median(part):.1f}" for part in zip(*(c.processor for c in costs), strict=True))
        size = f"{costs[-1].sent / 1e6:.0f}" if costs[-1].sent else ""
        lines.append(f"| {name} | {bench.median(name):.2f} | {parts} | {size} |")
    lines += ["", "| ratio | on the clock | of processors | at most |", "| --- | --- | --- | --- |"]
    for title, upper, lower, limit in RATIOS:
        clock = _ratio(bench.median(upper), bench.median(lower))
        lines.append(f"| {title} | {clock} | {_ratio(bench.processor(upper), bench.processor(lower))} | {limit:.2f} |")
    if "written plan" in found:
        share = _ratio(found["ours"][-1].sent, found["written plan"][-1].sent)
        lines.append(f"| bytes ours / text dump | {share} | | {MOST_OF_THE_DUMP:.2f} |")
    lines += ["", f"Peak resident memory of our process: {max(bench.memory) / 1e6:.0f} MB."]
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
            costs=Costs([shared.server.cluster for shared in (source, target)]),
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
